"""What a worker writes: decisions, fenced, and evidence, never fenced. Values only; the journal writes them."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sql import decisions as d
from sql import evidence as e
from sql.ledger import Payload, RunEnd


class Applied(Enum):
    """What became of a deciding write."""

    HELD = "held"
    STALE = "stale"  # something it depends on has changed since: decide again
    LOST = "lost"  # another epoch: the lease is somebody else's
    ENDED = "ended"  # its time was over, and it was ended instead
    UNCERTAIN = "uncertain"  # committed with a warning: treated as not committed


@dataclass(frozen=True)
class Write:
    """One decision about one run, to be written whole or not at all, under `epoch` and `wakes` as seen.

    intents are dropped, and their calls left `pending`, where an operator has paused the tool. end: the run
    ends with this write. speaks: it stores a text or a round, and voids what another try left unfinished. wakes
    None: it decides nothing, and only the epoch must hold. good_until: a key that it counts on is honoured for no
    longer, so that later than this it must be decided again.
    """

    run_id: str
    epoch: int
    wakes: int | None
    payloads: tuple[Payload, ...] = ()
    messages: tuple[d.NewMessage, ...] = ()
    steps: tuple[d.NewStep, ...] = ()
    message_moves: tuple[d.MessageMove, ...] = ()
    step_moves: tuple[d.StepMove, ...] = ()
    calls: tuple[d.NewCall, ...] = ()
    intents: tuple[d.Intent, ...] = ()
    attempt_moves: tuple[e.AttemptMove, ...] = ()
    call_moves: tuple[d.CallMove, ...] = ()
    change: d.RunChange | None = None
    end: RunEnd | None = None
    tools: tuple[tuple[str, str], ...] = ()  # (tool_call_id, tool) of the intents
    speaks: bool = False
    good_until: datetime | None = None


@dataclass(frozen=True)
class Written:
    """What became of a write, and the ids of the calls whose intents were recorded."""

    applied: Applied
    intended: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Learnt:
    """Evidence about one call, and what it proves."""

    evidence: e.Evidence
    payloads: tuple[Payload, ...] = ()
    attempts: tuple[e.AttemptMove, ...] = ()
    claim: e.Claim | None = None
    settlement: e.Settlement | None = None
    note: e.CallNote | None = None
    effects: tuple[e.Effect, ...] = ()


@dataclass(frozen=True)
class LearntResult:
    """What evidence did: settled the call, or contradicted a verdict."""

    settled: bool
    conflict: bool
