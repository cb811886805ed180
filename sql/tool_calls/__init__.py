"""Statements about calls, for operators: what became of them, and one to speak about."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sql.statement import Statement, no_rows, row_of, rows_of, statement


@dataclass(frozen=True)
class CallRow:
    """A call as operators see it: everything but its payloads."""

    run_id: str
    tool_call_id: str
    thread_id: str
    round: int
    index: int
    tool: str
    executor: str
    repeat: str
    contract: dict[str, Any]
    fingerprint: str
    effect_key: str
    state: str
    reason: str | None
    external_id: str | None
    held_by_run: str | None
    held_by_call: str | None
    suspected_duplicate: bool
    lookups: int
    not_before: datetime | None
    created_at: datetime
    told_at: datetime | None
    in_doubt_since: datetime | None
    needs_operator_since: datetime | None
    settled_at: datetime | None
    settled_by: str | None
    conflict_at: datetime | None
    orphan_at: datetime | None
    seen_at: datetime | None
    version: int

    @property
    def key(self) -> tuple[str, str]:
        """(run, call)."""
        return self.run_id, self.tool_call_id


@dataclass(frozen=True)
class AttemptRow:
    """An attempt as operators see it. over_at: when its effect can no longer come about or become visible."""

    run_id: str
    tool_call_id: str
    number: int
    epoch: int
    owner: str
    state: str
    intended_at: datetime
    deadline: datetime
    closed_at: datetime | None
    reason: str | None
    http_status: int | None
    external_id: str | None
    over_at: datetime


@dataclass(frozen=True)
class EvidenceRow:
    """A piece of evidence, without its body."""

    run_id: str
    tool_call_id: str
    attempt: int | None
    kind: str
    says: str
    reason: str | None
    at: datetime
    source: str
    http_status: int | None
    external_id: str | None


@dataclass(frozen=True)
class CallFacts:
    """A call as an operator's word about it needs it; `now` is the database's clock when it was read.

    contested, orphaned: None or False when there is nothing of the kind that nobody has seen.
    """

    run_id: str
    tool_call_id: str
    tool: str
    executor: str
    repeat: str
    contract: dict[str, Any]
    state: str
    reason: str | None
    external_id: str | None
    told: bool
    settled_at: datetime | None
    settled_by: str | None
    contested: bool | None
    orphaned: bool | None
    version: int
    run_status: str
    ledger: str
    ended: bool
    last_operator: str | None
    now: datetime


def list_calls(
    *,
    run_ids: Sequence[str] | None = None,
    tool_call_id: str | None = None,
    state: str | None = None,
    tool: str | None = None,
    since: datetime | None = None,
    after: CallRow | None = None,
    most: int = 500,
) -> Statement[list[CallRow]]:
    """A page of calls, newest run first. after: the last of the page before; None of a filter is no filter."""
    return statement(
        "tool_calls.list_calls",
        rows_of(CallRow),
        run_ids=None if run_ids is None else list(run_ids),
        tool_call_id=tool_call_id,
        state=state,
        tool=tool,
        since=since,
        after_run=after and after.run_id,
        after_round=after and after.round,
        after_index=after and after.index,
        most=most,
    )


def list_attempts(keys: Sequence[tuple[str, str]]) -> Statement[list[AttemptRow]]:
    """The attempts of calls by (run, call), in order."""
    return statement("tool_calls.list_attempts", rows_of(AttemptRow), **_columns(keys))


def list_evidence(keys: Sequence[tuple[str, str]]) -> Statement[list[EvidenceRow]]:
    """The evidence of calls by (run, call), in order of its coming."""
    return statement("tool_calls.list_evidence", rows_of(EvidenceRow), **_columns(keys))


def load_call(run_id: str, tool_call_id: str) -> Statement[CallFacts | None]:
    """One call, to be spoken about."""
    return statement("tool_calls.load_call", row_of(CallFacts), run_id=run_id, tool_call_id=tool_call_id)


def mark_seen(run_id: str, tool_call_id: str) -> Statement[None]:
    """Clears `conflict` and `orphan_effect` until there is newer evidence."""
    return statement("tool_calls.mark_seen", no_rows, run_id=run_id, tool_call_id=tool_call_id)


def _columns(keys: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    return {"run_ids": [run for run, _ in keys], "tool_call_ids": [call for _, call in keys]}
