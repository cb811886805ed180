"""The crash matrix: a worker is killed at each point of a call's way, for each contract; another takes over.

Four workers of one slot each take one run each, and are killed at the same point; then one that stays alive
drives all four runs on. What then happened is asked of the sandbox's audit trails, not of the ledger.
"""

import pytest

from tests.support.agents import Agents
from tests.support.ledger import Trace, asks, call, says
from tests.support.processes import wait_until

# In the order of a call's way. Before the second one, no attempt is recorded; after the fourth, there is an effect.
POINTS = ("before_intent", "after_intent", "checked", "written", "after_effect", "before_record", "after_record")
UNRECORDED = ("before_intent",)
RECORDED = ("after_record",)


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_killed_there_does_nothing_twice_and_loses_nothing(agents: Agents, point: str) -> None:
    ticket = agents.sandbox.post("/tools/create_ticket", {"title": "there before"})["ticket_id"]
    runs = crash_and_recover(agents, point, ticket)
    for tool, identity in (("create_ticket", "ticket_id"), ("create_invoice", "invoice_id")):
        assert agents.book.run(runs[tool]).status == "completed"
        [effect] = agents.effects(runs[tool], tool)  # once: neither twice nor lost
        assert agents.book.output(runs[tool])[identity] == effect[identity]
    assert agents.book.run(runs["get_ticket"]).status == "completed"
    assert agents.book.output(runs["get_ticket"])["ticket_id"] == ticket
    assert_never_is_never_repeated(agents, runs["send_email"], point)


def crash_and_recover(agents: Agents, point: str, ticket: str) -> dict[str, str]:
    """Kill four workers at the point, one run each; let another drive them as far as it can. tool → run."""
    doomed = [agents.start_worker(COUNTERFOIL_FAULT=point, WORKER_SLOTS=1) for _ in range(4)]
    calls = {
        "create_ticket": call("create_ticket", title="A"),
        "get_ticket": call("get_ticket", ticket_id=ticket),
        "send_email": call("send_email", to="a@example.com", subject="s"),
        "create_invoice": call("create_invoice", customer="c", amount_cents=5),
    }
    runs = {tool: agents.book.new_run(asks(asked), says()) for tool, asked in calls.items()}
    wait_until(lambda: not any(worker.running for worker in doomed), what="the end of four workers")
    assert all(agents.book.run(run).epoch >= 1 for run in runs.values()), "each run was in a worker's hands"
    agents.start_worker()
    for run in runs.values():
        agents.book.await_rest(run)
    return runs


def assert_never_is_never_repeated(agents: Agents, run: str, point: str) -> None:
    """The tool that promises nothing: one request at most; unknown is an operator's, and never failed."""
    [trace] = agents.book.traces(run)
    sent = len(agents.effects(run, "send_email"))
    if point in UNRECORDED or point in RECORDED:
        assert (trace, sent) == (Trace("succeeded", ("succeeded",)), 1)
    else:
        assert trace == Trace("needs_operator", ("unknown",))
        assert sent <= 1
        assert agents.book.run(run).status == "requires_action"
