/* The words that the models share. Bytes, not mtype, so that they can be compared and kept in arrays. */

/* a run */
#define ACTIVE    0
#define COMPLETED 1
#define CANCELLED_RUN 2

/* when a run is due: never by itself, at a moment that the clock brings, or now */
#define NEVER_DUE 0
#define TIMER     1
#define NOW       2

/* repeat contracts */
#define SAFE   0
#define KEYED  1
#define LOOKUP 2
#define NEVER  3

/* a call */
#define PENDING   0
#define HELD      1
#define INTENDED  2
#define IN_DOUBT  3
#define NEEDS_OP  4
#define SUCCEEDED 5
#define FAILED    6
#define CANCELLED 7
#define SETTLED(c) ((c) >= SUCCEEDED)

/* an attempt: what is known of it */
#define NONE     0
#define OPEN     1
#define UNKNOWN  2
#define OK       3
#define REFUSED  4
#define NOT_SENT 5
#define REFUTED  6
#define UNDECIDED(s) ((s) == OPEN || (s) == UNKNOWN)

/* an attempt: its phase. Time is no number here, only this order.
   WINDOW: send_by is not over, so its request may still be written.
   PAST:   its deadline is past; what was written may still have its effect.
   QUIET:  deadline + settle_s is past; whatever was written has happened or never will. */
#define WINDOW 0
#define PAST   1
#define QUIET  2

/* an attempt: its request, out in the world */
#define UNWRITTEN 0
#define FLYING    1
#define HAPPENED  2
#define DROPPED   3
#define STRAY     4            /* flying, and nobody's deadline counted it: only where a rule is missing */
#define IN_FLIGHT(x) (net[x] == FLYING || net[x] == STRAY)

#define BIT(w) (1 << (w))

/* Scratch of pure code is no part of the state, but spin's breadth-first search, which finds the shortest trail, takes
   no hidden variables. */
#ifdef SHORTEST
#define SCRATCH
#else
#define SCRATCH hidden
#endif
