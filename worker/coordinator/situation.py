"""What a decision is made on: a run and its calls, as values. Pure."""

from dataclasses import dataclass
from datetime import datetime

from app.catalog.tool import Contract
from sql.vocabulary import CallState, Executor, Ledger, Reason
from worker.coordinator.lifecycle import SETTLED
from worker.coordinator.verdict import AttemptView


@dataclass(frozen=True)
class Elder:
    """What equal calls asked for earlier mean for one that is held by them.

    open_state: of the newest that is not settled. holder_state: of the call that this one was held by, settled.
    """

    open_state: CallState | None = None
    holder_state: CallState | None = None


@dataclass(frozen=True)
class CallView:
    """A call with its contract and attempts. known: its tool is in the catalog; sendable: and not paused."""

    run_id: str
    tool_call_id: str
    round: int
    index: int
    tool: str
    executor: Executor
    contract: Contract
    state: CallState
    attempts: tuple[AttemptView, ...] = ()
    reason: str | None = None
    not_before: datetime | None = None
    lookups: int = 0
    told: bool = False
    conflicted: bool = False
    sendable: bool = True
    known: bool = True
    elder: Elder | None = None

    @property
    def key(self) -> tuple[str, str]:
        """(run, call)."""
        return self.run_id, self.tool_call_id

    @property
    def sent_by_operator(self) -> bool:
        """Whether a person said that it is to be sent again, and it has not been yet."""
        return self.state == CallState.PENDING and self.reason == Reason.OPERATOR_RETRY

    @property
    def answered(self) -> bool:
        """Whether the model has an answer: settled, or told that it is in doubt."""
        return self.state in SETTLED or self.told


@dataclass(frozen=True)
class RunView:
    """What a decision needs of a run."""

    ended: bool
    expired: bool
    poisoned: bool
    ledger: Ledger
