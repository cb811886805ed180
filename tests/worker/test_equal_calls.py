"""Equal calls of one thread: held while the first is open, sharing its fate; and the same request once more."""

from dataclasses import replace

import psutil
import pytest

from app.operations import By, carry_out, resolve
from app.resolution import UnderWay, Verdict, Word
from tests.support.agents import Agents
from tests.support.ledger import Trace, asks, call, says
from tests.support.processes import wait_until

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


def test_of_three_equal_calls_the_third_waits_for_the_second(agents: Agents) -> None:
    """Both waited for the first, and both were sent when that did nothing."""
    agents.set_catalog(create_ticket={"same_request": "reuse"})
    agents.set_faults("status_before=401*1")
    agents.start_worker()
    run = agents.book.new_run(asks(TICKET, TICKET, TICKET), says())
    agents.book.await_run(run, "completed")
    assert [trace.state for trace in agents.book.traces(run)] == ["failed", "succeeded", "succeeded"]
    assert len(agents.effects(run)) == 1


def is_said(agents: Agents, word: Word) -> bool:
    """Whether a person's word is taken: not before the request can no longer be under way."""
    try:
        carry_out(agents.book.raw, lambda transaction: resolve(transaction, word, By("ann", "not in the outbox")))
    except UnderWay:
        return False
    return True


def test_what_was_called_undone_and_is_proven_to_have_happened_is_not_sent_again_unseen(agents: Agents) -> None:
    """A person saw nothing and said so; the lost sender's proof came later: the same request waits for a person."""
    late = agents.start_worker(COUNTERFOIL_FAULT="after_effect:1:stop")
    thread = agents.book.new_thread()
    first = agents.book.new_run(asks(EMAIL), says(), thread=thread)
    wait_until(lambda: psutil.Process(late.pid).status() == psutil.STATUS_STOPPED, what="the stall")
    agents.start_worker()
    agents.book.await_call(first, "needs_operator")
    agents.book.end(first, "cancelled")
    word = Word(first, agents.book.calls(first)[0].tool_call_id, Verdict.FAILED)
    agents.book.await_that(lambda: is_said(agents, word), first)
    late.resume()
    agents.book.await_that(lambda: agents.book.calls(first)[0].conflict_at is not None, first)
    second = agents.book.new_run(asks(EMAIL), says(), thread=thread)
    agents.book.await_call(second, "needs_operator")
    assert agents.book.calls(second)[0].reason == "elder_needs_operator"
    seen = replace(word, verdict=Verdict.SEEN)
    carry_out(agents.book.raw, lambda transaction: resolve(transaction, seen, By("ann", "it was there after all")))
    agents.book.await_run(second, "completed")
    assert len(agents.effects(second, "send_email")) == 1, "a person knew, and let it go"
