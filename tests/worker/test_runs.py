"""Runs as a whole, end to end: their ends, paused tools, poison, and the ledger's modes."""

from typing import Any

import pytest

from app.settings import WORKER_CONNECTIONS
from sql.execute import execute
from sql.tools import pause_tool, resume_tool
from tests.support.agents import Agents
from tests.support.ledger import Trace, asks, call, says
from tests.support.processes import wait_until

TICKET = call("create_ticket", title="A")
EMAIL = call("send_email", to="a@example.com", subject="s")
INVOICE = call("create_invoice", customer="c", amount_cents=5)


# Ends ------------------------------------------------------------------------------------------------


def test_an_ended_run_sends_nothing_more(agents: Agents) -> None:
    agents.set_faults("refused=429")
    agents.start_worker()
    run = agents.book.new_run(asks(EMAIL), says())
    agents.book.await_call(run, "pending")
    agents.set_faults("")
    agents.book.end(run, "cancelled")
    agents.book.await_call(run, "cancelled")
    assert agents.effects(run, "send_email") == []
    assert agents.book.run(run).due_at is None


@pytest.mark.parametrize(
    ("asked", "fault", "state"),
    [
        (TICKET, "late=1.5*1", "succeeded"),
        (TICKET, "hang*1", "cancelled"),
        (EMAIL, "late=1.5*1", "needs_operator"),
        (INVOICE, "late=1.5*1", "needs_operator"),
        (call("get_ticket", ticket_id="x"), "hang", "cancelled"),
    ],
)
def test_what_was_out_when_the_run_ended_is_settled(
    agents: Agents, asked: dict[str, Any], fault: str, state: str
) -> None:
    agents.set_faults(fault)
    agents.start_worker()
    run = agents.book.new_run(asks(asked), says())
    agents.book.await_call(run, "intended")
    agents.book.end(run, "cancelled")
    agents.book.await_call(run, state)
    [row] = agents.book.calls(run)
    assert (row.orphan_at is not None) == (state == "succeeded"), "it happened, but the run had ended"
    assert len(agents.requests(run, asked["name"])) == 1
    wait_until(lambda: agents.book.run(run).due_at is None, what="an empty queue")


def test_a_reply_that_comes_after_the_end_is_an_orphan(agents: Agents) -> None:
    agents.set_catalog(send_email={"timeout_s": 5})
    agents.set_faults("latency=1")
    agents.start_worker()
    run = agents.book.new_run(asks(EMAIL), says())
    agents.book.await_call(run, "intended")
    agents.book.end(run, "cancelled")
    agents.book.await_call(run, "succeeded")
    assert agents.book.calls(run)[0].orphan_at is not None


def test_an_expired_run_ends_while_it_waits(agents: Agents) -> None:
    agents.start_worker()
    run = agents.book.new_run(asks(call("nobody_serves_this")), says(), ttl_s=1.5)
    agents.book.await_run(run, "requires_action")
    agents.book.await_run(run, "expired")
    assert agents.book.traces(run) == [Trace("cancelled", ())]


# The kill switch -------------------------------------------------------------------------------------


def test_a_paused_tool_is_sent_nothing_and_goes_on_when_resumed(agents: Agents) -> None:
    execute(agents.book.raw, pause_tool(name="send_email", operator="ann", reason="it floods"))
    agents.start_worker()
    paused = agents.book.new_run(asks(EMAIL), says())
    other = agents.book.new_run(asks(TICKET), says())
    agents.book.await_run(other, "completed")
    agents.book.await_call(paused, "pending")
    agents.book.await_that(lambda: agents.book.run(paused).lease_owner is None, paused)
    assert agents.requests(paused, "send_email") == []
    assert agents.book.attempts(paused) == []
    execute(agents.book.raw, resume_tool(name="send_email"))
    agents.book.await_run(paused, "completed")
    assert len(agents.effects(paused, "send_email")) == 1


def test_a_pause_holds_what_was_to_be_sent_again(agents: Agents) -> None:
    agents.set_faults("refused=429*1")
    agents.start_worker()
    run = agents.book.new_run(asks(EMAIL), says())
    agents.book.await_call(run, "pending")
    execute(agents.book.raw, pause_tool(name="send_email", operator="ann", reason="it floods"))
    due = agents.book.attempts(run)[0].closed_at
    seconds = "select extract(epoch from counterfoil.db_now() - %s)::float as gone"
    wait_until(lambda: agents.book.rows(seconds, due)[0].gone > 2, what="Retry-After")
    assert len(agents.book.attempts(run)) == 1
    execute(agents.book.raw, resume_tool(name="send_email"))
    agents.book.await_run(run, "completed")


# Poison ----------------------------------------------------------------------------------------------


def test_a_run_that_kills_its_worker_is_set_aside_and_its_neighbours_are_not(agents: Agents) -> None:
    """Each worker is killed when it first records anything: of those runs, only the killer's has tool calls."""
    killer = agents.book.new_run(asks(call("get_ticket", ticket_id="x")), says())
    neighbours = [agents.book.new_run(says("hello"), due_in_s=3600) for _ in range(3)]
    for _ in range(5):
        worker = agents.start_worker(COUNTERFOIL_FAULT="before_intent", LEASE_S=0.5)
        worker.wait()
    agents.book.raw.execute(
        "update counterfoil.runs set due_at = counterfoil.db_now() where id = any(%s)", (neighbours,)
    )
    agents.start_worker(COUNTERFOIL_FAULT="before_intent", LEASE_S=0.5)
    for neighbour in neighbours:
        agents.book.await_run(neighbour, "completed")
    agents.book.await_that(lambda: agents.book.run(killer).poisoned_at is not None, killer)
    row = agents.book.run(killer)
    assert (row.lease_owner, row.due_at) == (None, row.expires_at)
    assert agents.book.attempts(killer) == []


def test_runs_claimed_together_with_a_killer_are_not_taken_for_killers(agents: Agents) -> None:
    agents.book.new_run(asks(call("get_ticket", ticket_id="x")), says())
    neighbours = [agents.book.new_run(says("hello", delay_ms=300)) for _ in range(5)]
    for _ in range(5):
        worker = agents.start_worker(COUNTERFOIL_FAULT="before_intent", LEASE_S=0.5)
        worker.wait()
    agents.start_worker()
    for neighbour in neighbours:
        agents.book.await_run(neighbour, "completed")
        assert agents.book.run(neighbour).poisoned_at is None


# The ledger's modes ----------------------------------------------------------------------------------


def test_off_doubles_as_the_incidents_system_did(agents: Agents) -> None:
    agents.set_faults("status_after=500*1")
    agents.start_worker()
    run = agents.book.new_run(asks(TICKET), says(), ledger="off")
    agents.book.await_run(run, "completed")
    assert agents.book.traces(run) == [Trace("succeeded", ())]
    assert len(agents.effects(run)) == 2


def test_observe_records_what_it_does_not_prevent(agents: Agents) -> None:
    agents.set_faults("status_after=500*1")
    agents.start_worker()
    run = agents.book.new_run(asks(EMAIL), says(), ledger="observe")
    agents.book.await_run(run, "completed")
    assert agents.book.traces(run) == [Trace("succeeded", ("unknown", "succeeded"))]
    assert len(agents.effects(run, "send_email")) == 2
    agents.book.await_that(lambda: agents.book.calls(run)[0].conflict_at is not None, run)


def test_approval_is_asked_before_anything_is_sent(agents: Agents) -> None:
    agents.set_catalog(send_email={"approval": True})
    agents.start_worker()
    run = agents.book.new_run(asks(EMAIL), says())
    agents.book.await_call(run, "needs_operator")
    assert agents.book.calls(run)[0].reason == "approval_required"
    assert agents.requests(run, "send_email") == []


def test_wrong_arguments_are_told_to_the_model_and_nothing_is_sent(agents: Agents) -> None:
    agents.set_catalog(send_email={"parameters": {"type": "object", "required": ["to"]}})
    agents.start_worker()
    run = agents.book.new_run(asks(call("send_email", subject="s")), says())
    agents.book.await_run(run, "completed")
    assert agents.book.traces(run) == [Trace("failed", ())]
    assert agents.book.output(run)["error"]["code"] == "invalid_arguments"
    assert agents.requests(run, "send_email") == []


def test_a_worker_opens_no_more_connections_than_doctor_says(agents: Agents) -> None:
    agents.set_faults("answer_lost*1")
    agents.start_worker()
    first = agents.book.new_run(asks(TICKET), says())
    agents.book.await_run(first, "completed")
    agents.book.await_run(
        agents.book.new_run(asks(TICKET), says(), thread=agents.book.run(first).thread_id), "completed"
    )
    others = "select from pg_stat_activity where datname = current_database() and pid != pg_backend_pid()"
    assert 5 < len(agents.book.rows(others)) <= WORKER_CONNECTIONS
