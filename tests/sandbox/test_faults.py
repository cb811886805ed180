"""The faults as they are written: parsing, scope, matching, chance."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.faults import KINDS, TOOLS, Fault, SpecError, parse_rule, parse_spec
from sandbox.plan import FaultPlan, drawn


@pytest.mark.parametrize(
    ("spec", "fault"),
    [
        ("hang", Fault("hang")),
        ("latency=0.5", Fault("latency", 0.5)),
        ("latency", Fault("latency", 1.0)),
        ("status_before", Fault("status_before", 503)),
        ("refused=409", Fault("refused", 409)),
        ("answer_lost=close", Fault("answer_lost", "close")),
        ("create_ticket:late=20@0.25*3", Fault("late", 20.0, "create_ticket", 0.25, 3)),
        (" lookup:garbage ", Fault("garbage", None, "lookup")),
    ],
)
def test_an_item_is_read(spec: str, fault: Fault) -> None:
    assert parse_spec(spec).faults == (fault,)


def test_a_list_is_read_with_its_seed() -> None:
    spec = parse_spec("latency=1@0.5; seed=7,answer_lost;;none")
    assert [fault.kind for fault in spec.faults] == ["latency", "answer_lost"]
    assert spec.seed == 7


@pytest.mark.parametrize("spec", ["", " ", "none", ",;"])
def test_nothing_is_no_fault(spec: str) -> None:
    assert parse_spec(spec).faults == ()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("latncy=1", "no kind 'latncy'; kinds are latency,"),
        ("create_tickets:hang", "no tool 'create_tickets'; tools are create_ticket,"),
        ("latency=soon", "latency in seconds is a number from 0 to 3600"),
        ("latency=-1", "from 0 to 3600"),
        ("latency=nan", "from 0 to 3600"),
        ("status_before=99", "whole number from 200 to 599"),
        ("hang=1", "hang takes no value"),
        ("answer_lost=maybe", "reset or close"),
        ("hang@2", "probability is a number from 0 to 1"),
        ("hang*0", "times is a whole number of at least 1"),
        ("seed=x", "seed is a whole number"),
        ("what ever", "not of the form"),
    ],
)
def test_a_mistake_is_told(spec: str, words: str) -> None:
    with pytest.raises(SpecError, match="faults: ") as caught:
        parse_spec(spec)
    assert words in str(caught.value)


@pytest.mark.parametrize("rule", [5, {}, {"kind": "hang", "extra": 1}, {"kind": "hang", "match": []}])
def test_a_bad_rule_is_told(rule: object) -> None:
    with pytest.raises(SpecError):
        parse_rule(rule)


@given(
    kind=st.sampled_from(sorted(KINDS)),
    tool=st.sampled_from((None, *TOOLS)),
    probability=st.sampled_from((1.0, 0.5, 0.125, 0.0)),
    times=st.none() | st.integers(1, 1000),
)
def test_what_is_written_is_read_again(kind: str, tool: str | None, probability: float, times: int | None) -> None:
    fault = Fault(kind, KINDS[kind].default, tool, probability, times)
    assert parse_spec(str(fault)).faults == (fault,)
    assert parse_rule(fault.to_json()) == fault


@pytest.mark.parametrize(
    ("spec", "tools"),
    [
        ("hang", {"create_ticket", "get_ticket", "send_email", "create_invoice"}),
        ("lookup_down", {"lookup"}),
        ("lookup:hang", {"lookup"}),
        ("get_ticket:lookup_lag=1", {"get_ticket"}),
        ("send_email:hang", {"send_email"}),
    ],
)
def test_whom_a_fault_concerns(spec: str, tools: set[str]) -> None:
    (fault,) = parse_spec(spec).faults
    assert {tool for tool in TOOLS if fault.concerns(tool, {})} == tools


def test_a_match_wants_every_field() -> None:
    fault = parse_rule({"kind": "hang", "match": {"title": "A", "attempt": 1}})
    assert fault.concerns("create_ticket", {"title": "A", "attempt": 1})
    assert fault.concerns("create_ticket", {"title": "A", "attempt": "1"})
    assert not fault.concerns("create_ticket", {"title": "A", "attempt": 2})
    assert not fault.concerns("create_ticket", {"title": "A"})


def test_times_are_counted_and_then_over() -> None:
    plan = FaultPlan(parse_spec("hang*2"))
    assert [bool(plan.strike("send_email", {})) for _ in range(4)] == [True, True, False, False]
    plan.restart()
    assert plan.strike("send_email", {})


def test_equal_seeds_give_equal_sequences() -> None:
    one, same, other = (FaultPlan(parse_spec(f"hang@0.5,seed={seed}")) for seed in (1, 1, 2))
    struck = [[bool(plan.strike("send_email", {})) for _ in range(200)] for plan in (one, same, other)]
    assert struck[0] == struck[1] != struck[2]
    assert 60 < sum(struck[0]) < 140


@given(seed=st.integers(0, 2**31), number=st.integers(1, 10**6))
def test_a_draw_is_at_least_0_and_below_1(seed: int, number: int) -> None:
    assert 0 <= drawn(seed, Fault("hang"), number) < 1


def test_probability_0_never_and_1_always() -> None:
    plan = FaultPlan(parse_spec("hang@0,garbage"))
    assert {tuple(f.kind for f in plan.strike("send_email", {})) for _ in range(100)} == {("garbage",)}


def test_of_one_kind_the_first_that_strikes_acts_and_rules_come_first() -> None:
    plan = FaultPlan(parse_spec("latency=1*1,latency=2,hang"))
    plan.add([parse_rule({"kind": "latency", "value": 9, "times": 1})], "rule")
    latencies = [[f.value for f in plan.strike("send_email", {}) if f.kind == "latency"] for _ in range(4)]
    assert latencies == [[9.0], [1.0], [2.0], [2.0]]
    assert [armed.seen for armed in plan.armed] == [1, 2, 4, 1]
