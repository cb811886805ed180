"""What must hold after every step, by the ledger and the world beside each other (ARCHITECTURE.md, Invariants)."""

from collections import Counter
from typing import Any, Final

import psycopg
from psycopg.rows import namedtuple_row

from tests.simulation.world import World

SETTLED: Final = ("succeeded", "failed", "cancelled")
ACTIVE: Final = ("queued", "in_progress", "requires_action")
AUTOMATIC: Final = ("pending", "held", "intended", "accepted", "in_doubt")
RUNS: Final = "select *, counterfoil.db_now() as now from counterfoil.runs"
CALLS: Final = "select * from counterfoil.tool_calls"
ATTEMPTS: Final = (
    "select *, extract(epoch from deadline)::float8 as deadline_s, extract(epoch from intended_at)::float8 as at_s"
    " from counterfoil.attempts"
)


class Laws:
    """Remembers what was settled how, and asserts."""

    def __init__(self, connection: psycopg.Connection[Any], world: World) -> None:
        self.connection, self.world = connection, world
        self.settled: dict[tuple[str, str], str] = {}
        self.checked = 0

    def rows(self, query: str) -> list[Any]:
        """All rows of a query."""
        with self.connection.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(query).fetchall()

    def hold(self) -> None:
        """Assert all of them now."""
        runs = {run.id: run for run in self.rows(RUNS)}
        calls = {(c.run_id, c.tool_call_id): c for c in self.rows(CALLS)}
        attempts = {(a.run_id, a.tool_call_id, a.number): a for a in self.rows(ATTEMPTS)}
        self._nothing_twice()
        self._no_request_without_intent(runs, attempts)
        for call in calls.values():
            self._verdict_is_true(call, attempts)
            self._settled_stays(call)
        for run in runs.values():
            own = [c for c in calls.values() if c.run_id == run.id]
            self._nothing_waits_unseen(run, own)

    def _nothing_twice(self) -> None:
        counts = Counter(effect.key for effect in self.world.planned)  # those that are on their way too
        twice = {key: count for key, count in counts.items() if count > 1}
        assert not twice, f"an effect happened twice: {twice}"

    def _no_request_without_intent(self, runs: dict[str, Any], attempts: dict[Any, Any]) -> None:
        """Invariants 1, 2, 8; each request once."""
        for request in self.world.requests[self.checked :]:
            attempt = attempts.get((*request.key, request.attempt))
            assert attempt is not None, f"a request without an intent: {request}"
            assert request.at <= attempt.deadline_s, f"a request after its attempt's deadline: {request}"
            run = runs[request.key[0]]
            assert run.ended_at is None or attempt.intended_at <= run.ended_at, "an ended run intended something"
        self.checked = len(self.world.requests)
        again = Counter((r.key, r.attempt) for r in self.world.requests)
        assert all(count == 1 for count in again.values()), f"one attempt was sent twice: {again}"

    def _verdict_is_true(self, call: Any, attempts: dict[Any, Any]) -> None:
        """Invariants 3, 4: success has an effect, failure and cancellation have none, now or later."""
        key = (call.run_id, call.tool_call_id)
        if call.executor != "server" or call.repeat == "safe":
            return
        own = [e for e in self.world.planned if e.key == key]
        if call.state == "succeeded":
            shared = [e for e in self.world.effects() if e.id == call.external_id]
            assert own or shared, f"succeeded without an effect: {key} by {call.settled_by}"
        if call.state in ("failed", "cancelled") and call.told_at is None:
            assert not own, f"{call.state} ({call.reason}), and it happened: {own}"
        if call.state in ("pending", "held"):
            open_ones = [a for a in attempts.values() if (a.run_id, a.tool_call_id) == key and a.state == "open"]
            assert not open_ones, f"{call.state} with an open attempt"

    def _settled_stays(self, call: Any) -> None:
        """Invariant 6."""
        key = (call.run_id, call.tool_call_id)
        if key in self.settled:
            assert call.state == self.settled[key], f"settled {self.settled[key]} became {call.state}"
        elif call.state in SETTLED:
            self.settled[key] = call.state

    def _nothing_waits_unseen(self, run: Any, calls: list[Any]) -> None:
        """Invariants 7, 9."""
        waiting = [c for c in calls if c.executor == "server" and c.state in AUTOMATIC]
        if run.status in ACTIVE or (waiting and run.poisoned_at is None):
            assert run.due_at is not None, f"{run.status}, {[c.state for c in waiting]}, and never due"
        if run.lease_until is not None and run.lease_until > run.now:
            until = run.lease_until if run.ended_at is not None else min(run.lease_until, run.expires_at)
            assert run.due_at is not None and run.due_at >= until, "a live lease was shortened"
