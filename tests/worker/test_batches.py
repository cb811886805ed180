"""Batches: one commit serves many, a bad row fails its caller only, and evidence waits for the database."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg import AsyncConnection
from structlog.testing import capture_logs

from sql.embedded import EmbeddedPostgres
from sql.execute import execute
from sql.ledger import lock_runs
from tests.support.ledger import Book, says
from tests.support.processes import wait_until
from tests.worker.builders import claim, reply_to, round_of
from worker import batches
from worker.batches import Batcher, DatabaseGone
from worker.database import connect, transaction
from worker.journal import Journal

T = TypeVar("T")
BLOCKED = (
    "select from pg_stat_activity where datname = current_database()"
    " and application_name = 'counterfoil worker' and wait_event_type = 'Lock'"
)


@pytest.fixture
def book(database: str) -> Iterator[Book]:
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


def calls_out(book: Book, *, runs: int, calls: int) -> list[tuple[str, str]]:
    """(run, call) of calls whose requests are out."""
    ids = []
    for _ in range(runs):
        book.new_run(says())
        ids.append(claim(book).id)

    async def work(journal: Journal) -> list[tuple[str, str]]:
        loaded = await asyncio.gather(*(journal.load(run) for run in ids))
        texts = [f'{{"n": {n}}}' for n in range(calls)]
        writes = [round_of(one.run, *texts) for one in loaded if one is not None]
        await asyncio.gather(*(journal.decide(write) for write in writes))
        return [(write.run_id, call.tool_call_id) for write in writes for call in write.calls]

    return with_journal(book.dsn, work)


def states(book: Book, keys: Sequence[tuple[str, str]]) -> list[str]:
    """The states of calls, in order."""
    found = {(row.run_id, row.tool_call_id): row.state for row in book.rows("select * from counterfoil.tool_calls")}
    return [found[key] for key in keys]


def test_one_commit_serves_many(book: Book) -> None:
    keys = calls_out(book, runs=20, calls=3)

    async def work(journal: Journal) -> list[Any]:
        return await asyncio.gather(*(journal.learn(reply_to(*key)) for key in keys))

    assert all(result.settled for result in with_journal(book.dsn, work))
    [row] = book.rows("select count(distinct xmin::text) as commits, count(*) as rows from counterfoil.evidence")
    assert (row.commits, row.rows) == (1, 60), "all that waits when a flush begins goes with it"
    [row] = book.rows("select count(distinct xmin::text) as commits from counterfoil.attempts where state = 'open'")
    assert row.commits <= 1


def test_a_bad_row_fails_its_caller_and_nobody_else(book: Book) -> None:
    good = calls_out(book, runs=2, calls=3)

    async def work(journal: Journal) -> list[Any]:
        learnt = [reply_to(*key) for key in good]
        strays = [reply_to(good[0][0], "no_such_call"), reply_to("no_such_run", "no_such_call")]
        everything = [learnt[0], strays[0], *learnt[1:4], strays[1], *learnt[4:]]
        return await asyncio.gather(*(journal.learn(one) for one in everything), return_exceptions=True)

    results = with_journal(book.dsn, work)
    failed = [type(result) for result in results if isinstance(result, Exception)]
    assert failed == [psycopg.errors.ForeignKeyViolation] * 2
    assert states(book, good) == ["succeeded"] * 6


@pytest.mark.parametrize("word", ["a\0b", "half \ud800 a pair"])
def test_evidence_is_kept_without_words_that_cannot_be_stored(book: Book, word: str) -> None:
    [key, other] = calls_out(book, runs=1, calls=2)
    learnt = reply_to(*key)
    unfit = replace(learnt, evidence=replace(learnt.evidence, reason=word, external_id=word))

    async def work(journal: Journal) -> list[Any]:
        return list(await asyncio.gather(journal.learn(unfit), journal.learn(reply_to(*other))))

    assert all(result.settled for result in with_journal(book.dsn, work))
    assert states(book, [key, other]) == ["succeeded"] * 2


def test_a_locked_run_holds_up_its_own_evidence_and_no_other(book: Book) -> None:
    """Somebody holds one run's row for longer than a lock timeout: the others' evidence is kept meanwhile."""
    keys = calls_out(book, runs=6, calls=1)
    held = sorted(keys)[2]
    free = [key for key in keys if key != held]

    async def work(journal: Journal) -> None:
        with psycopg.connect(book.dsn) as other:
            execute(other, lock_runs([held[0]]))
            learning = [asyncio.create_task(journal.learn(reply_to(*key))) for key in keys]
            await asyncio.to_thread(wait_until, lambda: states(book, free) == ["succeeded"] * 5, what="the others")
            assert states(book, [held]) == ["intended"]
        results = await asyncio.gather(*learning)
        assert all(result.settled for result in results)

    with_journal(book.dsn, work)


def test_evidence_outlasts_a_lock_that_is_held_for_long(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an operator's forgotten transaction does: longer than all quick retries together."""
    monkeypatch.setattr(batches, "RETRIES", 1)
    [key] = calls_out(book, runs=1, calls=1)

    async def work(journal: Journal) -> Any:
        with psycopg.connect(book.dsn) as other, capture_logs() as logs:
            execute(other, lock_runs([key[0]]))
            learning = asyncio.create_task(journal.learn(reply_to(*key)))
            await asyncio.to_thread(wait_until, lambda: len(logs) >= 3, what="three retries")
            assert {line["event"] for line in logs} == {"batch_retried"}
            assert not learning.done()
        return await learning

    assert with_journal(book.dsn, work).settled


def test_a_deadlock_is_tried_again(book: Book) -> None:
    keys = sorted(calls_out(book, runs=2, calls=1))
    (first, _), (second, _) = keys

    async def work(journal: Journal) -> list[Any]:
        with psycopg.connect(book.dsn) as other:
            other.execute("set local deadlock_timeout = '10s'")
            execute(other, lock_runs([second]))
            learning = [asyncio.create_task(journal.learn(reply_to(*key))) for key in keys]
            await asyncio.sleep(0)
            await asyncio.to_thread(await_blocked, book)
            await asyncio.to_thread(execute, other, lock_runs([first]))
        return await asyncio.gather(*learning)

    assert all(result.settled for result in with_journal(book.dsn, work))


def await_blocked(book: Book) -> None:
    """Wait until a session of a worker waits for a lock."""
    wait_until(lambda: book.rows(BLOCKED), what="a blocked batch")


def test_without_a_database_a_decision_fails_and_evidence_waits(own_server: EmbeddedPostgres) -> None:
    book = Book(own_server.dsn())
    [(run, call)] = calls_out(book, runs=1, calls=1)

    async def work(journal: Journal) -> Any:
        loaded = await journal.load(run)
        assert loaded is not None
        own_server.crash()
        learning = asyncio.create_task(journal.learn(reply_to(run, call)))
        with pytest.raises(DatabaseGone):
            await journal.decide(round_of(loaded.run, '{"n": 2}'))
        assert not learning.done()
        await asyncio.to_thread(own_server.restart)
        return await learning

    assert with_journal(book.dsn, work).settled
    book.reconnect()
    assert book.traces(run) == [("succeeded", ("succeeded",))]
    book.close()


def test_a_bug_fails_its_callers_and_not_the_flusher(database: str) -> None:
    async def perform(_connection: AsyncConnection[Any], items: Sequence[int]) -> Sequence[int]:
        return [10 // item for item in items]

    async def work() -> list[Any]:
        batcher: Batcher[int, int] = Batcher("divide", perform, lambda: connect(database))
        try:
            with pytest.raises(ZeroDivisionError):
                await batcher.submit(0)
            return [await batcher.submit(5)]
        finally:
            await batcher.close()

    assert asyncio.run(work()) == [2]


def test_items_of_one_key_go_one_after_the_other(database: str) -> None:
    flushed: list[list[str]] = []

    async def perform(connection: AsyncConnection[Any], items: Sequence[str]) -> Sequence[str]:
        flushed.append(list(items))
        async with transaction(connection):
            await connection.execute("select 1")
        return items

    async def work() -> list[str]:
        batcher: Batcher[str, str] = Batcher("keyed", perform, lambda: connect(database), key=lambda item: item[0])
        try:
            return list(await asyncio.gather(*(batcher.submit(item) for item in ("a1", "a2", "b1", "a3"))))
        finally:
            await batcher.close()

    assert asyncio.run(work()) == ["a1", "a2", "b1", "a3"]
    assert flushed == [["a1", "b1"], ["a2"], ["a3"]]


def test_what_waits_at_the_end_is_told(database: str) -> None:
    async def never(_connection: AsyncConnection[Any], items: Sequence[int]) -> Sequence[int]:
        await asyncio.Event().wait()
        return items

    async def work() -> BaseException | None:
        batcher: Batcher[int, int] = Batcher("never", never, lambda: connect(database))
        waiting = asyncio.create_task(batcher.submit(1))
        await asyncio.sleep(0.1)
        await batcher.close()
        return (await asyncio.gather(waiting, return_exceptions=True))[0]  # type: ignore[return-value]

    assert isinstance(asyncio.run(work()), DatabaseGone)
