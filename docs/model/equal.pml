/* One thread, and a client who cancels and sends again: RUNS turns that each ask for the same thing. A call is held
   while an earlier equal call is unsettled, and shares its fate. At most one attempt for each call (max_attempts = 1):
   call.pml has the rest.

   A run's own decisions are fenced (one step, lease.pml); the earlier runs are read without a lock, so what is known of
   them may be old when the decision is written. -DKIND=LOOKUP, NEVER or KEYED; each run has its own key. */
#include "words.h"

#ifndef RUNS
#define RUNS 3
#endif
#ifndef KIND
#define KIND LOOKUP
#endif

/* ---- The rules ---- */

#ifdef M_EQUAL_NOT_HELD                /* a call is held while an earlier equal call is unsettled */
#define HOLDS(s) false
#else
#define HOLDS(s) (s)
#endif

#ifdef M_SENT_AFTER_ELDER_SUCCEEDED    /* ... and when that succeeded, its output is this call's, too */
#define SHARES_OUTPUT(r, elder) false
#elif defined(M_ASKED_WHEN_THE_MODEL_ASKS)   /* "asked after it succeeded" means the user's message, not the model's call */
#define SHARES_OUTPUT(r, elder) (open_when_asked[r] & BIT(elder))
#define REMEMBER(r) open_when_asked[r] = open_elders
#else
#define SHARES_OUTPUT(r, elder) (!(good_when_begun[r] & BIT(elder)))
#endif

#ifndef REMEMBER
#define REMEMBER(r) skip
#endif

#ifdef M_ONLY_LATEST_ELDER             /* all earlier equal calls count, not the latest alone */
#define FIRST_ELDER(r) ((r) == 0 -> 0 : (r) - 1)
#else
#define FIRST_ELDER(r) 0
#endif

#ifdef M_SENT_WHILE_ELDER_WITH_OPERATOR  /* an elder with an operator takes this call there, too */
#define OPEN_ELDER(c) (c != NEEDS_OP)
#else
#define OPEN_ELDER(c) true
#endif

#ifdef M_NEW_RUN_BESIDE_THE_OLD        /* a thread has one active run at a time */
#define THREAD_IS_FREE true
#else
#define THREAD_IS_FREE (status[last] != ACTIVE)
#endif

#ifdef M_ENDED_RUN_CALLS_IT_OFF        /* what nobody knows of an ended run's call is looked up, or an operator's case */
#define DOUBT_OF_ENDED CANCELLED
#else
#define DOUBT_OF_ENDED NEEDS_OP
#endif

#ifdef M_CANCEL_SETTLES_INTENDED       /* a cancel settles only calls that were never intended */
#define CALLED_OFF(c) (!SETTLED(c))
#else
#define CALLED_OFF(c) ((c) == PENDING || (c) == HELD)
#endif

#ifdef M_NOT_FENCED                    /* every decision holds only under its own epoch, and what it saw of wakes */
#define LOST(r, w) false
#define SEEN(r, w) true
#else
#define LOST(r, w) (!(mine[r] & BIT(w)))
#define SEEN(r, w) (seen[r] & BIT(w))
#endif

#ifdef M_HELD_IS_NOT_DUE               /* a run with a held call is due again and again */
#define POLLS false
#else
#define POLLS true
#endif

#ifdef M_NO_SETTLE                     /* a lookup waits for deadline + settle_s */
#define LOOKS_FROM PAST
#else
#define LOOKS_FROM QUIET
#endif

/* ---- The ledger ---- */

byte last;                  /* the turn asked last */
byte status[RUNS];
byte due[RUNS];             /* NOW, TIMER or NEVER_DUE */
byte owner[RUNS];
byte mine[RUNS];            /* the workers whose epoch is the run's */
byte call[RUNS];
byte st[RUNS];              /* the one attempt of the run's call */
byte ph[RUNS];
byte net[RUNS];
byte seen[RUNS];            /* the workers that saw the last value of its wakes */
byte good_when_begun[RUNS]; /* the elders that had succeeded when the turn began */
byte open_when_asked[RUNS]; /* the elders that were unsettled when the model came to the call */
bool asked[RUNS];           /* the model has asked for the call: its round is committed */

/* ---- What only we know ---- */

byte effects;
byte wanted = 1;            /* how often it may happen: once, and again for each turn begun when it had, and nothing was open */

SCRATCH byte i, open_elder, good_elder, open_elders, good_elders;

inline elders(r) {
    open_elder = false; good_elder = false; open_elders = 0; good_elders = 0;
    i = FIRST_ELDER(r);
    do
    :: i < r ->
        open_elder = open_elder || (asked[i] && !SETTLED(call[i]) && OPEN_ELDER(call[i]));
        good_elder = good_elder || (call[i] == SUCCEEDED && SHARES_OUTPUT(r, i));
        open_elders = open_elders | ((asked[i] && !SETTLED(call[i])) << i);
        good_elders = good_elders | ((call[i] == SUCCEEDED) << i);
        i++
    :: else -> break
    od
}

#define NOT_BEGUN 3
#define ENDED(r) (owner[r] == 0 && due[r] == NEVER_DUE && status[r] != ACTIVE && (status[r] == NOT_BEGUN || !asked[r] || SETTLED(call[r])))
#define AWAITED (KIND == LOOKUP -> LOOKS_FROM : PAST)

#define SEND    1
#define HOLD    2
#define SHARE   3
#define LOOK    4
#define ASK     5
#define FINISH  6
#define PARK    7
#define AWAIT   8
#define POSE    9

inline decide(r) {
    elders(r);
    if
    :: !asked[r] -> plan = (status[r] == ACTIVE -> POSE : PARK)
    :: asked[r] && SETTLED(call[r]) -> plan = (status[r] == ACTIVE -> FINISH : PARK)
    :: asked[r] && call[r] == NEEDS_OP -> plan = PARK
    :: asked[r] && (call[r] == PENDING || call[r] == HELD) ->
        plan = (HOLDS(open_elder) -> HOLD : (good_elder -> SHARE : SEND))
    :: asked[r] && (call[r] == INTENDED || call[r] == IN_DOUBT) ->
        if
        :: KIND == LOOKUP -> plan = (ph[r] >= LOOKS_FROM -> LOOK : AWAIT)
        :: KIND != LOOKUP -> plan = (ph[r] == WINDOW && st[r] == OPEN -> AWAIT : ASK)
        fi
    fi
}

inline know(r) {
    assert(!(call[r] == FAILED || call[r] == CANCELLED) || net[r] != HAPPENED);                /* P2 */
    seen[r] = 0;
    if
    :: owner[r] == 0 && (status[r] == ACTIVE || !SETTLED(call[r])) -> due[r] = NOW
    :: owner[r] == 0 && status[r] != ACTIVE && SETTLED(call[r]) -> due[r] = NEVER_DUE
    :: else
    fi
}

inline learn(r, what) {
    if
    :: UNDECIDED(st[r]) || what == OK -> st[r] = what
    :: else
    fi;
    if
    :: SETTLED(call[r]) -> skip
    :: !SETTLED(call[r]) ->
        if
        :: st[r] == OK -> call[r] = SUCCEEDED
        :: st[r] == UNKNOWN && call[r] != NEEDS_OP -> call[r] = IN_DOUBT
        :: !UNDECIDED(st[r]) && st[r] != OK -> call[r] = (status[r] == ACTIVE -> FAILED : CANCELLED)
        :: else
        fi
    fi;
    know(r)
}

inline effect(r) {
    net[r] = HAPPENED; effects++;
    assert(effects <= wanted);                                                                 /* P1 */
    assert(!(call[r] == FAILED || call[r] == CANCELLED))                                       /* P2 */
}

#ifdef FEWER                /* no lost requests, refusals and events: only to let three turns fit */
#define MORE false
#else
#define MORE true
#endif

#define TURN(r) \
    :: atomic { st[r] != NONE && ph[r] == WINDOW -> ph[r] = PAST; due[r] = (due[r] == TIMER -> NOW : due[r]) } \
    :: atomic { ph[r] == PAST && net[r] != FLYING -> ph[r] = QUIET; due[r] = (due[r] == TIMER -> NOW : due[r]) } \
    :: atomic { net[r] == FLYING -> effect(r) } \
    :: atomic { MORE && net[r] == FLYING -> net[r] = DROPPED } \
    :: atomic { MORE && net[r] == HAPPENED && st[r] != OK -> learn(r, OK) }  /* an event, however late */ \
    :: atomic { POLL(r) -> due[r] = NOW } \
    :: atomic { call[r] == NEEDS_OP && net[r] == HAPPENED -> learn(r, OK) }  /* an operator, who looks */ \
    :: atomic { call[r] == NEEDS_OP && ph[r] == QUIET && net[r] != HAPPENED && st[r] != NONE -> learn(r, REFUTED) }

/* Every 2 s, so at any time; here only when it would change something, so that waiting is not a cycle. */
#define POLL(r) (POLLS && call[r] == HELD && due[r] == NEVER_DUE && owner[r] == 0 && status[r] == ACTIVE && ELDERS_SETTLED(r))
#define ELDERS_SETTLED(r) ((r == 0 || !asked[0] || SETTLED(call[0])) && (r < 2 || !asked[RUNS > 2] || SETTLED(call[RUNS > 2])))

active proctype World() {
end:
    do
    TURN(0)
    TURN(1)
#if RUNS > 2
    TURN(2)
#endif
    od
}

inline let_go(r) { owner[r] = 0; mine[r] = 0 }

/* One worker for each run while it is active, and one more that settles what ended runs left open: beside it the first
   may still stall, send and answer. A crash is a
   stall that never ends, and the settling worker does not wait for it: call.pml has real ones. */
#define CLAIM(q) \
    :: (w == RUNS -> status[q] == CANCELLED_RUN : q == w && status[q] == ACTIVE) && \
        owner[q] == 0 && due[q] == NOW -> r = q

proctype Worker(byte w) {
    byte plan, r;

end:
idle:
    atomic {
        if
        CLAIM(0)
        CLAIM(1)
#if RUNS > 2
        CLAIM(2)
#endif
        fi;
        owner[r] = w + 1; mine[r] = BIT(w); due[r] = NEVER_DUE
    }

read:                                  /* its own run, and the earlier calls of the thread, without a lock on those */
    atomic {
        decide(r); seen[r] = seen[r] | BIT(w)
    }
    if
    :: plan == LOOK -> goto look
    :: else -> skip
    fi;
    atomic {
        if
        :: LOST(r, w) -> goto gone
        :: !LOST(r, w) && !SEEN(r, w) -> goto read
        :: !LOST(r, w) && SEEN(r, w) ->
            if
            :: plan == POSE ->
                elders(r); asked[r] = true; call[r] = PENDING; REMEMBER(r); goto read
            :: plan == SEND ->
                assert(status[r] == ACTIVE && !SETTLED(call[r]));                              /* P5 */
                st[r] = OPEN; ph[r] = WINDOW; call[r] = INTENDED; goto send
            :: plan == HOLD -> call[r] = HELD; let_go(r); due[r] = NEVER_DUE; goto gone
            :: plan == SHARE -> call[r] = SUCCEEDED; goto read
            :: plan == ASK ->
                st[r] = (st[r] == OPEN -> UNKNOWN : st[r]);
                call[r] = (status[r] == ACTIVE -> NEEDS_OP : DOUBT_OF_ENDED); know(r); goto read
            :: plan == FINISH -> status[r] = COMPLETED; let_go(r); due[r] = NEVER_DUE; goto gone
            :: plan == PARK -> let_go(r); due[r] = NEVER_DUE; goto gone
            :: plan == AWAIT -> let_go(r); due[r] = (ph[r] >= AWAITED -> NOW : TIMER); goto gone
            fi
        fi
    }

send:
    atomic {
        if
        :: ph[r] == WINDOW -> net[r] = FLYING
        :: MORE || ph[r] != WINDOW -> learn(r, NOT_SENT); goto read
        fi
    }
wait:
    atomic {
        if
        :: net[r] == HAPPENED -> learn(r, OK)
        :: MORE && net[r] == FLYING -> net[r] = DROPPED; learn(r, REFUSED)
        :: learn(r, UNKNOWN)
        fi;
        goto read
    }

look:                                  /* the one attempt is quiet, so the answer cannot grow old */
    atomic {
        if
        :: net[r] == HAPPENED -> learn(r, OK)
        :: net[r] != HAPPENED && UNDECIDED(st[r]) -> learn(r, REFUTED)
        :: else
        fi;
        goto read
    }

gone:
    atomic { seen[r] = seen[r] & ~BIT(w); plan = 0; r = 0; goto idle }
}

/* The user who clicks again during the spinner, or later. A new turn locks the thread and looks again. */
proctype Client() {
    byte r;
end:
    do
    :: atomic {
        status[last] == ACTIVE ->
        status[last] = CANCELLED_RUN;
        owner[last] = 0; mine[last] = 0; seen[last] = 0;
        if
        :: CALLED_OFF(call[last]) -> call[last] = CANCELLED; know(last)
        :: else -> know(last)
        fi
      }
    :: atomic {
        last + 1 < RUNS && THREAD_IS_FREE ->
        r = last + 1; elders(r);
        good_when_begun[r] = good_elders;
        wanted = wanted + (good_elders != 0 && open_elders == 0);
        status[r] = ACTIVE; due[r] = NOW; last = r; r = 0
      }
    :: true -> break
    od
}

init {
    atomic {
        status[1] = NOT_BEGUN;
#if RUNS > 2
        status[2] = NOT_BEGUN;
#endif
        due[0] = NOW;
        run Client();
        run Worker(0);
        run Worker(1);
        run Worker(2);
#if RUNS > 2
        run Worker(3);
#endif
        skip
    }
    /* P6: where nothing can move any more, every run has ended and every call is settled */
    timeout ->
    assert(ENDED(0) && ENDED(1) && ENDED(RUNS - 1))
}
