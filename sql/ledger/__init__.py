"""Statements that every writer of the ledger shares: locking, ending and waking runs.

Order within a transaction: `lock_runs` alone, then the rest, runs before calls before attempts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sql.sealing import seal
from sql.statement import Statement, column, no_rows, rows_of, statement


def columns(rows: Iterable[Any], kind: type) -> dict[str, list[Any]]:
    """Rows of a dataclass as one array a field, for `unnest`; words go as plain text."""
    rows = list(rows)
    return {field.name: [_plain(getattr(row, field.name)) for row in rows] for field in fields(kind)}


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value


@dataclass(frozen=True)
class LockedRun:
    """A run under lock: what a decision compares with what it saw."""

    id: str
    epoch: int
    wakes: int
    active: bool
    expired: bool
    now: datetime


@dataclass(frozen=True)
class Payload:
    """Bytes that only `payloads` holds; key_id names the key that they were sealed with on their way there, if any."""

    id: UUID
    bytes: bytes
    key_id: str | None = None


@dataclass(frozen=True)
class RunEnd:
    """How a run ends: completed, failed (code and message), incomplete (reason), cancelled or expired."""

    id: str
    status: str
    error_code: str | None = None
    error_message: str | None = None
    incomplete_reason: str | None = None


@dataclass(frozen=True)
class WokenRun:
    """A run after `wake_runs`."""

    id: str
    status: str
    wakes: int


def lock_runs(ids: Sequence[str]) -> Statement[list[LockedRun]]:
    """Locks runs in the order of their keys, until the transaction ends."""
    return statement("ledger.lock_runs", rows_of(LockedRun), ids=list(ids))


def insert_payloads(payloads: Iterable[Payload]) -> Statement[None]:
    """Stores payloads under identifiers that the caller made, sealed where there is a key."""
    sealed = [Payload(payload.id, *seal(payload.bytes)) for payload in payloads]
    return statement("ledger.insert_payloads", no_rows, **columns(sealed, Payload))


def end_runs(ends: Iterable[RunEnd]) -> Statement[list[str]]:
    """Ends active runs and answers the ids of those that ended; ended ones are left alone."""
    return statement("ledger.end_runs", column, **columns(ends, RunEnd))


def cancel_waiting_calls(run_ids: Sequence[str]) -> Statement[None]:
    """Cancels the calls of ended runs of which nothing can have happened."""
    return statement("ledger.cancel_waiting_calls", no_rows, run_ids=list(run_ids))


def end_steps(run_ids: Sequence[str]) -> Statement[None]:
    """Gives the open steps of ended runs their run's status."""
    return statement("ledger.end_steps", no_rows, run_ids=list(run_ids))


def end_messages(run_ids: Sequence[str]) -> Statement[None]:
    """Marks the messages that failed, cancelled or expired runs were writing as incomplete."""
    return statement("ledger.end_messages", no_rows, run_ids=list(run_ids))


def complete_steps(run_ids: Sequence[str]) -> Statement[None]:
    """Completes the steps whose calls are all answered."""
    return statement("ledger.complete_steps", no_rows, run_ids=list(run_ids))


def wake_runs(ids: Sequence[str], *, fruitful: bool = False) -> Statement[list[WokenRun]]:
    """Tells runs that something they depend on has changed; `fruitful` when it is news of an effect."""
    return statement("ledger.wake_runs", rows_of(WokenRun), ids=sorted(ids), fruitful=fruitful)


def ending(ends: Sequence[RunEnd]) -> list[Statement[Any]]:
    """All that ending runs takes, in order, for one transaction that has locked them."""
    ids = [end.id for end in ends]
    return [end_runs(ends), cancel_waiting_calls(ids), end_steps(ids), end_messages(ids)]
