"""Statements of operators: what wants their attention, runs as they see them, and the trail of what they do."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sql.statement import Statement, no_rows, rows_of, statement
from sql.vocabulary import Attention


@dataclass(frozen=True)
class AttentionRow:
    """Why a person should look at a run or at one call of it, since when; reason: the call's, or the run's status."""

    attention: str
    run_id: str
    tool_call_id: str | None
    tool: str | None
    reason: str | None
    since: datetime


@dataclass(frozen=True)
class RunRow:
    """A run as operators see it. waits_for_client: a call of the client's is open."""

    id: str
    project_id: str
    thread_id: str
    assistant_id: str
    correlation_id: str
    traceparent: str | None
    ledger: str
    model: str
    status: str
    waits_for_client: bool
    rounds: int
    error_code: str | None
    error_message: str | None
    incomplete_reason: str | None
    created_at: datetime
    started_at: datetime | None
    waiting_since: datetime | None
    ended_at: datetime | None
    expires_at: datetime
    due_at: datetime | None
    lease_owner: str | None
    lease_until: datetime | None
    epoch: int
    wakes: int
    fruitless_claims: int
    poisoned_at: datetime | None

    @property
    def wire_status(self) -> str:
        """The status that clients see: `requires_action` only while a call of theirs is open."""
        return "in_progress" if self.status == "requires_action" and not self.waits_for_client else self.status


@dataclass(frozen=True)
class EventRow:
    """What became of a run: an event, of what, and words about it."""

    id: int
    run_id: str
    at: datetime
    event: str
    object_id: str | None
    data: dict[str, Any]


def list_attention(
    *,
    stuck_after_s: float,
    kinds: Collection[Attention] = tuple(Attention),
    run_ids: Sequence[str] | None = None,
    most: int = 10_000,
) -> Statement[list[AttentionRow]]:
    """Everything that wants a person's attention, oldest first; run_ids None: of all runs."""
    return statement(
        "operators.list_attention",
        rows_of(AttentionRow),
        kinds=[kind.value for kind in kinds],
        run_ids=None if run_ids is None else list(run_ids),
        stuck_after_s=stuck_after_s,
        most=most,
    )


def insert_audit(
    *,
    operator: str,
    action: str,
    reason: str,
    run_id: str | None = None,
    tool_call_id: str | None = None,
    object: str | None = None,
    seen: Mapping[str, Any] | None = None,
) -> Statement[None]:
    """Notes a change of an operator's, in the transaction that makes it; seen: what it was decided on."""
    return statement(
        "operators.insert_audit",
        no_rows,
        operator=operator,
        action=action,
        run_id=run_id,
        tool_call_id=tool_call_id,
        object=object,
        reason=reason,
        seen=json.dumps(seen or {}),
    )


def list_runs(
    *,
    ids: Sequence[str] | None = None,
    status: str | None = None,
    since: datetime | None = None,
    after: str | None = None,
    most: int = 500,
) -> Statement[list[RunRow]]:
    """A page of runs, newest first. after: id of the last of the page before; None of a filter is no filter."""
    return statement(
        "operators.list_runs",
        rows_of(RunRow),
        ids=None if ids is None else list(ids),
        status=status,
        since=since,
        after=after,
        most=most,
    )


def list_events(run_ids: Sequence[str], *, after: int = 0) -> Statement[list[EventRow]]:
    """The events of runs, in order; after: id of the last that was seen."""
    return statement("operators.list_events", rows_of(EventRow), run_ids=list(run_ids), after=after)


def resume_run(run_id: str) -> Statement[None]:
    """Clears `poisoned` and `stuck` and makes an active run due, unless somebody holds it."""
    return statement("operators.resume_run", no_rows, run_id=run_id)
