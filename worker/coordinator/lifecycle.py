"""The state machines, once, as data: Postgres refuses what they do not list (design, section 4).

A migration seeds these tables into the database, where triggers hold them; a test compares the two.
"""

from typing import Final

from sql.vocabulary import AttemptState as A
from sql.vocabulary import CallState as C
from sql.vocabulary import Ledger
from sql.vocabulary import RunStatus as R

RUN_TRANSITIONS: Final = {
    R.QUEUED: (R.IN_PROGRESS, R.FAILED, R.CANCELLED, R.EXPIRED),
    R.IN_PROGRESS: (R.REQUIRES_ACTION, R.COMPLETED, R.FAILED, R.INCOMPLETE, R.CANCELLED, R.EXPIRED),
    R.REQUIRES_ACTION: (R.QUEUED, R.IN_PROGRESS, R.FAILED, R.CANCELLED, R.EXPIRED),
    R.COMPLETED: (),
    R.FAILED: (),
    R.INCOMPLETE: (),
    R.CANCELLED: (),
    R.EXPIRED: (),
}

# A settled call never changes state: contrary evidence is a conflict, not a transition.
CALL_TRANSITIONS: Final[dict[C, tuple[C, ...]]] = {
    C.PENDING: (C.HELD, C.INTENDED, C.NEEDS_OPERATOR, C.SUCCEEDED, C.FAILED, C.CANCELLED),
    C.HELD: (C.PENDING, C.INTENDED, C.NEEDS_OPERATOR, C.SUCCEEDED, C.FAILED, C.CANCELLED),
    C.INTENDED: (C.PENDING, C.ACCEPTED, C.IN_DOUBT, C.NEEDS_OPERATOR, C.SUCCEEDED, C.FAILED, C.CANCELLED),
    C.ACCEPTED: (C.PENDING, C.INTENDED, C.IN_DOUBT, C.NEEDS_OPERATOR, C.SUCCEEDED, C.FAILED, C.CANCELLED),
    C.IN_DOUBT: (C.PENDING, C.INTENDED, C.NEEDS_OPERATOR, C.SUCCEEDED, C.FAILED, C.CANCELLED),
    C.NEEDS_OPERATOR: (C.PENDING, C.INTENDED, C.IN_DOUBT, C.SUCCEEDED, C.FAILED, C.CANCELLED),
    C.SUCCEEDED: (),
    C.FAILED: (),
    C.CANCELLED: (),
}

# `off` is the incident's system: no intent, so a call is either answered or not.
CALL_TRANSITIONS_OFF: Final[dict[C, tuple[C, ...]]] = {
    C.PENDING: (C.SUCCEEDED, C.FAILED, C.CANCELLED),
}

# Attempts move only towards knowledge, and success outweighs all: proof refutes a refutation.
ATTEMPT_TRANSITIONS: Final = {
    A.OPEN: (A.ACCEPTED, A.UNKNOWN, A.SUCCEEDED, A.FAILED, A.REFUSED, A.NOT_SENT, A.REFUTED),
    A.ACCEPTED: (A.UNKNOWN, A.SUCCEEDED, A.FAILED, A.REFUTED),
    A.UNKNOWN: (A.SUCCEEDED, A.FAILED, A.REFUSED, A.NOT_SENT, A.REFUTED),
    A.FAILED: (A.SUCCEEDED,),
    A.REFUSED: (A.SUCCEEDED,),
    A.NOT_SENT: (A.SUCCEEDED,),
    A.REFUTED: (A.SUCCEEDED,),
    A.SUCCEEDED: (),
}

ENDED: Final = frozenset(status for status, following in RUN_TRANSITIONS.items() if not following)
SETTLED: Final = frozenset(state for state, following in CALL_TRANSITIONS.items() if not following)
# States of an attempt that is known to have done nothing.
NOTHING_HAPPENED: Final = frozenset({A.FAILED, A.REFUSED, A.NOT_SENT, A.REFUTED})


def run_transitions() -> list[tuple[str, str]]:
    """Rows of `counterfoil.run_transitions`: from, to."""
    return [(old, new) for old, following in RUN_TRANSITIONS.items() for new in following]


def call_transitions() -> list[tuple[str, str, str]]:
    """Rows of `counterfoil.call_transitions`: ledger mode, from, to."""
    machines = {
        Ledger.OFF: CALL_TRANSITIONS_OFF,
        Ledger.OBSERVE: CALL_TRANSITIONS,
        Ledger.ENFORCE: CALL_TRANSITIONS,
    }
    return [
        (mode, old, new)
        for mode, machine in machines.items()
        for old, following in machine.items()
        for new in following
    ]


def attempt_transitions() -> list[tuple[str, str]]:
    """Rows of `counterfoil.attempt_transitions`: from, to."""
    return [(old, new) for old, following in ATTEMPT_TRANSITIONS.items() for new in following]
