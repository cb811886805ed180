"""What all attempts of a call together prove. Pure (design, section 3, "The verdict is over all attempts")."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sql.vocabulary import AttemptState

WAITING: Final = frozenset({AttemptState.OPEN, AttemptState.ACCEPTED})
# Of these nobody knows whether they took effect.
DOUBTFUL: Final = WAITING | {AttemptState.UNKNOWN}


@dataclass(frozen=True)
class AttemptView:
    """One attempt: number, state, when intended, when its request can no longer be under way, when closed."""

    number: int
    state: AttemptState
    intended_at: datetime
    deadline: datetime
    closed_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Unsent:
    """No attempt was ever made."""


@dataclass(frozen=True)
class Happened:
    """At least one attempt took effect. `others`: attempts of which nobody knows whether they did too."""

    others: tuple[AttemptView, ...]


@dataclass(frozen=True)
class NothingHappened:
    """Every attempt is known to have done nothing. `for_good`: one of them was refused for good."""

    for_good: bool


@dataclass(frozen=True)
class UnderWay:
    """An attempt is open or accepted: its outcome may still come by itself."""

    attempts: tuple[AttemptView, ...]


@dataclass(frozen=True)
class InDoubt:
    """Nothing is under way, nothing proves success, and of these attempts nobody knows."""

    attempts: tuple[AttemptView, ...]


Verdict = Unsent | Happened | NothingHappened | UnderWay | InDoubt


def verdict(attempts: Sequence[AttemptView]) -> Verdict:
    """The verdict over all attempts: success outweighs all, and doubt about one is doubt about the call."""
    doubtful = tuple(a for a in attempts if a.state in DOUBTFUL)
    if not attempts:
        return Unsent()
    if any(a.state == AttemptState.SUCCEEDED for a in attempts):
        return Happened(doubtful)
    if not doubtful:
        return NothingHappened(any(a.state == AttemptState.FAILED for a in attempts))
    if any(a.state in WAITING for a in doubtful):
        return UnderWay(doubtful)
    return InDoubt(doubtful)
