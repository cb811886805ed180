"""What to do next, row by row of the table of contracts; the walk over everything is in test_decide_walk.py."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from app.catalog.tool import Contract, Lookup
from sql.vocabulary import AttemptState as A
from sql.vocabulary import CallState as C
from sql.vocabulary import Executor, Ledger
from worker.coordinator.decide import CallPlan, Look, Move, Plan, Rest, Send, Wait, decide, decide_call
from worker.coordinator.situation import CallView, Elder, RunView
from worker.coordinator.verdict import AttemptView

NOW: Final = datetime(2026, 3, 12, 12, tzinfo=UTC)
RUN: Final = RunView(ended=False, expired=False, poisoned=False, ledger=Ledger.ENFORCE)
ENDED: Final = replace(RUN, ended=True)
SAFE: Final = Contract(repeat="safe")
KEYED: Final = Contract(repeat="keyed", key_ttl_s=3600, settle_s=15)
LOOKUP: Final = Contract(repeat="lookup", settle_s=15, lookup=Lookup("http://tool/", "found", "id", tries=3))
NEVER: Final = Contract()
LIFE_S: Final = 13.0


def view(contract: Contract, state: C, *attempts: tuple[A, float], **more: Any) -> CallView:
    """A call; each attempt as its state and how many seconds ago its deadline was."""
    made = tuple(_attempt(number, *attempt) for number, attempt in enumerate(attempts, 1))
    return CallView("run", "call", 0, 0, "tool", Executor.SERVER, contract, state, made, **more)


def _attempt(number: int, state: A, ago_s: float) -> AttemptView:
    deadline = seconds(-ago_s)
    closed = None if state == A.OPEN else deadline
    return AttemptView(number, state, deadline - timedelta(seconds=LIFE_S), deadline, closed)


def seconds(count: float) -> datetime:
    """So many seconds from now."""
    return NOW + timedelta(seconds=count)


def plan_of(call: CallView, run: RunView = RUN) -> CallPlan:
    """What to do about the call."""
    return decide_call(call, run, NOW)


# In doubt, by contract --------------------------------------------------------------------------------


def test_safe_is_sent_again() -> None:
    assert plan_of(view(SAFE, C.IN_DOUBT, (A.UNKNOWN, 60))) == CallPlan(Send())


def test_safe_that_is_used_up_has_failed_since_it_does_nothing() -> None:
    call = view(replace(SAFE, max_attempts=2), C.IN_DOUBT, (A.UNKNOWN, 60), (A.UNKNOWN, 60))
    assert plan_of(call) == CallPlan(Rest(), Move(C.FAILED, "attempts_used_up"))


def test_keyed_waits_until_nothing_is_under_way_and_sends_again() -> None:
    assert isinstance(plan_of(view(KEYED, C.IN_DOUBT, (A.UNKNOWN, -3))).action, Wait)
    assert plan_of(view(KEYED, C.IN_DOUBT, (A.UNKNOWN, 60))) == CallPlan(Send())


def test_keyed_goes_to_an_operator_when_the_key_may_be_forgotten() -> None:
    """The first intent counts, and the new request must have arrived while the key is known."""
    last = view(KEYED, C.IN_DOUBT, (A.UNKNOWN, 3600 - LIFE_S - LIFE_S - 15 - 1))
    past = view(KEYED, C.IN_DOUBT, (A.UNKNOWN, 3600 - LIFE_S - LIFE_S - 15 + 1))
    assert isinstance(plan_of(last).action, Send)
    assert plan_of(past) == CallPlan(Rest(), Move(C.NEEDS_OPERATOR, "key_expired"))


def test_a_key_for_ever_never_expires() -> None:
    for_ever = replace(KEYED, key_ttl_s=0)
    assert isinstance(plan_of(view(for_ever, C.IN_DOUBT, (A.UNKNOWN, 1e7))).action, Send)


def test_lookup_looks_once_the_effect_can_no_longer_come() -> None:
    early, late = (view(LOOKUP, C.IN_DOUBT, (A.UNKNOWN, ago)) for ago in (14.0, 16.0))
    assert plan_of(early) == CallPlan(Wait(seconds(1)))
    assert plan_of(late) == CallPlan(Look())


def test_lookup_that_may_answer_202_waits_for_its_completion_too() -> None:
    contract = replace(LOOKUP, completion_s=60)
    assert plan_of(view(contract, C.IN_DOUBT, (A.UNKNOWN, 16))) == CallPlan(Wait(seconds(59)))


def test_lookup_without_an_answer_is_an_operators() -> None:
    call = view(LOOKUP, C.IN_DOUBT, (A.UNKNOWN, 60), lookups=3)
    assert plan_of(call) == CallPlan(Rest(), Move(C.NEEDS_OPERATOR, "lookup_no_answer"))


def test_never_is_an_operators_at_once() -> None:
    call = view(NEVER, C.INTENDED, (A.UNKNOWN, -5))
    assert plan_of(call) == CallPlan(Rest(), Move(C.NEEDS_OPERATOR, "outcome_unknown"))


def test_doubt_begins_at_the_deadline_of_an_attempt_that_said_nothing() -> None:
    assert plan_of(view(NEVER, C.INTENDED, (A.OPEN, -5))) == CallPlan(Wait(seconds(5)))
    plan = plan_of(view(NEVER, C.INTENDED, (A.OPEN, 0)))
    assert (plan.doubts, plan.move) == ((1,), Move(C.NEEDS_OPERATOR, "outcome_unknown"))


# Nothing happened -------------------------------------------------------------------------------------


def test_what_was_refused_waits_for_its_back_off() -> None:
    call = view(NEVER, C.INTENDED, (A.REFUSED, 0))
    assert plan_of(call) == CallPlan(Wait(seconds(0.5)), Move(C.PENDING))
    assert plan_of(view(NEVER, C.PENDING, (A.REFUSED, 1))) == CallPlan(Send())


def test_retry_after_is_honoured() -> None:
    call = view(NEVER, C.PENDING, (A.REFUSED, 10), not_before=seconds(20))
    assert plan_of(call) == CallPlan(Wait(seconds(20)))


def test_refused_for_good_has_failed() -> None:
    assert plan_of(view(NEVER, C.INTENDED, (A.FAILED, 1))) == CallPlan(Rest(), Move(C.FAILED, "refused"))


def test_refused_for_good_beside_doubt_is_doubt() -> None:
    call = view(KEYED, C.IN_DOUBT, (A.UNKNOWN, 60), (A.FAILED, 50))
    assert isinstance(plan_of(call).action, Send)
    never = view(NEVER, C.IN_DOUBT, (A.UNKNOWN, 60), (A.FAILED, 50))
    assert plan_of(never).move == Move(C.NEEDS_OPERATOR, "outcome_unknown")


def test_attempts_that_were_not_sent_do_not_count() -> None:
    call = view(replace(NEVER, max_attempts=2), C.PENDING, *[(A.NOT_SENT, 60)] * 5)
    assert isinstance(plan_of(call).action, Send)
    used_up = view(replace(NEVER, max_attempts=2), C.PENDING, (A.REFUSED, 60), (A.REFUTED, 60))
    assert plan_of(used_up) == CallPlan(Rest(), Move(C.FAILED, "attempts_used_up"))


# Ended runs -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("contract", "expected"),
    [
        (SAFE, CallPlan(Rest(), Move(C.CANCELLED, "run_ended"))),
        (KEYED, CallPlan(Rest(), Move(C.NEEDS_OPERATOR, "outcome_unknown"))),
        (LOOKUP, CallPlan(Look())),
        (NEVER, CallPlan(Rest(), Move(C.NEEDS_OPERATOR, "outcome_unknown"))),
    ],
)
def test_an_ended_run_sends_nothing_and_still_settles(contract: Contract, expected: CallPlan) -> None:
    assert plan_of(view(contract, C.IN_DOUBT, (A.UNKNOWN, 60)), ENDED) == expected


def test_a_lookup_that_found_none_cancels_a_call_of_an_ended_run() -> None:
    assert plan_of(view(LOOKUP, C.IN_DOUBT, (A.REFUTED, 60)), ENDED) == CallPlan(Rest(), Move(C.CANCELLED, "run_ended"))


def test_a_run_past_its_time_is_ended_and_nothing_else() -> None:
    expired = replace(RUN, expired=True)
    assert decide(expired, [view(SAFE, C.IN_DOUBT, (A.UNKNOWN, 60))], NOW, ()) == Plan(expire=True)


# Beside a success -------------------------------------------------------------------------------------


def test_beside_a_success_another_attempt_is_settled_too() -> None:
    looked_up = view(LOOKUP, C.SUCCEEDED, (A.UNKNOWN, 60), (A.SUCCEEDED, 60))
    nobody_knows = view(NEVER, C.SUCCEEDED, (A.UNKNOWN, 60), (A.SUCCEEDED, 60))
    covered = view(KEYED, C.SUCCEEDED, (A.UNKNOWN, 60), (A.SUCCEEDED, 60))
    assert plan_of(looked_up) == CallPlan(Look())
    assert plan_of(nobody_knows) == CallPlan(Rest(), Move(None, conflict=True))
    assert plan_of(covered) == CallPlan(Rest())


# Equal calls ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("elder", "expected"),
    [
        (Elder(open_state=C.INTENDED), CallPlan(Wait(seconds(2)))),
        (Elder(holder_state=C.SUCCEEDED), CallPlan(Rest(), Move(C.SUCCEEDED, "shared", share=True))),
        (Elder(holder_state=C.FAILED), CallPlan(Send())),
        (Elder(holder_state=C.CANCELLED), CallPlan(Send())),
    ],
)
def test_a_held_call_shares_the_fate_of_its_elder(elder: Elder, expected: CallPlan) -> None:
    assert plan_of(view(NEVER, C.HELD, elder=elder)) == expected


def test_a_held_call_needs_the_operator_that_its_elder_needs() -> None:
    held = view(NEVER, C.HELD, elder=Elder(open_state=C.NEEDS_OPERATOR))
    assert plan_of(held).move == Move(C.NEEDS_OPERATOR, "elder_needs_operator")
    told = replace(held, contract=replace(NEVER, when_in_doubt="tell_model"))
    move = plan_of(told).move
    assert move is not None
    assert (move.state, move.told) == (C.CANCELLED, True)


# The run ----------------------------------------------------------------------------------------------


def test_the_model_is_asked_when_every_call_is_answered() -> None:
    done, told, open_ = (
        view(NEVER, C.SUCCEEDED, (A.SUCCEEDED, 1)),
        view(NEVER, C.NEEDS_OPERATOR, (A.UNKNOWN, 1), told=True),
        view(NEVER, C.NEEDS_OPERATOR, (A.UNKNOWN, 1)),
    )
    assert decide(RUN, [done, told], NOW, ()).ask_model
    assert not decide(RUN, [done, open_], NOW, ()).ask_model
    assert not decide(ENDED, [done, told], NOW, ()).ask_model


def test_what_is_being_sent_by_this_process_is_left_alone() -> None:
    call = view(SAFE, C.IN_DOUBT, (A.UNKNOWN, 60))
    assert decide(RUN, [call], NOW, {call.key}) == Plan()


def test_a_run_is_due_at_the_earliest_of_its_waits() -> None:
    calls = [replace(view(NEVER, C.INTENDED, (A.OPEN, -ahead)), tool_call_id=str(ahead)) for ahead in (9.0, 4.0, 7.0)]
    assert decide(RUN, calls, NOW, ()) == Plan(until=seconds(4))


def test_a_clients_call_is_its_clients() -> None:
    call = replace(view(NEVER, C.PENDING), executor=Executor.CLIENT)
    assert plan_of(call) == CallPlan(Rest())


@pytest.mark.parametrize("mode", [Ledger.OBSERVE, Ledger.ENFORCE])
def test_observe_holds_no_send_back(mode: Ledger) -> None:
    plan = plan_of(view(NEVER, C.IN_DOUBT, (A.UNKNOWN, 60)), replace(RUN, ledger=mode))
    assert isinstance(plan.action, Send) == (mode == Ledger.OBSERVE)


def test_a_poisoned_run_that_has_ended_is_an_operators() -> None:
    plan = plan_of(view(LOOKUP, C.IN_DOUBT, (A.UNKNOWN, 60)), replace(ENDED, poisoned=True))
    assert plan == CallPlan(Rest(), Move(C.NEEDS_OPERATOR, "poisoned"))
