"""What operators do to calls, runs and tools, on each named situation, against a real Postgres."""

import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from app.operations import By, cancel, carry_out, pause, resolve, resume, unpause
from app.resolution import Overtaken, Refused, UnderWay, Unknown, Unusable, Verdict, Word
from sql.execute import execute
from sql.operators import list_attention
from sql.tool_calls import CallFacts
from sql.vocabulary import Reason
from tests.support import situations
from tests.support.situations import NAMES, Load, Situation, one

situation = situations.situation
ADA = By("ada", "the mail server says so")
BOB = By("bob", "the log of the mail server says so")
OUTPUT = '{"message_id": "MSG-9"}'
ATTENTION: dict[str, set[str]] = {
    "in_doubt_never": {"needs_operator"},
    "held_elder_needs_operator": {"needs_operator"},
    "stuck_client_call": {"stuck"},
    "poisoned": {"poisoned"},
    "conflict": {"conflict"},
    "orphan_effect": {"orphan_effect"},
    "told_in_doubt": {"needs_operator"},
}

Say = Callable[..., CallFacts]


@pytest.fixture
def say(connection: psycopg.Connection) -> Say:
    """Says a word about a situation's call."""

    def said(found: Situation, verdict: Verdict, by: By = ADA, **more: Any) -> CallFacts:
        output = OUTPUT if verdict == Verdict.HAPPENED else None
        word = Word(*found.key, verdict, **{"output": output, **more})
        return carry_out(connection, lambda transaction: resolve(transaction, word, by))

    return said


OUTPUT_BYTES = "select p.bytes from counterfoil.tool_calls as c inner join counterfoil.payloads as p on p.id = c.output"


def call(connection: psycopg.Connection, found: Situation, column: str) -> Any:
    text = f"select {column} from counterfoil.tool_calls where run_id = %s and tool_call_id = %s"
    return one(connection, text, *found.key)


def run(connection: psycopg.Connection, found: Situation, column: str) -> Any:
    return one(connection, f"select {column} from counterfoil.runs where id = %s", found.run_id)


def attempts(connection: psycopg.Connection, found: Situation) -> list[str]:
    text = "select state from counterfoil.attempts where run_id = %s and tool_call_id = %s order by number"
    return [state for (state,) in connection.execute(text, found.key).fetchall()]


def add_attempt(connection: psycopg.Connection, found: Situation, number: int, state: str, dead: str) -> None:
    """One more attempt; dead: when its deadline is, from now."""
    connection.execute(
        "insert into counterfoil.attempts (run_id, tool_call_id, number, epoch, owner, state, deadline, closed_at)"
        " values (%s, %s, %s, 1, 'gone', %s, counterfoil.db_now() + %s::interval,"
        " case when %s != 'open' then now() end)",
        (*found.key, number, state, dead, state),
    )


def attention(connection: psycopg.Connection) -> set[str]:
    return {row.attention for row in execute(connection, list_attention(stuck_after_s=120))}


# A call in doubt ------------------------------------------------------------------------------------


def test_it_happened(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    wakes = run(connection, found, "wakes")
    now = say(found, Verdict.HAPPENED, external_id="MSG-9")
    assert (now.state, now.settled_by, now.external_id) == ("succeeded", "operator", "MSG-9")
    assert attempts(connection, found) == ["succeeded"]
    assert bytes(one(connection, OUTPUT_BYTES)) == OUTPUT.encode()
    assert one(connection, "select run_id from counterfoil.effects where external_id = 'MSG-9'") == found.run_id
    assert run(connection, found, "status") == "queued"
    assert run(connection, found, "wakes") == wakes + 1
    assert run(connection, found, "due_at <= counterfoil.db_now()")
    assert one(connection, "select status from counterfoil.steps") == "completed"
    row = connection.execute(
        "select kind, says, source, attempt, reason, external_id from counterfoil.evidence order by id desc limit 1"
    ).fetchone()
    assert row == ("operator", "happened", "ada", 1, "happened", "MSG-9")


def test_it_did_not_happen(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    assert say(found, Verdict.FAILED).state == "failed"
    assert attempts(connection, found) == ["refuted"]
    told = one(
        connection, "select p.bytes from counterfoil.tool_calls c join counterfoil.payloads p on p.id = c.output"
    )
    assert b"an operator found that it did not happen" in bytes(told)
    assert ADA.reason.encode() not in bytes(told)
    assert run(connection, found, "status") == "queued"


def test_send_it_again(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    now = say(found, Verdict.RETRY)
    assert (now.state, now.reason) == ("pending", Reason.OPERATOR_RETRY)
    assert attempts(connection, found) == ["refuted"]
    assert run(connection, found, "status") == "requires_action"
    assert run(connection, found, "due_at <= counterfoil.db_now()")
    with pytest.raises(Overtaken, match="pending"):
        say(found, Verdict.RETRY, BOB)


def test_look_again(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_lookup")
    connection.execute(
        "update counterfoil.tool_calls set state = 'needs_operator', reason = 'lookup_several', lookups = 5,"
        " needs_operator_since = now(), not_before = now() + interval '1 hour'"
    )
    now = say(found, Verdict.LOOKUP)
    assert (now.state, now.reason) == ("in_doubt", "operator_lookup")
    assert call(connection, found, "lookups") == 0
    assert call(connection, found, "not_before <= counterfoil.db_now()")
    assert attempts(connection, found) == ["unknown"]
    with pytest.raises(Unusable, match="look up"):
        say(situation("in_doubt_never"), Verdict.LOOKUP)


def test_cancel_the_run(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    epoch = run(connection, found, "epoch")
    assert say(found, Verdict.CANCEL_RUN).run_status == "cancelled"
    assert run(connection, found, "epoch") == epoch + 1
    assert call(connection, found, "state") == "needs_operator"
    with pytest.raises(Overtaken, match="has ended: it is cancelled"):
        say(found, Verdict.CANCEL_RUN)
    with pytest.raises(Overtaken, match="ended runs send nothing"):
        say(found, Verdict.RETRY)
    assert say(found, Verdict.HAPPENED).state == "succeeded"
    assert attention(connection) == {"orphan_effect"}


@pytest.mark.parametrize("name", ["conflict", "orphan_effect"])
def test_seen_until_there_is_newer_evidence(
    connection: psycopg.Connection, situation: Load, say: Say, name: str
) -> None:
    found = situation(name)
    assert attention(connection) == {name}
    say(found, Verdict.SEEN)
    assert attention(connection) == set()
    column = "conflict_at" if name == "conflict" else "orphan_at"
    connection.execute(f"update counterfoil.tool_calls set {column} = counterfoil.db_now()".encode())
    assert attention(connection) == {name}


def test_only_what_was_looked_at_is_spoken_for(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    add_attempt(connection, found, 2, "unknown", "-1 minute")
    for verdict in (Verdict.RETRY, Verdict.FAILED):
        with pytest.raises(Overtaken, match="attempt 2 has been sent since"):
            say(found, verdict, attempt=1)
    with pytest.raises(Unusable, match="no attempt 3"):
        say(found, Verdict.FAILED, attempt=3)
    say(found, Verdict.HAPPENED, attempt=1)
    assert attempts(connection, found) == ["succeeded", "unknown"]


def test_of_several_the_newest_did_it(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    add_attempt(connection, found, 2, "unknown", "-1 minute")
    say(found, Verdict.HAPPENED)
    assert attempts(connection, found) == ["refuted", "succeeded"]


@pytest.mark.parametrize("state", ["open", "unknown", "accepted"])
def test_not_while_a_request_may_be_under_way(
    connection: psycopg.Connection, situation: Load, say: Say, state: str
) -> None:
    found = situation("in_doubt_lookup")
    add_attempt(connection, found, 2, state, "10 seconds")
    for verdict in (Verdict.HAPPENED, Verdict.RETRY, Verdict.FAILED):
        with pytest.raises(UnderWay, match=r"may still be under way until .*Z \(\d+\.\d s left\)"):
            say(found, verdict)
    for verdict in (Verdict.LOOKUP, Verdict.SEEN, Verdict.CANCEL_RUN):
        say(found, verdict)


def test_settle_time_counts(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("accepted_202")
    connection.execute("update counterfoil.attempts set deadline = counterfoil.db_now() - interval '99 seconds'")
    with pytest.raises(UnderWay):
        say(found, Verdict.FAILED)
    connection.execute("update counterfoil.attempts set deadline = counterfoil.db_now() - interval '101 seconds'")
    assert say(found, Verdict.FAILED).state == "failed"


# Who was first --------------------------------------------------------------------------------------


def test_two_operators_at_once(database: str, connection: psycopg.Connection, situation: Load) -> None:
    found = situation("in_doubt_never")
    barrier, results = threading.Barrier(2), []

    def speak(by: By, verdict: Verdict) -> None:
        word = Word(*found.key, verdict, output=OUTPUT if verdict == Verdict.HAPPENED else None)
        with psycopg.connect(database, autocommit=True) as own:
            barrier.wait()
            try:
                results.append(carry_out(own, lambda transaction: resolve(transaction, word, by)).state)
            except Overtaken as refused:
                results.append(str(refused))

    threads = [threading.Thread(target=speak, args=one) for one in ((ADA, Verdict.HAPPENED), (BOB, Verdict.FAILED))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = call(connection, found, "state")
    winner = "ada" if state == "succeeded" else "bob"
    assert state in results
    assert any(f"it is {state} since" in line and f"settled by operator {winner}" in line for line in results)
    assert one(connection, "select count(*) from counterfoil.audit") == 1


def test_another_version_than_was_looked_at(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    with pytest.raises(Overtaken, match="changed since it was looked at: it is needs_operator"):
        say(found, Verdict.FAILED, version=7)
    assert say(found, Verdict.FAILED, version=call(connection, found, "version")).state == "failed"


def test_a_live_lease_is_not_shortened(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    connection.execute(
        "update counterfoil.runs set lease_owner = 'w', lease_until = now() + interval '20 seconds',"
        " due_at = now() + interval '20 seconds'"
    )
    before = run(connection, found, "(due_at, lease_owner, lease_until, epoch)")
    wakes = run(connection, found, "wakes")
    say(found, Verdict.HAPPENED)
    assert run(connection, found, "(due_at, lease_owner, lease_until, epoch)") == before
    assert run(connection, found, "wakes") == wakes + 1
    assert run(connection, found, "status") == "in_progress"


def test_a_run_whose_time_is_over_ends_right_there(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    connection.execute("update counterfoil.runs set expires_at = now() - interval '1 second'")
    with pytest.raises(Overtaken, match="ended runs send nothing"):
        say(found, Verdict.RETRY)
    assert say(found, Verdict.FAILED).run_status == "expired"


# Calls that nothing was sent of, or of which the model was told -------------------------------------


def test_the_clients_call(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("stuck_client_call")
    for verdict in (Verdict.RETRY, Verdict.LOOKUP):
        with pytest.raises(Unusable):
            say(found, verdict)
    assert say(found, Verdict.HAPPENED, output='"the left one"').state == "succeeded"
    assert run(connection, found, "status") == "queued"
    assert attention(connection) == set()


def test_the_clients_call_failed(situation: Load, say: Say) -> None:
    assert say(situation("stuck_client_call"), Verdict.FAILED).state == "failed"


@pytest.mark.parametrize(
    ("verdict", "state"), [(Verdict.RETRY, "pending"), (Verdict.FAILED, "failed"), (Verdict.HAPPENED, "succeeded")]
)
def test_a_call_that_waited_for_approval(
    connection: psycopg.Connection, situation: Load, say: Say, verdict: Verdict, state: str
) -> None:
    found = situation("in_doubt_never")
    connection.execute("delete from counterfoil.evidence")
    connection.execute("delete from counterfoil.attempts")
    connection.execute("update counterfoil.tool_calls set reason = 'approval_required'")
    assert say(found, verdict).state == state


@pytest.mark.parametrize(("verdict", "state"), [(Verdict.FAILED, "failed"), (Verdict.HAPPENED, "succeeded")])
def test_a_call_that_the_model_was_told_about(
    connection: psycopg.Connection, situation: Load, say: Say, verdict: Verdict, state: str
) -> None:
    found = situation("told_in_doubt")
    assert say(found, verdict).state == state
    assert attention(connection) == set(), "one that happened is no orphan: the model knew of it"


def test_an_effect_that_another_call_owns(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    situation("orphan_effect")
    found = situation("in_doubt_never")
    now = say(found, Verdict.HAPPENED, external_id="MSG-3")
    assert now.contested
    assert now.state == "succeeded"


def test_a_run_without_a_ledger(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    connection.execute("update counterfoil.runs set ledger = 'off'")
    for verdict in (Verdict.HAPPENED, Verdict.RETRY, Verdict.FAILED, Verdict.LOOKUP):
        with pytest.raises(Unusable, match="ledger is off"):
            say(found, verdict)
    assert say(found, Verdict.CANCEL_RUN).run_status == "cancelled"


@pytest.mark.parametrize("output", ["", "nonsense", "{", '"\udcff"'])
def test_an_output_is_json(situation: Load, say: Say, output: str) -> None:
    with pytest.raises(Unusable, match="JSON"):
        say(situation("in_doubt_never"), Verdict.HAPPENED, output=output)


def test_a_call_that_is_not_there(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    with pytest.raises(Unknown, match="no run run_x"):
        say(Situation("x", "run_x", "call_x", None), Verdict.FAILED)
    with pytest.raises(Unknown, match="no call call_x in run"):
        say(Situation("x", found.run_id, "call_x", None), Verdict.FAILED)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("verdict", Verdict)
def test_every_word_in_every_situation(
    connection: psycopg.Connection, situation: Load, say: Say, name: str, verdict: Verdict
) -> None:
    """Whatever the situation, a word is taken whole with its audit row, or refused and nothing has changed."""
    found = situation(name)
    before = everything(connection)
    try:
        say(found, verdict)
    except Refused:
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE, "it holds no lock"
        assert everything(connection) == before
    else:
        assert one(connection, "select action || ' ' || object from counterfoil.audit") == f"resolve_call {verdict}"


def everything(connection: psycopg.Connection) -> list[Any]:
    tables = ("runs", "tool_calls", "attempts", "evidence", "audit", "run_events", "payloads", "effects")
    return [
        connection.execute(f"select * from counterfoil.{name} order by 1, 2".encode()).fetchall() for name in tables
    ]


# Audit ----------------------------------------------------------------------------------------------


def test_the_audit_says_who_why_and_what_was_seen(connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    say(found, Verdict.RETRY)
    carry_out(connection, lambda transaction: cancel(transaction, found.run_id, BOB))
    rows = connection.execute(
        "select operator, action, run_id, tool_call_id, object, reason, seen from counterfoil.audit order by id"
    ).fetchall()
    assert rows[0][:6] == ("ada", "resolve_call", *found.key, "retry", ADA.reason)
    assert rows[0][6] == {
        "state": "needs_operator",
        "reason": "outcome_unknown",
        "version": 0,
        "run_status": "requires_action",
        "conflict": False,
        "orphan_effect": False,
        "attempts": [{"number": 1, "state": "unknown"}],
        "up_to": 1,
    }
    assert rows[1][:6] == ("bob", "cancel_run", found.run_id, None, None, BOB.reason)
    chained = """select bool_and(hash = counterfoil.audit_hash(a) and previous_hash = coalesce(
        (select b.hash from counterfoil.audit b where b.id = a.id - 1), '')) from counterfoil.audit a"""
    assert one(connection, chained)


# Runs and tools -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_what_wants_attention(connection: psycopg.Connection, situation: Load, name: str) -> None:
    situation(name)
    assert attention(connection) == ATTENTION.get(name, set())


@pytest.mark.parametrize("name", ["poisoned", "stuck_client_call"])
def test_resume(connection: psycopg.Connection, situation: Load, name: str) -> None:
    found = situation(name)
    carry_out(connection, lambda transaction: resume(transaction, found.run_id, ADA))
    assert attention(connection) == set()
    assert run(connection, found, "due_at <= counterfoil.db_now()")
    assert run(connection, found, "fruitless_claims") == 0
    assert one(connection, "select action from counterfoil.audit") == "resume_run"


def test_a_run_that_expired_while_it_was_stuck_is_told_for_a_day(
    connection: psycopg.Connection, situation: Load
) -> None:
    found = situation("stuck_client_call")
    connection.execute("update counterfoil.runs set expires_at = now()")
    carry_out(connection, lambda transaction: resume(transaction, found.run_id, ADA))
    assert run(connection, found, "status") == "expired"
    assert attention(connection) == set(), "resumed: a person has seen it"
    connection.execute("update counterfoil.runs set waiting_since = now() - interval '5 minutes'")
    assert attention(connection) == {"stuck"}
    connection.execute("update counterfoil.runs set ended_at = now() - interval '25 hours'")
    connection.execute("update counterfoil.runs set waiting_since = now() - interval '26 hours'")
    assert attention(connection) == set()


def test_a_run_that_has_ended(connection: psycopg.Connection, situation: Load) -> None:
    found = situation("orphan_effect")
    for work in (resume, cancel):
        with pytest.raises(Overtaken, match="has ended: it is cancelled"):
            carry_out(connection, lambda transaction, work=work: work(transaction, found.run_id, ADA))
        with pytest.raises(Unknown):
            carry_out(connection, lambda transaction, work=work: work(transaction, "run_x", ADA))


def test_pausing_a_tool(connection: psycopg.Connection) -> None:
    with pytest.raises(Unknown):
        carry_out(connection, lambda transaction: unpause(transaction, "send_email", ADA))
    carry_out(connection, lambda transaction: pause(transaction, "send_email", ADA))
    assert one(connection, "select paused_by from counterfoil.tools where name = 'send_email'") == "ada"
    carry_out(connection, lambda transaction: unpause(transaction, "send_email", BOB))
    with pytest.raises(Overtaken, match="not paused"):
        carry_out(connection, lambda transaction: unpause(transaction, "send_email", BOB))
    actions = connection.execute("select operator, action, object from counterfoil.audit order by id").fetchall()
    assert actions == [("ada", "pause_tool", "send_email"), ("bob", "resume_tool", "send_email")]


def test_workers_are_hurried(database: str, connection: psycopg.Connection, situation: Load, say: Say) -> None:
    found = situation("in_doubt_never")
    with psycopg.connect(database, autocommit=True) as listener:
        listener.execute("listen counterfoil")
        say(found, Verdict.FAILED)
        assert [notice.channel for notice in listener.notifies(timeout=30, stop_after=1)] == ["counterfoil"]
