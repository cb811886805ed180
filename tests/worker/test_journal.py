"""The schedules that broke simpler rules on paper, on real connections: stale decisions fall, evidence stays.

Each schedule is also played with the row lock taken out of `lock_runs`, and must then do the harm: this proves
that the lock is what prevents it, and that the test can see it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
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
from sql.queue import claim_due, hand_back
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


def test_with_a_short_time_for_operators_a_held_run_is_due_no_later_than_its_end(book: Book) -> None:
    run = book.new_run(says(), ttl_s=8)
    claim(book)
    execute(book.raw, grant_time(run, operator_ttl_s=10))
    assert book.run(run).due_at == book.run(run).expires_at < book.run(run).lease_until


def test_a_lease_that_was_given_up_under_the_same_epoch_stays_given_up(book: Book) -> None:
    run = book.new_run(says())
    epoch = claim(book).epoch
    for change in (
        RunChange(run, epoch, released=True, due_at=book.run(run).expires_at),
        RunChange(run, epoch, needs_operator=True),
    ):
        write = Write(run, epoch, None, change=change)
        assert with_journal(book.dsn, lambda journal, write=write: journal.decide(write)).applied is Applied.HELD  # type: ignore[misc]
    assert book.run(run).due_at is not None


def test_a_decision_that_waited_for_the_lock_past_the_runs_end_ends_it(book: Book) -> None:
    run = book.new_run(says(), ttl_s=60)
    claim(book)
    write = decided_round(book.dsn, run)
    soon = "update counterfoil.runs set expires_at = counterfoil.db_now() + interval '0.3 s' where id = %s"
    book.raw.execute(soon, (run,))
    over = "select from counterfoil.runs where id = %s and expires_at <= counterfoil.db_now()"

    async def work(journal: Journal) -> Written:
        with psycopg.connect(book.dsn) as connection:
            execute(connection, lock_runs([run]))
            decision = asyncio.create_task(journal.decide(write))
            await asyncio.to_thread(await_blocked, book)
            await asyncio.to_thread(wait_until, lambda: book.rows(over, run), what="the run's end")
        return await decision

    assert with_journal(book.dsn, work).applied is Applied.ENDED
    assert book.attempts(run) == []


def test_hand_back_locks_in_the_order_of_all(book: Book) -> None:
    """Else it holds one and waits for another, while a batch does so the other way round."""
    runs = []
    for _ in range(3):
        runs.append(book.new_run(says()))
        claim(book)
    first, second, third = sorted(runs)
    epochs = {run: book.run(run).epoch for run in (second, third, first)}
    execute_all(book.raw, [lock_runs([first]), ledger.wake_runs([first])])  # its newest version lies last in the table

    def locks(name: str, *statements: Statement[Any]) -> None:
        with psycopg.connect(book.dsn, application_name=name) as connection:
            execute_all(connection, list(statements))

    waits = "select from pg_stat_activity where application_name = %s and wait_event_type = 'Lock'"
    with psycopg.connect(book.dsn) as connection, ThreadPoolExecutor() as pool:
        execute(connection, lock_runs([third]))
        given = pool.submit(locks, "gives", hand_back(epochs))
        wait_until(lambda: book.rows(waits, "gives"), what="the hand-back")
        batch = pool.submit(locks, "learns", lock_runs([first, second]))
        wait_until(lambda: batch.done() or book.rows(waits, "learns"), what="the batch")
        connection.rollback()
        given.result(), batch.result()
    assert all(book.run(run).lease_owner is None for run in runs)


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


def test_evidence_outlasts_a_database_that_only_reads_for_a_while(own_server: EmbeddedPostgres) -> None:
    """A failover has begun: what is in hand is tried again until there is a primary."""
    book = Book(own_server.dsn())
    run, call = sent_round(book)
    book.raw.execute("alter system set default_transaction_read_only = on")
    book.raw.execute("select pg_reload_conf()")

    def reads_only() -> bool:
        with psycopg.connect(book.dsn) as connection:
            return connection.execute("show default_transaction_read_only").fetchone() == ("on",)

    wait_until(reads_only, what="the new setting")

    async def work(journal: Journal) -> Any:
        learning = asyncio.create_task(journal.learn(reply_to(run, call)))
        await asyncio.sleep(0.5)  # some tries fail
        with psycopg.connect(book.dsn, autocommit=True, options="-c default_transaction_read_only=off") as connection:
            connection.execute("alter system reset default_transaction_read_only")
            connection.execute("select pg_reload_conf()")
        return await learning

    assert with_journal(book.dsn, work).settled
    assert book.evidence(run) == [("reply", "happened")]
    book.close()


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
