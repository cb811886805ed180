"""Every call state × contract × constellation of attempts × run: what `decide_call` must never do.

Also constellations that cannot come about: the rules must hold for what a bug or a hand leaves behind, too.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.catalog.tool import Contract, Lookup
from sql.vocabulary import AttemptState as A
from sql.vocabulary import CallState as C
from sql.vocabulary import Executor, Ledger
from worker.coordinator.decide import CallPlan, Look, Rest, Send, Wait, decide_call
from worker.coordinator.lifecycle import CALL_TRANSITIONS, CALL_TRANSITIONS_OFF, NOTHING_HAPPENED, SETTLED
from worker.coordinator.situation import CallView, Elder, RunView
from worker.coordinator.verdict import AttemptView

NOW: Final = datetime(2026, 3, 12, 12, tzinfo=UTC)
OPERATOR_RETRY: Final = "operator_retry"
LOOKUP: Final = Lookup("http://tool/{effect_key}", "found", "id", tries=3)
CONTRACTS: Final = {
    "safe": Contract(repeat="safe"),
    "keyed": Contract(repeat="keyed", key_ttl_s=86_400, settle_s=15),
    "keyed for ever": Contract(repeat="keyed", key_ttl_s=0),
    "keyed, expired": Contract(repeat="keyed", key_ttl_s=1),
    "keyed, with a lookup": Contract(repeat="keyed", key_ttl_s=86_400, settle_s=15, lookup=LOOKUP),
    "lookup": Contract(repeat="lookup", settle_s=15, lookup=LOOKUP),
    "lookup, completing": Contract(repeat="lookup", settle_s=15, completion_s=60, lookup=LOOKUP),
    "never": Contract(),
    "never, told": Contract(when_in_doubt="tell_model"),
    "lookup, told": Contract(repeat="lookup", settle_s=15, lookup=LOOKUP, when_in_doubt="tell_model"),
    "once": Contract(repeat="keyed", key_ttl_s=0, max_attempts=1),
}
# When an attempt's deadline is, seconds from now: to come, just over, long over.
AGES: Final = (5.0, -0.1, -7200.0)
RUNS: Final = [
    RunView(ended=ended, expired=False, poisoned=poisoned, ledger=ledger)
    for ended, poisoned, ledger in product((False, True), (False, True), Ledger)
]
ELDERS: Final = (
    None,
    Elder(open_state=C.NEEDS_OPERATOR),
    Elder(open_state=C.INTENDED),
    Elder(holder_state=C.SUCCEEDED),
    Elder(holder_state=C.FAILED),
    Elder(holder_state=C.CANCELLED),
)


def attempt(number: int, state: A, age_s: float) -> AttemptView:
    """An attempt whose deadline is so many seconds from now."""
    deadline = NOW + timedelta(seconds=age_s)
    closed = None if state == A.OPEN else min(deadline, NOW)
    return AttemptView(number, state, deadline - timedelta(seconds=13), deadline, closed)


def constellations() -> Iterator[tuple[AttemptView, ...]]:
    """None, one or two attempts in every pair of states and ages; at most one is open."""
    yield ()
    ones = list(product(A, AGES))
    for state, age_s in ones:
        yield (attempt(1, state, age_s),)
    for (first, age_s), (second, later_s) in product(ones, ones):
        if not (first == second == A.OPEN) and age_s <= later_s:
            yield attempt(1, first, age_s), attempt(2, second, later_s)


def view(contract: Contract, state: C, attempts: tuple[AttemptView, ...]) -> CallView:
    """A server's call."""
    return CallView("run", "call", 0, 0, "tool", Executor.SERVER, contract, state, attempts)


def can_be(call: CallView, run: RunView) -> bool:
    """Whether state and attempts go together, as every write leaves them."""
    states = {one.state for one in call.attempts}
    if run.ledger == Ledger.OFF:
        return not states and call.elder is None and call.state in SETTLED | {C.PENDING}
    match call.state:
        case C.PENDING | C.HELD:
            return states <= NOTHING_HAPPENED
        case C.INTENDED | C.ACCEPTED | C.IN_DOUBT:
            return bool(states) and A.SUCCEEDED not in states
        case _:
            return True


def is_over(call: CallView, one: AttemptView) -> bool:
    """Whether an open or accepted attempt counts as unknown by now."""
    more_s = (call.contract.completion_s or 0) + call.contract.settle_s if one.state == A.ACCEPTED else 0
    return one.deadline + timedelta(seconds=more_s) <= NOW


def check(call: CallView, run: RunView) -> None:
    """All that must hold of a decision about one call."""
    plan = decide_call(call, run, NOW)
    move = plan.move.state if plan.move is not None else None
    check_sends(call, run, plan)
    if move == C.FAILED:
        assert {a.state for a in call.attempts} <= NOTHING_HAPPENED or call.contract.repeat == "safe"
    if call.state in SETTLED:
        assert move is None, "a settled call never changes state"
    if call.state == C.NEEDS_OPERATOR and (move not in (None, C.NEEDS_OPERATOR) or isinstance(plan.action, Send)):
        assert {a.state for a in call.attempts} <= NOTHING_HAPPENED, "left without evidence"
        assert call.attempts or call.elder or run.ended, "left without a word"
    if can_be(call, run):
        machine = CALL_TRANSITIONS_OFF if run.ledger == Ledger.OFF else CALL_TRANSITIONS
        assert move in (None, call.state, *machine.get(call.state, ())), f"{call.state} → {move}"
    for one in call.attempts:
        assert (one.number in plan.doubts) == (one.state in (A.OPEN, A.ACCEPTED) and is_over(call, one))
    if isinstance(plan.action, Rest) and call.state not in SETTLED:
        rests = SETTLED | {C.NEEDS_OPERATOR}
        assert (move or call.state) in rests, "nothing waits unseen"
    if isinstance(plan.action, Wait) and plan.move is None and not plan.doubts:
        assert plan.action.until > NOW, "would be claimed again at once, for ever"
    if isinstance(plan.action, Look):
        assert call.contract.lookup is not None
        opens = [a for a in call.attempts if a.state in (A.OPEN, A.ACCEPTED, A.UNKNOWN)]
        assert all(a.deadline + timedelta(seconds=call.contract.settle_s) <= NOW for a in opens), "looks too early"


def check_sends(call: CallView, run: RunView, plan: CallPlan) -> None:
    """What must hold where a request goes out."""
    if not isinstance(plan.action, Send):
        return
    assert not run.ended, "an ended run sends nothing"
    assert call.state not in SETTLED
    assert call.sendable
    assert not any(a.state == A.OPEN and a.deadline > NOW for a in call.attempts), "one is still under way"
    if run.ledger != Ledger.OFF and can_be(call, run):
        assert C.INTENDED in (call.state, *CALL_TRANSITIONS[call.state]), f"{call.state} → intended"
    if {a.state for a in call.attempts} <= NOTHING_HAPPENED or run.ledger == Ledger.OBSERVE:
        return
    assert A.SUCCEEDED not in {a.state for a in call.attempts}
    first = min((a.intended_at for a in call.attempts), default=NOW)
    match call.contract.repeat:
        case "safe":
            pass
        case "keyed":
            ttl_s = call.contract.key_ttl_s
            assert ttl_s == 0 or first + timedelta(seconds=ttl_s or 0) > NOW + timedelta(seconds=13)
            assert all(a.deadline <= NOW for a in call.attempts)
        case _:
            pytest.fail(f"a {call.contract.repeat} call was sent again while it may have happened")


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_constellation(name: str) -> None:
    for state, attempts, run in product(C, constellations(), RUNS):
        if state != C.HELD:
            check(view(CONTRACTS[name], state, attempts), run)


calls = st.builds(
    CallView,
    run_id=st.just("run"),
    tool_call_id=st.just("call"),
    round=st.just(0),
    index=st.just(0),
    tool=st.just("tool"),
    executor=st.just(Executor.SERVER),
    contract=st.sampled_from(list(CONTRACTS.values())),
    state=st.sampled_from(C),
    attempts=st.lists(st.tuples(st.sampled_from(A), st.sampled_from(AGES)), max_size=4).map(
        lambda kinds: tuple(attempt(n, *kind) for n, kind in enumerate(kinds, 1))
    ),
    reason=st.sampled_from([None, OPERATOR_RETRY, "lookup_several", "outcome_unknown"]),
    not_before=st.sampled_from([None, NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)]),
    lookups=st.integers(0, 4),
    told=st.booleans(),
    conflicted=st.booleans(),
    sendable=st.booleans(),
    elder=st.sampled_from(ELDERS),
)


@settings(max_examples=800, deadline=None)
@given(calls, st.sampled_from(RUNS))
def test_calls_with_anything_else_about_them(call: CallView, run: RunView) -> None:
    check(call, run)


@settings(max_examples=800, deadline=None)
@given(calls, st.sampled_from(RUNS))
def test_deciding_comes_to_rest(call: CallView, run: RunView) -> None:
    """Performed again and again at one moment, decisions soon have nothing to write."""
    for _ in range(6):
        plan = decide_call(call, run, NOW)
        if isinstance(plan.action, Send | Look) or (plan.move is None and not plan.doubts):
            return
        call = performed(call, plan)
    pytest.fail(f"goes in circles: {call}")


def performed(call: CallView, plan: CallPlan) -> CallView:
    """The call once the plan is written."""
    attempts = tuple(
        replace(a, state=A.UNKNOWN, closed_at=a.closed_at or NOW) if a.number in plan.doubts else a
        for a in call.attempts
    )
    move = plan.move
    if move is None:
        return replace(call, attempts=attempts)
    return replace(
        call,
        attempts=attempts,
        state=move.state or call.state,
        reason=move.reason or call.reason,
        told=call.told or move.told,
        conflicted=call.conflicted or move.conflict,
    )
