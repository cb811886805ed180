"""The ledger under any interleaving: phases of workers, clients, operators and time, one at a time, on a real Postgres.

Hypothesis chooses the schedule; after each step the ledger is held against a simulated world. A schedule that
breaks a law is shrunk, and printed as the calls that play it again. `./test simulation` tries 10,000.
"""

import asyncio
import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from app.operations import By, carry_out, resolve
from app.resolution import Refused, Verdict, Word
from tests.simulation.crew import Crew, Logical
from tests.simulation.laws import ACTIVE, AUTOMATIC, Laws
from tests.simulation.world import CONTRACTS, FATES, Fate, World
from tests.support.ledger import Book
from worker.database import connect
from worker.journal import Journal

SCHEDULES: Final = int(os.environ.get("SCHEDULES", "300"))
PARTS: Final = 4  # for several processes at once
STEPS: Final = 30
BEGAN: Final = datetime(2026, 3, 12, 10, 0, tzinfo=UTC).timestamp()
WORKERS: Final = 2
TABLES: Final = (
    "evidence, effects, attempts, tool_calls, steps, messages, run_events, runs, threads, payloads, audit, tools"
)
CLOCK: Final = """
create table if not exists counterfoil.simulated_clock (now timestamptz not null);
create or replace function counterfoil.db_now() returns timestamptz language sql stable parallel safe
return (select c.now from counterfoil.simulated_clock as c);
"""
PICK: Final = st.integers(0, 5)
FATE: Final = st.sampled_from([*FATES, "late", "late", "lost"])
CALLS: Final = st.lists(st.sampled_from(sorted(CONTRACTS)), min_size=1, max_size=2)
AGES: Final = st.sampled_from([0.1, 0.5, 1.0, 2.1, 3.6, 5.6, 6.0, 15.0])


class Place:
    """What all schedules share: a database with a clock of its own, and a loop with a journal."""

    def __init__(self, dsn: str) -> None:
        self.book = Book(dsn)
        self.raw = self.book.raw
        self.raw.execute(CLOCK)
        self.raw.execute("insert into counterfoil.simulated_clock values (to_timestamp(%s))", (BEGAN,))
        self.runner = asyncio.Runner()
        self.journal = self.runner.run(self._journal(dsn))

    async def _journal(self, dsn: str) -> Journal:
        return Journal(lambda: connect(dsn), operator_ttl_s=500)

    def clear(self) -> None:
        """Everything is forgotten, and the clock is where it began."""
        tables = ", ".join(f"counterfoil.{name.strip()}" for name in TABLES.split(","))
        self.raw.execute(f"truncate {tables} cascade")
        self.set_clock(BEGAN)

    def set_clock(self, now: float) -> None:
        """The database's one clock says so from now on."""
        self.raw.execute("update counterfoil.simulated_clock set now = to_timestamp(%s)", (now,))

    def close(self) -> None:
        """End the loop and the connections."""
        self.runner.run(self.journal.close())
        self.runner.close()
        self.book.close()


PLACE: list[Place] = []  # hypothesis makes machines without arguments


class Simulation(RuleBasedStateMachine):
    """One schedule."""

    def __init__(self) -> None:
        super().__init__()
        self.place = PLACE[-1]
        self.place.clear()
        self.world = World(now=BEGAN)
        self.crew = Crew(self.place.runner, self.place.journal, self.place.raw, self.world)
        self.laws = Laws(self.place.raw, self.world)
        self.workers = [self.crew.new_worker() for _ in range(WORKERS)]
        self.threads: list[str] = []
        self.closing: Fate = "done"

    def worker(self, index: int) -> Logical:
        """One of the workers that are alive."""
        return self.workers[index % WORKERS]

    def each(self, name: str) -> list[tuple[Logical, int]]:
        """What all workers have of a kind, as (worker, place)."""
        return [(worker, place) for worker in self.workers for place in range(len(getattr(worker, name)))]

    def runs(self, name: str) -> list[tuple[Logical, str]]:
        """The runs that workers hold, or have looked at."""
        return [(worker, run) for worker in self.workers for run in sorted(getattr(worker, name))]

    # Clients ----------------------------------------------------------------------------------------

    @initialize(rounds=st.lists(CALLS, min_size=1, max_size=2), closing=st.sampled_from(["done", "failed", "refused"]))
    def first_run(self, rounds: list[list[str]], closing: Fate) -> None:
        """There is something to do; what becomes of requests after the schedule."""
        self.closing = closing
        self.create(thread=None, rounds=rounds, ttl_s=600, begun=True)

    @rule(
        thread=st.none() | PICK,
        rounds=st.lists(CALLS, min_size=1, max_size=2),
        ttl_s=st.sampled_from([8, 600, 600]),
        begun=st.sampled_from([True, True, False]),
    )
    def create(self, thread: int | None, rounds: list[list[str]], ttl_s: int, begun: bool) -> None:
        """A client makes a run, on a thread that it may have used before; calls of one tool are equal calls."""
        if thread is None or not self.threads:
            self.threads.append(self.place.book.new_thread())
            chosen = self.threads[-1]
        else:
            chosen = self.threads[thread % len(self.threads)]
        with contextlib.suppress(psycopg.errors.UniqueViolation):  # it has an active run
            run = self.place.book.new_run(thread=chosen, ttl_s=ttl_s)
            self.crew.plans[run] = [[(tool, "the same") for tool in calls] for calls in rounds]
        if begun:
            self._go_on(self.workers[0], sends=False)

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        """A client cancels."""
        active = sorted(r.id for r in self.laws.rows("select id, status from counterfoil.runs") if r.status in ACTIVE)
        if active:
            self.place.book.end(active[pick % len(active)], "cancelled")

    # Workers ----------------------------------------------------------------------------------------

    @rule(w=PICK)
    def claim(self, w: int) -> None:
        """A worker claims what is due."""
        self.crew.claim(self.worker(w))

    @rule(w=PICK)
    def go_on(self, w: int) -> None:
        """A worker does all that it can, but for requests to tools."""
        self._go_on(self.worker(w), sends=False)

    @precondition(lambda self: self.runs("held"))
    @rule(w=PICK)
    def renew(self, w: int) -> None:
        """A worker renews its leases."""
        self.crew.renew(self.worker(w))

    @precondition(lambda self: self.runs("held"))
    @rule(pick=PICK)
    def look(self, pick: int) -> None:
        """A worker looks at one of its runs, and decides."""
        held = self.runs("held")
        self.crew.look(*held[pick % len(held)])

    @precondition(lambda self: self.runs("seen"))
    @rule(pick=PICK)
    def act(self, pick: int) -> None:
        """A worker writes what it decided some time ago."""
        seen = self.runs("seen")
        self.crew.act(*seen[pick % len(seen)])

    @precondition(lambda self: self.each("out"))
    @rule(pick=PICK, fate=FATE, late_s=st.sampled_from([0.3, 1.0]), after_s=st.sampled_from([0.0, 0.0, 0.9, 1.9]))
    def transmit(self, pick: int, fate: Fate, late_s: float, after_s: float) -> None:
        """A request goes out, perhaps after a stall, and the world does with it what it likes."""
        out = self.each("out")
        self.wait(after_s)
        self.crew.transmit(*out[pick % len(out)], fate, late_s)

    @precondition(lambda self: self.each("out"))
    @rule(
        w=PICK,
        fate=st.sampled_from(["lost", "late", "nothing"]),
        late_s=st.sampled_from([0.3, 1.0]),
        dies=st.booleans(),
    )
    def lose_answers(self, w: int, fate: Fate, late_s: float, dies: bool) -> None:
        """All that a worker is to send goes out, and no answer comes; it learns so, or dies before."""
        worker = self.worker(w)
        while worker.out:
            self.crew.transmit(worker, 0, fate, late_s)
        if dies:
            self.crash(w)
        while worker.mail and not dies:
            self.crew.learn(worker, 0, keep=False)

    @precondition(lambda self: self.each("looking"))
    @rule(pick=PICK, down=st.sampled_from([False, False, False, True]))
    def inquire(self, pick: int, down: bool) -> None:
        """A lookup goes out."""
        looking = self.each("looking")
        self.crew.inquire(*looking[pick % len(looking)], down=down)

    @precondition(lambda self: self.each("mail"))
    @rule(pick=PICK, keep=st.booleans())
    def learn(self, pick: int, keep: bool) -> None:
        """What was learnt is recorded: late, in another order, or twice."""
        mail = self.each("mail")
        self.crew.learn(*mail[pick % len(mail)], keep=keep)

    @precondition(lambda self: self.runs("held") or self.each("mail"))
    @rule(w=PICK)
    def crash(self, w: int) -> None:
        """A worker dies, with all that it knew."""
        self.workers[w % WORKERS] = self.crew.new_worker()

    # Operators and time -----------------------------------------------------------------------------

    @precondition(lambda self: self._waiting())
    @rule(pick=PICK, word=st.sampled_from([Verdict.RETRY, Verdict.FAILED, Verdict.LOOKUP]))
    def resolve(self, pick: int, word: Verdict) -> None:
        """An operator says what is true of a call that waits for one."""
        waiting = self._waiting()
        call = waiting[pick % len(waiting)]
        key = (call.run_id, call.tool_call_id)
        [effect, *_] = self.world.effects(key) or [None]
        said = Word(*key, word)
        if effect is not None:
            said = Word(*key, Verdict.HAPPENED, effect.body.decode(), effect.id)
        with contextlib.suppress(Refused):
            carry_out(self.place.raw, lambda t: resolve(t, said, By("o", "drill")))

    def _waiting(self) -> list[Any]:
        query = "select * from counterfoil.tool_calls where state = 'needs_operator' order by run_id, round, index"
        return self.laws.rows(query)

    @rule(seconds=AGES, then=st.none() | PICK)
    def wait_and_go_on(self, seconds: float, then: int | None) -> None:
        """Time passes, and perhaps a worker does all that it then can, but for requests to tools."""
        self.wait(seconds)
        if then is not None:
            self._go_on(self.worker(then), sends=False)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.world.now += seconds
        self.place.set_clock(self.world.now)

    @invariant()
    def laws_hold(self) -> None:
        """Of the ledger and the world, after every step."""
        self.laws.hold()

    def teardown(self) -> None:
        """Everybody goes on undisturbed: whatever can be settled is."""
        for turn in range(80):
            self.wait(0.7 if turn < 12 else 3.0)
            for worker in self.workers:
                self._go_on(worker, sends=True)
            if not self._left():
                break
        self.laws.hold()
        assert not self._left(), f"never settled: {self._left()}"

    def _go_on(self, worker: Logical, *, sends: bool) -> None:
        self.crew.claim(worker)
        for _ in range(8):
            before = (len(worker.held), len(worker.out), len(worker.looking), len(worker.mail))
            for run in sorted(worker.held):
                self.crew.look(worker, run)
                if run in worker.seen:
                    self.crew.act(worker, run)
            while worker.out and sends:
                self.crew.transmit(worker, 0, self.closing, 0.0)
            while worker.looking:
                self.crew.inquire(worker, 0, down=False)
            while worker.mail:
                self.crew.learn(worker, 0, keep=False)
            if not worker.held or before == (len(worker.held), len(worker.out), len(worker.looking), 0):
                break

    def _left(self) -> list[Any]:
        calls = self.laws.rows("select * from counterfoil.tool_calls where settled_at is null")
        cared_for = {c.run_id for c in calls if c.state == "needs_operator"}
        cared_for |= {r.id for r in self.laws.rows("select id from counterfoil.runs where poisoned_at is not null")}
        runs = self.laws.rows("select id, status from counterfoil.runs")
        open_calls = [(c.run_id, c.tool, c.state, c.reason) for c in calls if c.state in AUTOMATIC]
        return [c for c in open_calls if c[0] not in cared_for] + [
            (r.id, r.status) for r in runs if r.status in ACTIVE and r.id not in cared_for
        ]


@pytest.fixture
def place(database: str) -> Iterator[Place]:
    """A database for all schedules of a test."""
    PLACE.append(Place(database))
    yield PLACE[-1]
    PLACE.pop().close()


@pytest.mark.parametrize("part", range(PARTS))
def test_no_schedule_breaks_a_law(place: Place, part: int) -> None:
    checks = settings(
        max_examples=max(SCHEDULES // PARTS, 1),
        stateful_step_count=STEPS,
        derandomize=False,  # nor on a build server: others each time, in each part
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
        phases=[
            Phase.explicit,
            Phase.reuse,
            Phase.generate,
            *([] if os.environ.get("SHRINK") == "no" else [Phase.shrink]),
        ],
    )
    run_state_machine_as_test(Simulation, settings=checks)
