"""Equal calls of one thread: held while the first is open, sharing its fate; and the same request once more."""

import pytest

from tests.support.agents import Agents
from tests.support.ledger import Trace, asks, call, says

TICKET = call("create_ticket", title="A")
EMAIL = call("send_email", to="a@example.com", subject="s")


def click_again(agents: Agents, asked: dict[str, object]) -> tuple[str, str]:
    """The user who clicks again during the spinner: the first run is cancelled when its call is in doubt."""
    thread = agents.book.new_thread()
    first = agents.book.new_run(asks(asked), says(), thread=thread)
    agents.book.await_call(first, "in_doubt", "needs_operator")
    agents.book.end(first, "cancelled")
    second = agents.book.new_run(asks(asked), says(), thread=thread)
    return first, second


def test_the_second_run_waits_and_takes_the_first_ones_output(agents: Agents) -> None:
    agents.set_catalog(create_ticket={"settle_s": 2})
    agents.set_faults("answer_lost*1")
    agents.start_worker()
    first, second = click_again(agents, TICKET)
    agents.book.await_call(second, "held")
    agents.book.await_run(second, "completed")
    assert agents.book.traces(first) == [Trace("succeeded", ("succeeded",))]
    assert agents.book.traces(second) == [Trace("succeeded", ())]
    assert agents.book.output(second) == agents.book.output(first)
    assert len(agents.effects(first)) == 1
    assert agents.effects(second) == []


def test_the_second_run_sends_when_the_first_did_nothing(agents: Agents) -> None:
    agents.set_catalog(create_ticket={"settle_s": 2})
    agents.set_faults("request_lost*1")
    agents.start_worker()
    first, second = click_again(agents, TICKET)
    agents.book.await_run(second, "completed")
    assert agents.book.traces(first) == [Trace("cancelled", ("refuted",))]
    assert agents.book.traces(second) == [Trace("succeeded", ("succeeded",))]
    assert len(agents.effects(second)) == 1


def test_an_operators_case_makes_the_second_one_too(agents: Agents) -> None:
    agents.set_faults("answer_lost*1")
    agents.start_worker()
    _, second = click_again(agents, EMAIL)
    agents.book.await_call(second, "needs_operator")
    assert agents.book.calls(second)[0].reason == "elder_needs_operator"
    assert agents.requests(second, "send_email") == []


def test_the_model_is_told_instead_where_the_tool_says_so(agents: Agents) -> None:
    agents.set_catalog(send_email={"when_in_doubt": "tell_model"})
    agents.set_faults("answer_lost*1")
    agents.start_worker()
    _, second = click_again(agents, EMAIL)
    agents.book.await_run(second, "completed")
    assert agents.book.traces(second) == [Trace("cancelled", ())]
    assert agents.book.output(second)["error"]["code"] == "outcome_unknown"


@pytest.mark.parametrize(
    ("same_request", "effects", "state"), [("send", 2, "succeeded"), ("reuse", 1, "succeeded"), ("hold", 1, None)]
)
def test_the_same_request_again_in_a_later_round(
    agents: Agents, same_request: str, effects: int, state: str | None
) -> None:
    agents.set_catalog(create_ticket={"same_request": same_request})
    agents.start_worker()
    run = agents.book.new_run(asks(TICKET), asks(TICKET), says())
    agents.book.await_rest(run)
    _, again = agents.book.calls(run)
    assert again.state == (state or "needs_operator")
    assert again.suspected_duplicate
    assert len(agents.effects(run)) == effects


@pytest.mark.parametrize(("same_request", "effects"), [("send", 2), ("reuse", 1), ("hold", 1)])
def test_equal_calls_of_one_round(agents: Agents, same_request: str, effects: int) -> None:
    agents.set_catalog(create_ticket={"same_request": same_request})
    agents.start_worker()
    run = agents.book.new_run(asks(TICKET, TICKET), says())
    agents.book.await_rest(run)
    agents.book.await_call(run, "succeeded", index=0)
    assert len(agents.effects(run)) == effects
    if same_request == "reuse":
        agents.book.await_run(run, "completed")
        assert agents.book.output(run, 0) == agents.book.output(run, 1)


def test_other_arguments_are_no_equal_call(agents: Agents) -> None:
    agents.set_catalog(create_ticket={"same_request": "hold"})
    agents.start_worker()
    run = agents.book.new_run(asks(TICKET, call("create_ticket", title="B")), says())
    agents.book.await_run(run, "completed")
    assert len(agents.effects(run)) == 2
