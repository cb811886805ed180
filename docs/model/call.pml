/* One run whose calls come in turn, one of each repeat contract: attempts, deadlines, settle times, lookups, late
   evidence, operators, a cancel, and workers that crash, stall and lose their lease at every step.

   A deciding transaction is one atomic step here; lease.pml shows what makes it so. An epoch is not a number but the set
   of workers whose number is still the run's (`mine`), `wakes` the set of those who saw its last value (`seen`): both are
   only ever compared for equality, so nothing is lost, and the state stays finite without a bound on crashes or leases.

   -DC0=..(..C3) the contracts in turn, -DCALLS their number, -DNA attempts of a call, -DWORKERS, -DOPERATORS, -DNO_CANCEL. */
#include "words.h"

#ifndef CALLS
#define CALLS 1
#endif
#ifndef C0
#define C0 LOOKUP
#endif
#ifndef C1
#define C1 C0
#endif
#ifndef C2
#define C2 C0
#endif
#ifndef C3
#define C3 C0
#endif
#ifndef NA
#define NA 2
#endif
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef OPERATORS
#define OPERATORS 1
#endif
#define X (CALLS * NA)
#define KIND(k) ((k) == 0 -> C0 : ((k) == 1 -> C1 : ((k) == 2 -> C2 : C3)))

/* ---- The rules, each beside the one-line weakening that removes it ---- */

#ifdef M_SEND_BEFORE_INTENT            /* nothing is sent before the intent's commit has returned */
#define SENT_EARLY true
#else
#define SENT_EARLY false
#endif

#ifdef M_WARNED_COMMIT_SENDS           /* a commit that returns with a warning counts as not committed */
#define SENDS_AFTER_WARNING true
#else
#define SENDS_AFTER_WARNING false
#endif

#ifdef M_NO_SEND_BY                    /* the transport looks at send_by directly before the write */
#define MAY_WRITE(x) true
#else
#define MAY_WRITE(x) (ph[x] == WINDOW)
#endif

#ifdef M_DEADLINE_WITHOUT_SEND_BY      /* the deadline counts send_by: what is written last has all of settle_s, too */
#define WRITE(x) (ph[x] != QUIET) -> net[x] = (ph[x] == PAST -> STRAY : FLYING)
#else
#define WRITE(x) MAY_WRITE(x) -> net[x] = FLYING
#endif

#ifdef A_LATE_EFFECT                   /* no rule but an assumption: no effect comes later than settle_s */
#define QUIET_COMES(x) true
#else
#define QUIET_COMES(x) (net[x] != FLYING)
#endif

#ifdef M_NO_SETTLE                     /* a lookup waits for deadline + settle_s */
#define LOOKS_FROM PAST
#else
#define LOOKS_FROM QUIET
#endif

#ifdef M_LOOKUP_REFUTES_LATER          /* a lookup refutes only attempts that were quiet before it began */
#define LOOKED_AT(a) true
#else
#define LOOKED_AT(a) (mask & BIT(a))
#endif

#ifdef M_NO_ANSWER_IS_NONE             /* a lookup that gives no answer refutes nothing */
#define NO_ANSWER NOT_FOUND
#else
#define NO_ANSWER SILENT
#endif

#ifdef M_NEW_KEY                       /* all attempts of a call carry the same key */
#define KEY_KNOWN false
#else
#define KEY_KNOWN keyused
#endif

#ifdef M_KEY_FOR_EVER                  /* a key is used again only while it is honoured */
#define KEY_LIVES true
#else
#define KEY_LIVES (keylife == FRESH)
#endif

#ifdef M_KEY_CHECKED_IN_DECIDE_ONLY    /* the intent itself looks at the key's life again */
#define KEY_LIVES_AT_INTENT true
#else
#define KEY_LIVES_AT_INTENT (KIND(k) != KEYED || call[k] == PENDING || KEY_LIVES)
#endif

#ifdef M_KEY_WITHOUT_SETTLE            /* the key outlives the last attempt's settle time, not its deadline alone */
#define KEY_OUTLIVES(x) (st[x] == NONE || ph[x] >= PAST)
#else
#define KEY_OUTLIVES(x) (st[x] == NONE || ph[x] == QUIET)
#endif

#ifdef M_VERDICT_OF_LAST               /* the verdict is over all attempts */
#define FIRST_COUNTED(k) (n[k] - 1)
#else
#define FIRST_COUNTED(k) 0
#endif

#ifdef M_IN_DOUBT_SENDS_AGAIN          /* in doubt, only safe and keyed calls are sent again */
#define IN_DOUBT_KIND(k) KEYED
#else
#define IN_DOUBT_KIND(k) KIND(k)
#endif

#ifdef M_OPERATOR_REFUTES_ALL          /* an operator's word speaks of the attempts that it was shown */
#define SHOWN_TO_OPERATOR(a) true
#else
#define SHOWN_TO_OPERATOR(a) ((a) < shown)
#endif

#ifdef M_EVIDENCE_FENCED               /* evidence is never fenced */
#define MAY_LEARN (mine & BIT(w))
#else
#define MAY_LEARN true
#endif

#ifdef M_CLAIM_KEEPS_EPOCH             /* a claim takes a new epoch */
#define CLAIMED(w) (mine | BIT(w))
#else
#define CLAIMED(w) BIT(w)
#endif

#ifdef M_CANCEL_KEEPS_EPOCH            /* whatever ends a run takes a new epoch */
#define AFTER_END mine
#else
#define AFTER_END 0
#endif

#ifdef M_INTENT_IGNORES_WAKES          /* an intent holds only if `wakes` is what was seen */
#define INTENT_SAW true
#else
#define INTENT_SAW (seen & BIT(w))
#endif

#ifdef M_PARK_IGNORES_WAKES            /* parking holds only if `wakes` is what was seen */
#define PARK_SAW true
#else
#define PARK_SAW (seen & BIT(w))
#endif

#ifdef M_EVIDENCE_DOES_NOT_WAKE        /* whoever changes what a run depends on adds to `wakes` and makes it due */
#define WAKES false
#else
#define WAKES true
#endif

#ifdef M_ENDED_RUNS_SEND               /* ended runs send nothing */
#define ENDED false
#else
#define ENDED (status != ACTIVE)
#endif

#ifdef M_CANCEL_LEAVES_DOUBT           /* the open attempts of an ended run are still settled */
#define DUE_AFTER_END NEVER_DUE
#else
#define DUE_AFTER_END NOW
#endif

#ifdef M_ENDED_RUN_CALLS_IT_OFF        /* what nobody can know of an ended run's call is an operator's case */
#define DOUBT_OF_ENDED CANCEL
#else
#define DOUBT_OF_ENDED ASK
#endif

#ifdef M_USED_UP_IS_FAILED             /* attempts used up: failed only if every attempt is known to have done nothing */
#define USED_UP FAIL
#else
#define USED_UP ASK
#endif

#ifdef NO_P3                           /* what an old epoch would do, beyond breaking the property that names it */
#define FENCED true
#else
#define FENCED (right == w + 1)
#endif

#ifdef BACKSTOP                        /* the transition table's filter: not part of the rules, to see what it would hide */
#define FILTERED(k) SETTLED(call[k])
#else
#define FILTERED(k) false
#endif

/* ---- The ledger ---- */

byte status = ACTIVE;
byte round;                 /* which call of the run is the last one asked */
byte due = NOW;
byte owner;                 /* 0, or the worker (+ 1) that holds the lease */
byte mine;                  /* the workers whose epoch is the run's */
byte seen;                  /* the workers that saw the last value of wakes */
byte call[CALLS];
byte n[CALLS];              /* attempts of the call so far */
byte st[X];
byte ph[X];

/* ---- The world, and what only we who look from outside know ---- */

#define FRESH   0
#define SHORT   1           /* too short for another attempt */
#define EXPIRED 2           /* the tool has forgotten the key */
byte net[X];
byte effects[CALLS];
byte keylife;
bool keyused;
byte right;                 /* the worker (+ 1) that claimed last, if nothing ended or released the run since */
byte forgiven;              /* times that a person said "send again" without knowing */
#ifdef LIVE                 /* bounded where we ask that runs end, and where the state would not fit otherwise */
#define BOUNDED
#endif
#ifdef BOUNDED
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef STALLS
#define STALLS 1
#endif
byte crashes, stalls;
bool dead;                  /* the holder of the lease crashed: that its lease ends is no further stall */
#endif

#if CALLS > 1
byte senders[CALLS];        /* workers that may still write or answer for the call */
#define SENDER(c, d) senders[c] = senders[c] + (d)
#else
#define SENDER(c, d) skip
#endif

/* ---- Pure: decide and verdict. Their scratch is hidden from the state ---- */

SCRATCH byte i, j, first;
SCRATCH byte any_ok, any_open, any_unknown, any_refused;
SCRATCH byte min_open, min_undecided, waits_for;

inline look_over(c, from) {
    any_ok = false; any_open = false; any_unknown = false; any_refused = false;
    min_open = QUIET; min_undecided = QUIET; waits_for = 0;
    i = from;
    do
    :: i < n[c] ->
        j = (c) * NA + i;
        any_ok = any_ok || st[j] == OK;
        any_refused = any_refused || st[j] == REFUSED;
        any_open = any_open || st[j] == OPEN;
        any_unknown = any_unknown || st[j] == UNKNOWN;
        if
        :: st[j] == OPEN && ph[j] < min_open -> min_open = ph[j]
        :: else
        fi;
        if
        :: UNDECIDED(st[j]) && ph[j] <= min_undecided -> min_undecided = ph[j]; waits_for = j
        :: else
        fi;
        i++
    :: else -> break
    od
}

#define SEND     1
#define LOOK     2
#define ASK      3
#define FAIL     4
#define CANCEL   5
#define GO_ON    6
#define PARK     7
#define AWAIT    8

inline decide(c) {
    look_over(c, 0);
    if
    :: SETTLED(call[c]) -> plan = (status == ACTIVE -> GO_ON : PARK)
    :: call[c] == NEEDS_OP -> plan = PARK
    :: !SETTLED(call[c]) && call[c] != NEEDS_OP ->
        if
        :: !any_open && !any_unknown -> plan = (ENDED -> CANCEL : SEND)
        :: (any_open || any_unknown) && KIND(c) == LOOKUP && IN_DOUBT_KIND(c) == LOOKUP ->
            plan = (min_undecided >= LOOKS_FROM -> LOOK : AWAIT)
        :: (any_open || any_unknown) && KIND(c) == SAFE && ENDED -> plan = CANCEL
        :: else ->
            if
            :: any_open && min_open == WINDOW -> plan = AWAIT
            :: ENDED && !(any_open && min_open == WINDOW) -> plan = DOUBT_OF_ENDED
            :: !ENDED && !(any_open && min_open == WINDOW) ->
                if
                :: KIND(c) == SAFE -> plan = (n[c] < NA -> SEND : FAIL)
                :: KIND(c) != SAFE && IN_DOUBT_KIND(c) == KEYED && min_undecided == WINDOW -> plan = AWAIT
                :: KIND(c) != SAFE && IN_DOUBT_KIND(c) == KEYED && min_undecided != WINDOW ->
                    plan = (n[c] < NA && KEY_LIVES -> SEND : USED_UP)
                :: else -> plan = ASK
                fi
            fi
        fi
    fi
}

inline verdict(c) {
    first = FIRST_COUNTED(c);
    look_over(c, first);
    if
    :: SETTLED(call[c]) -> skip                             /* a settled call never changes state */
    :: !SETTLED(call[c]) && any_ok -> call[c] = SUCCEEDED
    :: !SETTLED(call[c]) && !any_ok && (any_open || any_unknown) ->
        if
        :: call[c] == NEEDS_OP -> skip
        :: call[c] != NEEDS_OP -> call[c] = (any_open -> INTENDED : IN_DOUBT)
        fi
    :: else ->
        if
        :: ENDED -> call[c] = CANCELLED
        :: !ENDED && (any_refused || n[c] == NA) -> call[c] = FAILED
        :: else -> call[c] = PENDING
        fi
    fi;
    assert(!(call[c] == FAILED || call[c] == CANCELLED) || effects[c] == 0 || forgiven > 0)   /* P2 */
}

inline wake() {
    if
    :: WAKES ->
        seen = 0;
        if
        :: owner == 0 -> due = (status != ACTIVE && SETTLED(call[round]) -> NEVER_DUE : NOW)
        :: else
        fi
    :: else
    fi
}

/* Attempts move only towards knowledge. What is decided needs no clock any more. */
inline note(a, what) {
    if
    :: UNDECIDED(st[a]) || what == OK -> st[a] = what
    :: else
    fi;
    if
    :: !UNDECIDED(st[a]) && net[a] != FLYING -> ph[a] = QUIET
    :: else
    fi
}

inline learn(c, a, what) {
    note(a, what);
    verdict(c);
    wake();
    assert(what != OK || st[a] == OK)                                                          /* P4 */
}

/* ---- The outside ---- */

inline effect(c, a) {
    net[a] = HAPPENED;
    if
    :: KIND(c) == SAFE -> skip
    :: KIND(c) == KEYED && KEY_KNOWN -> skip
    :: else ->
        effects[c]++;
        if
        :: KIND(c) == KEYED -> keyused = true
        :: else
        fi;
        assert(effects[c] <= 1 + forgiven);                                                    /* P1 */
        assert(!(call[c] == FAILED || call[c] == CANCELLED) || forgiven > 0)                   /* P2 */
    fi
}

inline tick() {
    if
    :: due == TIMER -> due = NOW
    :: else
    fi
}

#define SLOT(x) \
    :: atomic { st[x] != NONE && ph[x] == WINDOW -> ph[x] = PAST; tick() } \
    :: atomic { st[x] != NONE && ph[x] == PAST && QUIET_COMES(x) -> ph[x] = QUIET; tick() } \
    :: atomic { IN_FLIGHT(x) -> effect((x) / NA, x) } \
    :: atomic { IN_FLIGHT(x) -> net[x] = DROPPED } \
    :: atomic { net[x] == HAPPENED && st[x] != OK && st[x] != NONE -> learn((x) / NA, x, OK) }  /* an event, however late */

active proctype World() {
end:
    do
    SLOT(0)
#if CALLS * NA > 1
    SLOT(1)
#endif
#if CALLS * NA > 2
    SLOT(2)
#endif
#if CALLS * NA > 3
    SLOT(3)
#endif
#if CALLS * NA > 4
    SLOT(4)
    SLOT(5)
#endif
#if CALLS * NA > 6
    SLOT(6)
    SLOT(7)
#endif
    od
}

#if CALLS == 1
#define KEY_OUTLIVES_ALL (KEY_OUTLIVES(0) && KEY_OUTLIVES(NA - 1) && KEY_OUTLIVES(NA / 2))
#define N_KEYED n[0]
#else
#define KEYED_AT (C0 == KEYED -> 0 : (C1 == KEYED -> 1 : (C2 == KEYED -> 2 : 3)))
#define KEY_OUTLIVES_ALL (KEY_OUTLIVES(KEYED_AT * NA) && KEY_OUTLIVES(KEYED_AT * NA + NA - 1) && KEY_OUTLIVES(KEYED_AT * NA + NA / 2))
#define N_KEYED n[KEYED_AT]
#endif

#if C0 == KEYED || C1 == KEYED || C2 == KEYED || C3 == KEYED
active proctype KeyClock() {
end:
    (keylife == FRESH && N_KEYED > 0) -> keylife = SHORT;
endwait:
    atomic { KEY_OUTLIVES_ALL -> keylife = EXPIRED; keyused = false }
}
#endif

/* ---- Our processes ---- */

#define FOUND     1
#define NOT_FOUND 2
#define SILENT    3

#define CLAIM_OK (owner == 0 && due == NOW)
#ifdef BOUNDED
#define LEASE_ENDS (owner != 0 && (dead || stalls < STALLS))
#else
#define LEASE_ENDS (owner != 0)      /* it may end at every step, and the holder never hears of it in time */
#endif

inline close_overdue(c) {              /* one open attempt for each call: those past their deadline are unknown */
    i = 0;
    do
    :: i < n[c] ->
        if
        :: st[(c) * NA + i] == OPEN -> st[(c) * NA + i] = UNKNOWN
        :: else
        fi;
        i++
    :: else -> break
    od
}

/* A settled call for which nothing is out any more cannot change: forget its history, to keep the state small. */
inline tidy(c) {
#if CALLS > 1
    i = 0; first = senders[c] == 0;
    do
    :: i < NA ->
        j = (c) * NA + i;
        first = first && !UNDECIDED(st[j]) && !IN_FLIGHT(j) && (net[j] != HAPPENED || st[j] == OK);
        i++
    :: else -> break
    od;
    if
    :: first ->
        i = 0;
        do
        :: i < NA -> j = (c) * NA + i; st[j] = NONE; ph[j] = WINDOW; net[j] = UNWRITTEN; i++
        :: else -> break
        od;
        call[c] = SUCCEEDED; effects[c] = 0; n[c] = 0
    :: else
    fi
#else
    skip
#endif
}

inline let_go() { owner = 0; mine = 0; right = 0 }
inline forget() { plan = 0; k = 0; x = 0; out = 0; mask = 0 }

#ifdef BOUNDED
#define MAY_FAIL_OVER (crashes < CRASHES)
#define FAILS_OVER crashes++
#define ABANDON dead = dead || owner == w + 1    /* keeps a lease that it does not renew */
#define CRASH crashes < CRASHES -> crashes++; ABANDON; goto gone
#define CRASH_OF_SENDER crashes < CRASHES -> crashes++; ABANDON; SENDER(k, -1); goto gone
#else
#define ABANDON skip
#define MAY_FAIL_OVER true
#define FAILS_OVER skip
#define CRASH goto gone
#define CRASH_OF_SENDER SENDER(k, -1); goto gone
#endif
#define STOLEN !(mine & BIT(w)) -> goto gone

proctype Worker(byte w) {
    byte plan, k, x, out, mask;

end:
idle:
    atomic {
        if
        :: CLAIM_OK -> skip
        :: LEASE_ENDS ->
#ifdef BOUNDED
            stalls = stalls + !dead; dead = false;
#endif
            skip
        fi;
        owner = w + 1; mine = CLAIMED(w); right = w + 1; due = NEVER_DUE
    }

read:                                  /* one statement: run, wakes, calls, attempts, in one snapshot */
    atomic {
        if
        :: k = round; decide(k); seen = seen | BIT(w);
            if
            :: plan == AWAIT -> x = waits_for
            :: else
            fi
        :: CRASH
        fi
    }

    /* decide was pure; now perform, each write behind the fence */
    if
    :: plan == SEND -> goto intend
    :: plan == LOOK -> goto look
    :: else -> skip
    fi;
    atomic {
        if
        :: STOLEN
        :: (mine & BIT(w)) && !(seen & BIT(w)) && !(plan == PARK && PARK_SAW) -> goto read
        :: (mine & BIT(w)) && ((seen & BIT(w)) || (plan == PARK && PARK_SAW)) ->
            assert(FENCED);                                                                    /* P3 */
            if
            :: plan == GO_ON && round + 1 < CALLS -> tidy(k); round++; call[round] = PENDING; goto read
            :: plan == GO_ON && round + 1 == CALLS -> status = COMPLETED; let_go(); goto gone
            :: plan == PARK -> let_go(); due = NEVER_DUE; goto gone
            :: plan == AWAIT ->
                let_go();
                due = (ph[x] == QUIET || (ph[x] == PAST && (KIND(k) != LOOKUP || LOOKS_FROM == PAST)) -> NOW : TIMER);
                goto gone
            :: plan == ASK -> close_overdue(k); call[k] = NEEDS_OP; goto read
            :: plan == FAIL -> close_overdue(k); call[k] = FAILED; goto read
            :: plan == CANCEL -> call[k] = CANCELLED; assert(effects[k] == 0 || forgiven > 0); goto read   /* P2 */
            fi
        :: CRASH
        fi
    }

intend:
    if
    :: SENT_EARLY -> atomic { x = k * NA + n[k]; effect(k, x) }
    :: else
    fi;
    atomic {
        if
        :: STOLEN
        :: (mine & BIT(w)) && !(INTENT_SAW && KEY_LIVES_AT_INTENT && !FILTERED(k)) -> goto read
        :: (mine & BIT(w)) && INTENT_SAW && KEY_LIVES_AT_INTENT && !FILTERED(k) ->
            assert(FENCED);                                                                    /* P3 */
            assert(status == ACTIVE && !SETTLED(call[k]));                                     /* P5 */
            close_overdue(k);
            x = k * NA + n[k]; n[k]++;
            st[x] = OPEN; ph[x] = WINDOW; call[k] = INTENDED;
            if
            :: SENT_EARLY -> SENDER(k, 1); goto wait
            :: else -> SENDER(k, 1); goto send
            fi
        :: (mine & BIT(w)) && INTENT_SAW && KEY_LIVES_AT_INTENT && !FILTERED(k) && MAY_FAIL_OVER ->
            FAILS_OVER;
            /* the commit returned with a warning, and a failover has taken it back */
            if
            :: SENDS_AFTER_WARNING -> x = k * NA + n[k]; effect(k, x); goto gone
            :: else -> ABANDON; goto gone
            fi
        :: CRASH
        fi
    }

send:
    atomic {
        if
        :: WRITE(x); goto wait
        :: out = NOT_SENT; goto tell   /* the window is over, or no byte could be written */
        :: CRASH_OF_SENDER
        fi
    }

wait:
    atomic {
        if
        :: net[x] == HAPPENED -> out = OK
        :: IN_FLIGHT(x) -> net[x] = DROPPED; out = REFUSED
        :: out = UNKNOWN               /* timed out, 5xx, or the answer was lost */
        :: CRASH_OF_SENDER
        fi
    }

tell:
    atomic {
        if
        :: MAY_LEARN -> learn(k, x, out)
        :: !MAY_LEARN -> assert(out != OK || st[x] == OK)                                      /* P4 */
        :: CRASH_OF_SENDER
        fi;
        SENDER(k, -1); plan = 0; x = 0; out = 0;
        if
        :: mine & BIT(w) -> goto read
        :: else -> goto gone
        fi
    }

look:
    atomic {                           /* the database's time before the lookup begins */
        mask = 0; i = 0;
        do
        :: i < n[k] ->
            if
            :: ph[k * NA + i] >= LOOKS_FROM -> mask = mask | BIT(i)
            :: else
            fi;
            i++
        :: else -> break
        od
    }
    atomic {
        if
        :: effects[k] > 0 -> out = FOUND       /* shows when it happens: a later showing is a later happening */
        :: effects[k] == 0 -> out = NOT_FOUND
        :: out = NO_ANSWER             /* tries used up without one */
        :: CRASH
        fi
    }
    atomic {
        if
        :: true ->
            i = 0;
            do
            :: i < n[k] ->
                j = k * NA + i;
                if
                :: UNDECIDED(st[j]) && LOOKED_AT(i) && out == FOUND -> note(j, OK); out = 0
                :: UNDECIDED(st[j]) && LOOKED_AT(i) && out == NOT_FOUND -> note(j, REFUTED)
                :: else
                fi;
                i++
            :: else -> break
            od;
            if
            :: out == SILENT && !SETTLED(call[k]) && call[k] != NEEDS_OP && (mine & BIT(w)) && (seen & BIT(w)) ->
                close_overdue(k); call[k] = NEEDS_OP
            :: else -> verdict(k)
            fi;
            wake();
            plan = 0; out = 0; mask = 0;
            if
            :: mine & BIT(w) -> goto read
            :: else -> goto gone
            fi
        :: CRASH
        fi
    }

gone:
    atomic { forget(); goto idle }
}

#ifndef NO_CANCEL
active proctype Client() {
    if
    :: true -> goto stays              /* the client who waits for its answer */
    :: true -> skip
    fi;
endcancel:
    atomic {
        status == ACTIVE ->
        status = CANCELLED_RUN;
        owner = 0; right = 0; mine = AFTER_END; seen = 0;
        if
        :: call[round] == PENDING -> look_over(round, 0);
            if
            :: !any_open && !any_unknown -> call[round] = CANCELLED
            :: else
            fi
        :: else
        fi;
        due = (SETTLED(call[round]) || call[round] == NEEDS_OP -> NEVER_DUE : DUE_AFTER_END)
    }
stays:
    skip
}
#endif

#define IT_HAPPENED 1
#define IT_DID_NOT  2
#define SEND_AGAIN  3

#define ALL_QUIET(c) (GONE((c) * NA) && GONE((c) * NA + NA - 1) && GONE((c) * NA + NA / 2))
#define GONE(x) (!UNDECIDED(st[x]) || ph[x] == QUIET)
#define ANSWER -> answer()

inline answer() {
    atomic {                           /* maybe long after */
        if
        :: word == SEND_AGAIN && (SETTLED(call[k]) || status != ACTIVE || forgiven > 0) -> skip    /* came too late */
        :: else ->
            forgiven = forgiven + (word == SEND_AGAIN);
            i = 0; first = 0;
            do
            :: i < n[k] ->
                j = k * NA + i;
                if
                :: UNDECIDED(st[j]) && SHOWN_TO_OPERATOR(i) && word == IT_HAPPENED && !first -> note(j, OK); first = 1
                :: UNDECIDED(st[j]) && SHOWN_TO_OPERATOR(i) && word != IT_HAPPENED -> note(j, REFUTED)
                :: else
                fi;
                i++
            :: else -> break
            od;
            verdict(k); wake()
        fi;
        k = 0; shown = 0; word = 0
    }
}

proctype Operator() {
    byte k, shown, word;
end:
    do
    :: atomic {                        /* looks at the page, and at the outside */
            call[round] == NEEDS_OP && effects[round] > 0 ->
            k = round; shown = n[k]; word = IT_HAPPENED
        } ANSWER
    :: atomic {
            call[round] == NEEDS_OP && effects[round] == 0 && ALL_QUIET(round) ->
            k = round; shown = n[k]; word = IT_DID_NOT
        } ANSWER
#ifndef NO_GUESS
    :: atomic {                        /* does not know, and says so */
            call[round] == NEEDS_OP && forgiven == 0 && status == ACTIVE ->
            k = round; shown = n[k]; word = SEND_AGAIN
        } ANSWER
#endif
    od
}

init {
    atomic {
        run Worker(0);
#if WORKERS > 1
        run Worker(1);
#endif
#if WORKERS > 2
        run Worker(2);
#endif
#if OPERATORS > 0
        run Operator();
#endif
#if OPERATORS > 1
        run Operator();
#endif
        skip
    }
#ifndef LIVE
    /* P6: where nothing can move any more, every call is settled or with an operator, and the run has ended or waits for one */
    timeout ->
    assert(due == NEVER_DUE && owner == 0);
    assert(SETTLED(call[round]) || call[round] == NEEDS_OP);
    assert(status != ACTIVE || call[round] == NEEDS_OP)
#endif
}

#ifdef LIVE
#define DONE ((status != ACTIVE || call[round] == NEEDS_OP) && (SETTLED(call[round]) || call[round] == NEEDS_OP) && owner == 0)
ltl ends { <>[] DONE }
#endif
