"""What a second review found, each as the schedule that showed it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.catalog.tool import Catalog, Contract, Lookup
from sql.decisions import RunRow
from sql.evidence import Claim, raise_conflicts
from sql.execute import execute, execute_all
from sql.ledger import lock_runs, wake_runs
from sql.operators import resume_run
from sql.queue import claim_due
from sql.vocabulary import AttemptState, CallState, Executor, Ledger
from tests.support.agents import Agents
from tests.support.ledger import Book, Trace, asks, call, says
from worker.coordinator.decide import Look, Rest, Wait, decide_call
from worker.coordinator.retry import LONGEST_PAUSE_S, after, pause_s
from worker.coordinator.situation import CallView, RunView
from worker.coordinator.speech import Speech
from worker.coordinator.verdict import AttemptView
from worker.database import connect
from worker.journal import Journal
from worker.loop import Terms, Worker

NOW = datetime(2026, 3, 12, tzinfo=UTC)
TICKET = call("create_ticket", title="A")
INVOICE = call("create_invoice", customer="c", amount_cents=5)
NOWHERE = "host=127.0.0.1 port=9 connect_timeout=1"


@pytest.fixture
def book(database: str) -> Any:
    """An empty ledger."""
    opened = Book(database)
    yield opened
    opened.close()


def test_observe_holds_no_send_back_though_the_key_is_over(agents: Agents) -> None:
    """The bound of a key that had passed made the decision stale, and again, for ever."""
    agents.set_catalog(create_invoice={"key_ttl_s": 3})
    agents.set_faults("answer_lost*1")
    agents.start_worker()
    run = agents.book.new_run(asks(INVOICE), says(), ledger="observe")
    agents.book.await_run(run, "completed")
    assert len(agents.requests(run, "create_invoice")) == 2


def test_what_a_turn_asks_once_more_is_not_answered_with_what_it_shared_before(agents: Agents) -> None:
    """The second turn shares the first one's ticket; its model has seen that, and asks for another."""
    agents.set_catalog(create_ticket={"settle_s": 2})
    agents.set_faults("answer_lost*1")
    agents.start_worker()
    thread = agents.book.new_thread()
    first = agents.book.new_run(asks(TICKET), says(), thread=thread)
    agents.book.await_call(first, "in_doubt")
    agents.book.end(first, "cancelled")
    second = agents.book.new_run(asks(TICKET), asks(TICKET), says(), thread=thread)
    agents.book.await_run(second, "completed")
    assert agents.book.traces(second) == [Trace("succeeded", ()), Trace("succeeded", ("succeeded",))]
    assert agents.book.calls(second)[1].suspected_duplicate
    assert (len(agents.effects(first)), len(agents.effects(second))) == (1, 1)


# A straggler beside an operator's word ------------------------------------------------------------------


def straggler(state: AttemptState, ago_s: float, **contract: Any) -> CallView:
    """A person said of attempt 1, refused, that it happened; attempt 2 was out, its deadline so long ago."""
    deadline = NOW - timedelta(seconds=ago_s)
    made = (
        AttemptView(1, AttemptState.REFUSED, NOW - timedelta(seconds=99), NOW - timedelta(seconds=86), NOW),
        AttemptView(2, state, deadline - timedelta(seconds=13), deadline),
    )
    return CallView(
        "run", "call", 0, 0, "tool", Executor.SERVER, Contract(**contract), CallState.SUCCEEDED, made, reason="operator"
    )


def test_an_attempt_beyond_an_operators_word_is_waited_for_and_then_a_conflict() -> None:
    run = RunView(ended=False, expired=False, poisoned=False, ledger=Ledger.ENFORCE)
    out = straggler(AttemptState.OPEN, -5)
    assert decide_call(out, run, NOW).action == Wait(NOW + timedelta(seconds=5))
    over = decide_call(straggler(AttemptState.OPEN, 5), run, NOW)
    assert over.doubts == (2,)
    assert over.move is not None and over.move.conflict


@pytest.mark.parametrize("state", [CallState.FAILED, CallState.CANCELLED])
def test_what_did_not_happen_has_no_straggler(state: CallState) -> None:
    run = RunView(ended=True, expired=False, poisoned=False, ledger=Ledger.ENFORCE)
    safe = replace(straggler(AttemptState.UNKNOWN, 60, repeat="safe"), state=state)
    assert decide_call(safe, run, NOW).action == Rest()
    assert not isinstance(decide_call(safe, run, NOW).action, Look)


# Speech ---------------------------------------------------------------------------------------------------


def row(run_id: str = "run_1") -> RunRow:
    """A run that a worker drives."""
    return RunRow(
        id=run_id, seq=1, project_id="proj", thread_id="thread_1", assistant_id="asst_1", status="in_progress",
        ledger="enforce", epoch=1, wakes=0, rounds=0, model_tries=0, expires_at=NOW, poisoned=False,
        correlation_id="corr", traceparent=None, model="scripted", prompt_tokens=0, completion_tokens=0, now=NOW,
    )  # fmt: skip


def test_a_text_that_may_be_stored_is_not_stored_under_the_same_name_again() -> None:
    """The database went during the first write of a text: its round must not meet it as its own."""

    async def main() -> tuple[str, Speech]:
        journal = Journal(lambda: connect(NOWHERE), operator_ttl_s=60)
        speech = Speech(row(), journal)
        before = speech.message_id
        speech.pieces.append("Good")
        await speech._write(1)
        await journal.close()
        return before, speech

    before, speech = asyncio.run(main())
    assert not speech.begun
    assert speech.message_id != before


# Runs that were set aside -----------------------------------------------------------------------------------


def in_doubt(book: Book, *, state: str = "in_doubt", told: bool = False) -> str:
    """An ended run that was set aside with one call in this state, by a worker that died right after."""
    run = book.new_run(says())
    book.raw.execute("insert into counterfoil.payloads (id, bytes) values ('00000000-0000-0000-0000-000000000001', '')")
    book.raw.execute(
        "insert into counterfoil.tool_calls (run_id, tool_call_id, thread_id, round, index, tool, executor, repeat,"
        " fingerprint, effect_key, arguments, state, in_doubt_since, told_at) values (%s, 'call_1', 'thread', 0, 0,"
        " 'pay', 'server', 'never', 'f', 'k', '00000000-0000-0000-0000-000000000001', %s, now(),"
        " case when %s then now() end)",
        (run, state, told),
    )
    book.raw.execute(
        "update counterfoil.runs set status = 'cancelled', ended_at = now(), due_at = null, poisoned_at = now()"
        " where id = %s",
        (run,),
    )
    return run


def set_aside(book: Book, run: str) -> None:
    """The fifth worker in a row is lost on it, and the next claim sets it aside."""
    book.raw.execute(
        "update counterfoil.runs set poisoned_at = null, fruitless_claims = 4, lease_owner = 'worker-5',"
        " lease_until = counterfoil.db_now(), due_at = counterfoil.db_now() where id = %s",
        (run,),
    )
    [claimed] = execute(book.raw, claim_due(owner="worker-6", max_runs=1, max_suspects=1, lease_s=30))
    assert claimed.poisoned


def test_a_run_that_is_no_longer_poisoned_does_not_wait_unseen(book: Book) -> None:
    """With the mark gone, and nobody asked for the call, it was due never again."""
    run = in_doubt(book)
    execute(book.raw, resume_run(run))
    assert book.run(run).due_at is not None


def test_resuming_an_ended_run_that_waits_for_nothing_of_ours_makes_nothing_due(book: Book) -> None:
    run = in_doubt(book)
    set_aside(book, run)
    execute(book.raw, resume_run(run))
    assert book.run(run).due_at is None


def test_a_told_call_of_a_poisoned_run_is_a_persons_too(book: Book) -> None:
    run = in_doubt(book, state="pending", told=True)
    set_aside(book, run)
    assert book.calls(run)[0].state == "needs_operator"


def test_a_claim_that_sets_an_ended_run_aside_gives_its_calls_to_a_person(book: Book) -> None:
    """In one statement: a worker that died or was refused a lock in between left them nobody's, and never due."""
    run = in_doubt(book)
    set_aside(book, run)
    assert (book.calls(run)[0].state, book.calls(run)[0].reason) == ("needs_operator", "poisoned")


def test_a_run_that_was_set_aside_stays_so_until_a_person_resumes_it(book: Book) -> None:
    run = book.new_run(says())
    set_aside(book, run)
    execute_all(book.raw, [lock_runs([run]), wake_runs([run], fruitful=True)])
    assert execute(book.raw, claim_due(owner="worker-7", max_runs=9, max_suspects=9, lease_s=30)) == []
    execute(book.raw, resume_run(run))
    assert len(execute(book.raw, claim_due(owner="worker-7", max_runs=9, max_suspects=9, lease_s=30))) == 1


def test_renewals_do_not_wait_for_the_connection_that_claims(book: Book) -> None:
    """It was a dead line, and the leases, whose own line was well, ended."""
    run = book.new_run(says())

    async def main() -> None:
        terms = Terms(book.dsn, None, slots=4, lease_s=30, poll_s=1, clock_slack_s=1, operator_ttl_s=60)
        worker = Worker(terms, Catalog({}))
        claimed = execute(book.raw, claim_due(owner=worker.owner, max_runs=1, max_suspects=1, lease_s=5))
        worker.leases.add(claimed)
        before = book.run(run).lease_until
        async with worker._connection._turn:  # somebody's statement on it does not return
            await worker._renew()
        assert book.run(run).lease_until > before
        await worker._close()

    asyncio.run(main())


def test_an_operators_lookup_is_done_although_the_run_was_set_aside() -> None:
    """It went straight back to the operator, unlooked at."""
    run = RunView(ended=True, expired=False, poisoned=True, ledger=Ledger.ENFORCE)
    contract = {"repeat": "lookup", "lookup": Lookup("http://tool/", "found", "id")}
    doubtful = replace(straggler(AttemptState.UNKNOWN, 60, **contract), state=CallState.IN_DOUBT, reason="x")
    assert decide_call(doubtful, run, NOW).move is not None, "a person's"
    assert decide_call(replace(doubtful, reason="operator_lookup"), run, NOW).action == Look()


# A key that was forgotten -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("key_ttl_s", "conflicts"), [(60, True), (0, False), (86_400, False)])
def test_two_effects_under_a_key_that_was_forgotten_between_them_are_a_conflict(
    book: Book, key_ttl_s: float, conflicts: bool
) -> None:
    """The key was over, a person said "send again", it succeeded; and then the first attempt's reply came."""
    run = in_doubt(book)
    book.raw.execute(
        "update counterfoil.tool_calls set repeat = 'keyed', contract = jsonb_build_object('key_ttl_s', %s::float8),"
        " state = 'succeeded', settled_at = now(), output = arguments where run_id = %s",
        (key_ttl_s, run),
    )
    book.raw.execute(
        "insert into counterfoil.attempts (run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline,"
        " closed_at) values (%(run)s, 'call_1', 1, 1, 'w', 'refuted', now() - interval '1 hour',"
        " now() - interval '59 minutes', now()), (%(run)s, 'call_1', 2, 2, 'w', 'succeeded', now(), now(), now())",
        {"run": run},
    )
    found = execute(book.raw, raise_conflicts([Claim(run, "call_1", 1, "happened")]))
    assert found == ([(run, "call_1")] if conflicts else [])


# Models -----------------------------------------------------------------------------------------------------


def test_a_model_is_waited_for_an_hour_at_most() -> None:
    """`retry-after: 1e300` was past the end of the calendar, and the run's driver died of it."""
    assert after(NOW, pause_s(1e300, 1)) == NOW + timedelta(seconds=LONGEST_PAUSE_S)
    assert pause_s(7.0, 1) == 7.0
    assert pause_s(None, 1) == pause_s(0.0, 1) == 0.5
