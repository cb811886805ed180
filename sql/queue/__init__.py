"""Statements of the queue: claiming due runs, holding and giving back their leases."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sql.statement import Statement, column, no_rows, rows_of, statement

# So many leases in a row that ended unreleased, with no intent, learn or park between, poison a run.
POISON_CLAIMS: Final = 5


@dataclass(frozen=True)
class ClaimedRun:
    """A run whose lease is now the worker's; `poisoned` ones were set aside instead."""

    id: str
    thread_id: str
    epoch: int
    fruitless_claims: int
    poisoned: bool
    dropped: bool


@dataclass(frozen=True)
class WatchedRun:
    """Epoch and wakes of a held run, now."""

    id: str
    epoch: int
    wakes: int


def claim_due(*, owner: str, max_runs: int, max_suspects: int, lease_s: float) -> Statement[list[ClaimedRun]]:
    """Claims due runs, the longest due first, and of those that may be killers at most `max_suspects`."""
    return statement(
        "queue.claim_due",
        rows_of(ClaimedRun),
        owner=owner,
        max_runs=max_runs,
        max_suspects=max_suspects,
        lease_s=lease_s,
        poison_claims=POISON_CLAIMS,
    )


def extend_leases(held: Mapping[str, int], *, lease_s: float) -> Statement[list[str]]:
    """Extends held leases (run → epoch); one missing from the answer is lost only if its epoch differs."""
    return statement("queue.extend_leases", column, ids=list(held), epochs=list(held.values()), lease_s=lease_s)


def watch_runs(ids: list[str]) -> Statement[list[WatchedRun]]:
    """Reads what became of held runs."""
    return statement("queue.watch_runs", rows_of(WatchedRun), ids=ids)


def hand_back(held: Mapping[str, int]) -> Statement[list[str]]:
    """Gives back leases (run → epoch) of which nothing is out; due at once."""
    return statement("queue.hand_back", column, ids=list(held), epochs=list(held.values()))


def report_worker(*, owner: str, host: str, pid: int, slots: int, stopped: bool = False) -> Statement[None]:
    """Says that a worker is alive, or has stopped, for the operators."""
    return statement("queue.report_worker", no_rows, owner=owner, host=host, pid=pid, slots=slots, stopped=stopped)
