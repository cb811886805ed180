/* Claim, renew, wake, lock, park, end: how one run is decided by one worker at a time, statement by statement, under READ
   COMMITTED. It shows what the other models take for granted: that a deciding transaction is one step.

   READ COMMITTED, as far as we need it: a statement sees what was committed when it began. A statement that waits for a
   row lock reads that one row again when it has it, in its newest version, and no other row. A reader waits for nobody.

   What is decided on is two bits of the ledger: whether the one call was intended, and how much evidence has come
   (EVIDENCE pieces, each by a writer of its own: a sender that lost its lease, an event, an operator). */
#include "words.h"

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef EVIDENCE
#define EVIDENCE 2
#endif

/* ---- The rules ---- */

#ifdef M_NO_LOCK                       /* every deciding transaction locks the run's row first, in a statement of its own */
#define LOCKS false
#else
#define LOCKS true
#endif

#ifdef M_LOCK_AND_READ_AT_ONCE         /* what is decided on is read no later than `wakes`, and never in the locking statement */
#define READS_IN_LOCK true
#else
#define READS_IN_LOCK false
#endif

#ifdef M_WAKES_READ_AFTER_STATE        /* `wakes` is read no later than the state decided on */
#define WAKES_FIRST false
#else
#define WAKES_FIRST true
#endif

#ifdef M_WAKING_SHORTENS_LEASE         /* waking never shortens a live lease */
#define MAY_SHORTEN true
#else
#define MAY_SHORTEN (owner == 0)
#endif

#ifdef M_CLAIM_KEEPS_EPOCH             /* a claim takes a new epoch */
#define CLAIMED(w) (mine | BIT(w))
#else
#define CLAIMED(w) BIT(w)
#endif

#ifdef M_CLAIM_WAITS_FOR_NO_LOCK       /* a claim skips rows that a transaction holds */
#define MAY_CLAIM true
#else
#define MAY_CLAIM (lock == 0)
#endif

#ifdef M_CANCEL_KEEPS_EPOCH            /* whatever ends a run takes a new epoch, and the lease */
#define AFTER_END mine
#else
#define AFTER_END 0
#endif

#ifdef M_RENEW_IGNORES_EPOCH           /* renewal holds only under the epoch that was claimed */
#define MAY_RENEW(w) true
#else
#define MAY_RENEW(w) (mine & BIT(w))
#endif

#ifdef M_INTENT_IGNORES_WAKES          /* every deciding write holds only if `wakes` is what was seen */
#define INTENT_SAW true
#else
#define INTENT_SAW (seen & BIT(w))
#endif

#ifdef M_PARK_IGNORES_WAKES
#define PARK_SAW true
#else
#define PARK_SAW (seen & BIT(w))
#endif

#ifdef M_EVIDENCE_DOES_NOT_WAKE        /* whoever changes what a run depends on adds to `wakes` */
#define WAKES false
#else
#define WAKES true
#endif

/* ---- The row, as committed ---- */

byte status = ACTIVE;
byte due = NOW;                        /* TIMER: the end of a lease */
byte owner;
byte mine;                             /* the workers whose epoch is the run's */
byte seen;                             /* the workers that saw the last value of wakes */
byte held;                             /* the workers that believe that they hold the run, and renew it */
byte lock;                             /* the worker (+ 1) whose open transaction holds the row */

/* ---- The rows that hang on it ---- */

bool intended;
byte evidence;

/* ---- What only we know ---- */

byte right;                            /* the worker (+ 1) that claimed last, if nothing ended or released the run since */
byte fresh;                            /* the workers whose reading is still what the ledger says */
bool lapsed;                           /* the lease really ended by itself */
#ifdef LIVE
#define LEASE_MAY_END && (dead || stalls < 1)
#define STALL stalls = stalls + !dead;
#else
#define LEASE_MAY_END
#define STALL
#endif
#ifdef LIVE
byte crashes, stalls;
bool dead;
#endif

#define INTEND 1
#define WAIT   2
#define FINISH 3
#define DECIDED (!intended -> INTEND : (evidence == EVIDENCE -> FINISH : WAIT))

#ifdef LIVE
#define CRASH crashes < 1 -> crashes++; dead = dead || owner == w + 1; lock = (lock == w + 1 -> 0 : lock); goto gone
#else
#define CRASH lock = (lock == w + 1 -> 0 : lock); goto gone     /* Postgres rolls back, and lets the row go */
#endif

inline unlock() { lock = (lock == w + 1 -> 0 : lock) }
inline change() { fresh = 0; if :: WAKES -> seen = 0; if :: MAY_SHORTEN -> due = (status == ACTIVE -> NOW : NEVER_DUE) :: else fi :: else fi }

proctype Worker(byte w) {
    byte plan;

end:
idle:
    atomic {                           /* claim: one statement, skip locked */
        due == NOW && MAY_CLAIM ->
        assert(owner == 0 || lapsed);                                                           /* P7 */
        owner = w + 1; mine = CLAIMED(w); right = w + 1; due = TIMER; lapsed = false; held = held | BIT(w);
#ifdef LIVE
        dead = false;
#endif
    }

read:
    if
    :: READS_IN_LOCK -> atomic { plan = DECIDED; fresh = fresh | BIT(w) }   /* the snapshot of the statement that will wait for the lock */
    :: !READS_IN_LOCK && WAKES_FIRST -> atomic { plan = DECIDED; fresh = fresh | BIT(w); seen = seen | BIT(w) }
    :: !READS_IN_LOCK && !WAKES_FIRST ->
        atomic { plan = DECIDED; fresh = fresh | BIT(w) };
        seen = seen | BIT(w)
    fi;

    if
    :: LOCKS -> atomic { lock == 0 -> lock = w + 1 }          /* waits, then has the newest version of the row */
    :: !LOCKS -> skip
    :: CRASH
    fi;
    if
    :: READS_IN_LOCK -> seen = seen | BIT(w)
    :: else
    fi;
    /* epoch and wakes: those of the locked row, or, without a lock, of this statement's snapshot */
    atomic {
        if
        :: !(mine & BIT(w)) -> unlock(); goto gone
        :: (mine & BIT(w)) && !(plan == WAIT -> PARK_SAW : INTENT_SAW) -> unlock(); plan = 0; goto read
        :: (mine & BIT(w)) && (plan == WAIT -> PARK_SAW : INTENT_SAW) -> skip
        fi
    };
    if
    :: true
    :: CRASH
    fi;
    /* the write, and its commit: only now do others see it */
    atomic {
        assert(right == w + 1);                                                                 /* P3 */
        assert(fresh & BIT(w));                                                                 /* P8 */
        unlock();
        if
        :: plan == INTEND -> assert(!intended); intended = true; fresh = 0; goto read           /* P1 */
        :: plan == WAIT -> owner = 0; right = 0; mine = 0; due = NEVER_DUE; goto gone
        :: plan == FINISH -> status = COMPLETED; owner = 0; right = 0; mine = 0; due = NEVER_DUE; goto gone
        fi
    }

gone:
    atomic { plan = 0; seen = seen & ~BIT(w); fresh = fresh & ~BIT(w); held = held & ~BIT(w); goto idle }
}

/* On a connection of its own, at any time: one statement for all held runs, skipping locked rows. */
#define RENEWS(w) \
    :: atomic { (held & BIT(w)) && lock == 0 && due == NOW && MAY_RENEW(w) -> \
        assert(right == w + 1); due = TIMER; lapsed = false }                                   /* P3 */

active proctype Renewal() {
end:
    do
    RENEWS(0)
    RENEWS(1)
#if WORKERS > 2
    RENEWS(2)
#endif
    od
}

/* The lease of a worker that stalls, crashed or lost its database ends. */
active proctype Time() {
end:
    do
    :: atomic { owner != 0 && due == TIMER LEASE_MAY_END -> STALL due = NOW; lapsed = true }
    od
}

/* A sender, an event, an operator: locks like everybody, and is never fenced. */
active [EVIDENCE] proctype Evidence() {
    atomic { lock == 0 -> evidence++; change() }
}

active proctype Client() {
    if
    :: true -> goto stays
    :: true -> skip
    fi;
endcancel:
    atomic {
        lock == 0 && status == ACTIVE ->
        status = CANCELLED_RUN; owner = 0; right = 0; mine = AFTER_END; seen = 0; fresh = 0; due = NEVER_DUE
    }
stays:
    skip
}

init {
    atomic {
        run Worker(0); run Worker(1);
#if WORKERS > 2
        run Worker(2);
#endif
        skip
    }
#ifndef LIVE
    /* P6: where nothing can move any more, the run has ended: no waking was lost. */
    timeout ->
    assert(status != ACTIVE && owner == 0 && due == NEVER_DUE)
#endif
}

#ifdef LIVE
ltl ends { <>[] (status != ACTIVE && owner == 0) }
#endif
