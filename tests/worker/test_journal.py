"""The schedules that broke simpler rules on paper, on real connections: stale decisions fall, evidence stays.

Each schedule is also played with the row lock taken out of `lock_runs`, and must then do the harm: this proves
that the lock is what prevents it, and that the test can see it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import psycopg
import pytest

from sql import ledger
from sql.decisions import RunChange
from sql.embedded import EmbeddedPostgres
from sql.events import grant_time
from sql.execute import execute, execute_all
from sql.ledger import RunEnd, lock_runs
from sql.queue import claim_due
from sql.statement import Statement
from sql.tools import pause_tool
from tests.support.ledger import Book, says
from tests.support.processes import wait_until
from tests.worker.builders import claim, reply_to, round_of
from worker.database import ask, connect, transaction
from worker.journal import Journal
from worker.records import Applied, Write, Written

T = TypeVar("T")
BLOCKED = (
    "select from pg_stat_activity where datname = current_database()"
    " and application_name = 'counterfoil worker' and wait_event_type = 'Lock'"
)
Other = Callable[[psycopg.Connection, str], None]


@pytest.fixture
def book(database: str) -> Any:
    """An empty ledger."""
    opened = Book(database)
    yield opened
    opened.close()


def with_journal(dsn: str, work: Callable[[Journal], Awaitable[T]]) -> T:
    """What `work` answers, given a journal on connections of its own."""

    async def main() -> T:
        journal = Journal(lambda: connect(dsn), operator_ttl_s=86_400)
        try:
            return await work(journal)
        finally:
            await journal.close()

    return asyncio.run(main())


def decided_round(dsn: str, run_id: str) -> Write:
    """A round with one call and its intent, decided on the run as it is now."""

    async def work(journal: Journal) -> Write:
        loaded = await journal.load(run_id)
        assert loaded is not None
        return round_of(loaded.run)

    return with_journal(dsn, work)


def without_lock(ids: list[str]) -> Statement[Any]:
    """`lock_runs` as it must not be."""
    locking = lock_runs(ids)
    assert "for no key update" in locking.text
    return replace(locking, text=locking.text.replace("for no key update", ""))


# What another does at the same time -----------------------------------------------------------------


def claims_it(connection: psycopg.Connection, run_id: str) -> None:
    """The lease was over, and another worker claims the run."""
    connection.execute("update counterfoil.runs set due_at = counterfoil.db_now() where id = %s", (run_id,))
    [claimed] = execute(connection, claim_due(owner="worker-b", max_runs=1, max_suspects=1, lease_s=30))
    assert claimed.id == run_id


def ends_it(connection: psycopg.Connection, run_id: str) -> None:
    """The client cancels the run."""
    execute(connection, lock_runs([run_id]))
    for statement in ledger.ending([RunEnd(run_id, "cancelled")]):
        execute(connection, statement)


def wakes_it(connection: psycopg.Connection, run_id: str) -> None:
    """Something that the decision depends on changes."""
    execute_all(connection, [lock_runs([run_id]), ledger.wake_runs([run_id])])


def meanwhile(book: Book, write: Write, other: Other) -> Written:
    """The other has changed the run and not yet committed when the decision comes, and commits once that waits."""

    async def work(journal: Journal) -> Written:
        with psycopg.connect(book.dsn) as connection:
            other(connection, write.run_id)
            decision = asyncio.create_task(journal.decide(write))
            await asyncio.to_thread(await_blocked, book)
            connection.commit()
        return await decision

    return with_journal(book.dsn, work)


def await_blocked(book: Book) -> None:
    """Wait until a session of a worker waits for a lock."""
    wait_until(lambda: book.rows(BLOCKED), what="a blocked decision")


@pytest.mark.parametrize(
    ("other", "fate"), [(claims_it, Applied.LOST), (ends_it, Applied.LOST), (wakes_it, Applied.STALE)]
)
def test_a_decision_that_another_overtakes_is_refused_whole(book: Book, other: Other, fate: Applied) -> None:
    run = book.new_run(says())
    claim(book)
    written = meanwhile(book, decided_round(book.dsn, run), other)
    assert written == Written(fate)
    assert book.calls(run) == []
    assert book.attempts(run) == []


@pytest.mark.parametrize("other", [claims_it, ends_it, wakes_it])
def test_without_the_lock_the_overtaken_decision_would_send(
    book: Book, other: Other, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = book.new_run(says())
    claim(book)
    write = decided_round(book.dsn, run)
    monkeypatch.setattr(ledger, "lock_runs", without_lock)
    written = meanwhile(book, write, other)
    assert written.applied is Applied.HELD
    assert len(book.attempts(run)) == 1, "an intent that nobody may have made"


# What is refused, without a race ----------------------------------------------------------------------


def test_decisions_under_an_old_epoch_or_old_wakes_are_refused(book: Book) -> None:
    run = book.new_run(says())
    claim(book)
    now = decided_round(book.dsn, run)

    async def work(journal: Journal) -> list[Applied]:
        writes = [replace(now, epoch=now.epoch - 1), replace(now, wakes=(now.wakes or 0) - 1), now]
        return [(await journal.decide(write)).applied for write in writes]

    assert with_journal(book.dsn, work) == [Applied.LOST, Applied.STALE, Applied.HELD]
    assert len(book.attempts(run)) == 1


def test_a_run_past_its_time_is_ended_instead(book: Book) -> None:
    run = book.new_run(says(), ttl_s=30)
    claim(book)
    write = decided_round(book.dsn, run)
    book.raw.execute("update counterfoil.runs set expires_at = counterfoil.db_now() where id = %s", (run,))
    written = with_journal(book.dsn, lambda journal: journal.decide(write))
    assert written == Written(Applied.ENDED)
    assert (book.run(run).status, book.attempts(run)) == ("expired", [])


def test_a_pause_that_was_committed_first_stops_the_intent(book: Book) -> None:
    run = book.new_run(says())
    claim(book)
    write = decided_round(book.dsn, run)
    execute(book.raw, pause_tool(name="pay", operator="ann", reason="stop"))
    written = with_journal(book.dsn, lambda journal: journal.decide(write))
    assert written == Written(Applied.HELD, frozenset())
    assert [call.state for call in book.calls(run)] == ["pending"]
    assert book.attempts(run) == []


def test_of_two_decisions_at_once_about_one_run_one_holds(book: Book) -> None:
    """Each ends with an intent; the second one's would be another request."""
    run = book.new_run(says())
    claim(book)
    write = decided_round(book.dsn, run)

    async def work(journal: Journal) -> list[Any]:
        one, two = journal.decide(write), journal.decide(write)
        return list(await asyncio.gather(one, two, return_exceptions=True))

    first, second = with_journal(book.dsn, work)
    assert first.applied is Applied.HELD
    assert isinstance(second, psycopg.errors.UniqueViolation)
    assert len(book.attempts(run)) == 1


@pytest.mark.parametrize("by", ["decision", "tool event"])
def test_a_held_run_that_now_needs_an_operator_is_not_due_at_its_old_end(book: Book, by: str) -> None:
    """Claimed shortly before its end, it was due at that end: sooner than the lease that holds it is over."""
    run = book.new_run(says(), ttl_s=8)
    epoch = claim(book).epoch
    assert book.run(run).due_at == book.run(run).expires_at
    if by == "decision":
        write = Write(run, epoch, None, change=RunChange(run, epoch, needs_operator=True))
        assert with_journal(book.dsn, lambda journal: journal.decide(write)).applied is Applied.HELD
    else:
        execute(book.raw, grant_time(run, operator_ttl_s=86_400))
    assert book.run(run).due_at == book.run(run).lease_until < book.run(run).expires_at


# Evidence -------------------------------------------------------------------------------------------


def sent_round(book: Book) -> tuple[str, str]:
    """A run whose one call is out: (run, call)."""
    run = book.new_run(says())
    claim(book)
    write = decided_round(book.dsn, run)
    written = with_journal(book.dsn, lambda journal: journal.decide(write))
    assert written.applied is Applied.HELD
    return run, write.calls[0].tool_call_id


@pytest.mark.parametrize("other", [claims_it, ends_it, wakes_it])
def test_evidence_is_kept_whatever_became_of_the_lease(book: Book, other: Other) -> None:
    run, call = sent_round(book)
    with psycopg.connect(book.dsn) as connection:
        other(connection, run)
    before = book.run(run)
    result = with_journal(book.dsn, lambda journal: journal.learn(reply_to(run, call)))
    assert (result.settled, result.conflict) == (True, False)
    assert book.traces(run) == [("succeeded", ("succeeded",))]
    after = book.run(run)
    assert after.wakes == before.wakes + 1
    assert (after.epoch, after.lease_owner, after.lease_until) == (
        before.epoch,
        before.lease_owner,
        before.lease_until,
    ), "news never shortens a lease"


def test_evidence_that_comes_twice_settles_once(book: Book) -> None:
    run, call = sent_round(book)

    async def work(journal: Journal) -> list[Any]:
        return [await journal.learn(reply_to(run, call)) for _ in range(2)]

    first, second = with_journal(book.dsn, work)
    assert (first.settled, second.settled) == (True, False)
    assert not second.conflict
    assert len(book.evidence(run)) == 2


def test_a_decision_that_did_not_see_the_evidence_is_refused(book: Book) -> None:
    """Else a call that has just succeeded could be sent once more."""
    run, call = sent_round(book)

    async def work(journal: Journal) -> Applied:
        loaded = await journal.load(run)
        assert loaded is not None
        await journal.learn(reply_to(run, call))
        return (await journal.decide(round_of(loaded.run))).applied

    assert with_journal(book.dsn, work) is Applied.STALE


# Commits that cannot be trusted -----------------------------------------------------------------------


def test_a_commit_with_a_warning_counts_as_none(own_server: EmbeddedPostgres) -> None:
    """A cancelled wait for a standby: committed here, perhaps not there, and so nothing may be sent on it."""
    book = Book(own_server.dsn())
    run = book.new_run(says())
    claim(book)
    write = decided_round(book.dsn, run)
    book.raw.execute("set synchronous_commit = local")
    book.raw.execute("alter system set synchronous_standby_names = 'nobody'")
    book.raw.execute("select pg_reload_conf()")
    cancel = "select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'"

    async def work(journal: Journal) -> Written:
        decision = asyncio.create_task(journal.decide(write))
        while not decision.done():
            book.raw.execute(cancel)
            await asyncio.sleep(0.02)
        return await decision

    written = with_journal(book.dsn, work)
    assert written == Written(Applied.UNCERTAIN)
    assert len(book.attempts(run)) == 1, "it is there all the same: an attempt that was never sent, and is in doubt"
    book.close()


def test_a_process_that_stops_while_it_decides_keeps_no_lock(book: Book) -> None:
    """Stopped between the lock and the rest: the server ends its session, and others may decide about the run."""
    run = book.new_run(says())

    async def stop_in_the_middle() -> None:
        connection = await connect(book.dsn)
        with pytest.raises(psycopg.OperationalError):
            async with transaction(connection) as pipeline:
                await ask(connection, pipeline, lock_runs([run]))
                # Nothing is said to the server for longer than it lets a transaction idle.
                waiting = "select state from pg_stat_activity where datname = current_database() and pid = %s"
                pid = connection.info.backend_pid
                await asyncio.to_thread(
                    wait_until, lambda: not book.rows(waiting, pid), limit_s=30, what="the end of the session"
                )
        await connection.close()

    asyncio.run(stop_in_the_middle())
