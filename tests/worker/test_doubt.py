"""From doubt to a verdict, end to end: a real worker before a sandbox that goes wrong, for each contract."""

import pytest

from tests.support.agents import Agents
from tests.support.ledger import Trace, asks, call, says

TICKET = call("create_ticket", title="A")
INVOICE = call("create_invoice", customer="c", amount_cents=5)
EMAIL = call("send_email", to="a@example.com", subject="s")


def play(agents: Agents, asked: dict[str, object], faults: str = "", **options: object) -> str:
    """One run with one call, driven by one worker until it rests."""
    agents.set_faults(faults)
    agents.start_worker(**options)
    run = agents.book.new_run(asks(asked), says())
    agents.book.await_rest(run)
    return run


# The effect happened, and its answer is lost ---------------------------------------------------------

AFTER = ("answer_lost*1", "status_after=500*1", "garbage*1", "cut*1", "late=0.6*1")


@pytest.mark.parametrize("fault", AFTER)
def test_lookup_finds_what_happened(agents: Agents, fault: str) -> None:
    run = play(agents, TICKET, fault)
    assert agents.book.run(run).status == "completed"
    assert agents.book.traces(run) == [Trace("succeeded", ("succeeded",))]
    [effect] = agents.effects(run)
    assert agents.book.output(run)["ticket_id"] == effect["ticket_id"]
    assert agents.book.evidence(run) == [("reply", "unknown"), ("lookup", "found")]


@pytest.mark.parametrize("fault", ["answer_lost*1", "status_after=500*1"])
def test_keyed_asks_again_with_the_same_key(agents: Agents, fault: str) -> None:
    run = play(agents, INVOICE, fault)
    assert agents.book.run(run).status == "completed"
    assert agents.book.traces(run) == [Trace("succeeded", ("unknown", "succeeded"))]
    [effect] = agents.effects(run, "create_invoice")
    assert agents.book.output(run)["invoice_id"] == effect["invoice_id"]
    assert len({request["idempotency_key"] for request in agents.requests(run, "create_invoice")}) == 1
    assert agents.book.calls(run)[0].conflict_at is None


@pytest.mark.parametrize("fault", ["answer_lost*1", "status_after=500*1", "status_before=503*1"])
def test_never_goes_to_an_operator(agents: Agents, fault: str) -> None:
    run = play(agents, EMAIL, fault)
    assert agents.book.traces(run) == [Trace("needs_operator", ("unknown",))]
    assert agents.book.calls(run)[0].reason == "outcome_unknown"
    assert len(agents.requests(run, "send_email")) == 1
    row = agents.book.run(run)
    assert row.status == "requires_action"
    assert (row.expires_at - row.created_at).total_seconds() > 86_000, "a person has a day"


def test_safe_is_simply_asked_again(agents: Agents) -> None:
    ticket = agents.sandbox.post("/tools/create_ticket", {"title": "there before"})["ticket_id"]
    run = play(agents, call("get_ticket", ticket_id=ticket), "answer_lost*2")
    assert agents.book.run(run).status == "completed"
    assert agents.book.traces(run) == [Trace("succeeded", ("unknown", "unknown", "succeeded"))]


# Nothing happened ------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["request_lost*1", "status_before=503*1", "hang*1"])
def test_lookup_finds_nothing_and_it_is_sent_again(agents: Agents, fault: str) -> None:
    run = play(agents, TICKET, fault)
    assert agents.book.run(run).status == "completed"
    assert agents.book.traces(run) == [Trace("succeeded", ("refuted", "succeeded"))]
    assert len(agents.effects(run)) == 1


def test_what_was_refused_for_a_while_is_sent_when_the_tool_said(agents: Agents) -> None:
    run = play(agents, EMAIL, "refused=429*1")
    assert agents.book.traces(run) == [Trace("succeeded", ("refused", "succeeded"))]
    first, second = agents.book.attempts(run)
    assert (second.intended_at - first.closed_at).total_seconds() >= 1, "Retry-After: 1"


def test_what_is_refused_for_good_is_told_to_the_model(agents: Agents) -> None:
    run = play(agents, EMAIL, "status_before=401")
    assert agents.book.run(run).status == "completed"
    assert agents.book.traces(run) == [Trace("failed", ("failed",))]
    assert agents.book.output(run)["error"]["code"] == "refused"


def test_a_refusal_of_the_second_attempt_proves_nothing_about_the_first(agents: Agents) -> None:
    agents.set_faults("")
    agents.sandbox.post(
        "/faults",
        {
            "rules": [
                {"tool": "create_invoice", "match": {"attempt": 1}, "kind": "answer_lost"},
                {"tool": "create_invoice", "match": {"attempt": 2}, "kind": "status_before", "value": 401},
            ]
        },
    )
    agents.start_worker()
    run = agents.book.new_run(asks(INVOICE), says())
    agents.book.await_rest(run)
    assert agents.book.traces(run)[0].state == "succeeded"
    assert agents.book.traces(run)[0].attempts == ("unknown", "failed", "succeeded")
    assert len(agents.effects(run, "create_invoice")) == 1


def test_a_tool_that_cannot_be_reached_was_sent_nothing(agents: Agents) -> None:
    agents.set_catalog(send_email={"url": "http://127.0.0.1:1/nobody", "max_attempts": 2})
    agents.start_worker()
    run = agents.book.new_run(asks(EMAIL), says())
    agents.book.await_that(lambda: len(agents.book.attempts(run)) >= 3, run)
    assert {attempt.state for attempt in agents.book.attempts(run)} <= {"not_sent", "open"}, "none counts"


def test_attempts_that_did_nothing_are_used_up(agents: Agents) -> None:
    agents.set_catalog(send_email={"max_attempts": 2})
    run = play(agents, EMAIL, "refused=429")
    assert agents.book.run(run).status == "completed"
    assert agents.book.traces(run) == [Trace("failed", ("refused", "refused"))]
    assert agents.book.calls(run)[0].reason == "attempts_used_up"


def test_keyed_attempts_that_nobody_knows_of_are_an_operators_when_used_up(agents: Agents) -> None:
    agents.set_catalog(create_invoice={"max_attempts": 2})
    run = play(agents, INVOICE, "status_after=500")
    assert agents.book.traces(run) == [Trace("needs_operator", ("unknown", "unknown"))]
    assert agents.book.calls(run)[0].reason == "attempts_used_up"
    assert len(agents.effects(run, "create_invoice")) == 1


def test_a_key_that_the_tool_may_have_forgotten_is_not_used_again(agents: Agents) -> None:
    agents.set_catalog(create_invoice={"key_ttl_s": 3})
    run = play(agents, INVOICE, "answer_lost")
    assert agents.book.traces(run) == [Trace("needs_operator", ("unknown",))]
    assert agents.book.calls(run)[0].reason == "key_expired"
    assert len(agents.requests(run, "create_invoice")) == 1


# Lookups that do not answer ---------------------------------------------------------------------------


def test_a_lookup_without_an_answer_is_an_operators(agents: Agents) -> None:
    run = play(agents, TICKET, "answer_lost,lookup_down")
    assert agents.book.traces(run) == [Trace("needs_operator", ("unknown",))]
    assert agents.book.calls(run)[0].reason == "lookup_no_answer"
    assert agents.book.evidence(run) == [("reply", "unknown"), *[("lookup", "no_answer")] * 3]
    assert len(agents.effects(run)) == 1


def test_two_effects_of_one_request_are_an_operators(agents: Agents) -> None:
    run = play(agents, TICKET, "twice,answer_lost")
    assert agents.book.traces(run) == [Trace("needs_operator", ("unknown",))]
    assert agents.book.calls(run)[0].reason == "lookup_several"


def test_a_lookup_that_lies_doubles_as_documented(agents: Agents) -> None:
    """What stays open: no ledger can know of an effect that its own system denies."""
    run = play(agents, TICKET, "answer_lost*1,lookup_lies")
    assert agents.book.run(run).status == "completed"
    assert len(agents.effects(run)) == 2


def test_an_effect_that_comes_within_settle_s_is_waited_for(agents: Agents) -> None:
    agents.set_catalog(create_ticket={"settle_s": 3})
    run = play(agents, TICKET, "late=4*1")
    assert agents.book.traces(run) == [Trace("succeeded", ("succeeded",))]
    assert len(agents.effects(run)) == 1


# 202, and the model's view ----------------------------------------------------------------------------


def test_an_accepted_call_that_says_nothing_more_is_looked_up(agents: Agents) -> None:
    agents.set_catalog(create_ticket={"completion_s": 1})
    run = play(agents, TICKET, "accept_202=0.5")
    assert agents.book.traces(run) == [Trace("succeeded", ("succeeded",))]
    assert "call.accepted" in agents.book.events(run)


def test_a_202_without_completion_s_is_unknown(agents: Agents) -> None:
    run = play(agents, EMAIL, "accept_202=0.1")
    assert agents.book.traces(run) == [Trace("needs_operator", ("unknown",))]


def test_the_model_is_told_of_doubt_and_goes_on(agents: Agents) -> None:
    agents.set_catalog(create_ticket={"when_in_doubt": "tell_model", "settle_s": 2})
    run = play(agents, TICKET, "answer_lost*1")
    assert agents.book.run(run).status == "completed"
    assert agents.book.output(run)["error"]["code"] == "outcome_unknown"
    agents.book.await_call(run, "succeeded")
    [row] = agents.book.calls(run)
    assert row.orphan_at is None, "the model was told of it"
    assert len(agents.effects(run)) == 1


def test_what_the_model_was_told_of_and_did_not_happen_is_an_operators(agents: Agents) -> None:
    agents.set_catalog(create_ticket={"when_in_doubt": "tell_model", "settle_s": 1})
    agents.set_faults("request_lost*1")
    agents.start_worker()
    run = agents.book.new_run(asks(TICKET), says())
    agents.book.await_call(run, "needs_operator")
    assert agents.book.run(run).status == "completed"
    assert agents.book.traces(run) == [Trace("needs_operator", ("refuted",))]
    assert agents.effects(run) == []
