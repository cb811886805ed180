"""What a lookup proves: refutes only what could no longer come, counts nobody else's effect, never guesses."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.gateway.outcome import Found, LookupAnswer, NoAnswer, NoneFound
from worker.reconciler.lookup import Question, judge
from worker.records import Learnt

NOW: Final = datetime(2026, 3, 12, 12, tzinfo=UTC)
ASKED: Final = Question("run", "call", "create_ticket", "worker-a", NOW, doubtful=(1,), intended_at=NOW)
OTHERS: Final = {"T-1": ("run_0", "call_0")}


def found(*ids: str, **seconds: float) -> Found:
    """Effects of these ids; `T1=-5`: effect T-1 came about five seconds before the intent."""
    times = {f"{name[0]}-{name[1:]}": NOW + timedelta(seconds=ago) for name, ago in seconds.items()}
    return Found(tuple((one, b'{"id": "%b"}' % one.encode()) for one in ids), times)


def states(learnt: Learnt) -> list[tuple[int, str]]:
    """(number, state) of the attempts that move."""
    return [(move.number, move.state) for move in learnt.attempts]


def test_one_found_is_the_effect_and_its_body_the_output() -> None:
    learnt = judge(ASKED, found("T-1"), {})
    assert states(learnt) == [(1, "succeeded")]
    assert learnt.settlement is not None
    assert (learnt.settlement.state, learnt.settlement.external_id) == ("succeeded", "T-1")
    assert learnt.payloads[0].id == learnt.settlement.output
    assert learnt.payloads[0].bytes == b'{"id": "T-1"}'
    assert [effect.external_id for effect in learnt.effects] == ["T-1"]


def test_one_found_for_two_attempts_is_one_effect() -> None:
    learnt = judge(replace(ASKED, doubtful=(1, 3)), found("T-1"), {})
    assert states(learnt) == [(1, "succeeded"), (3, "refuted")]


def test_none_refutes_the_attempts_that_it_was_asked_about_and_no_other() -> None:
    learnt = judge(replace(ASKED, doubtful=(1, 3)), NoneFound(), {})
    assert states(learnt) == [(1, "refuted"), (3, "refuted")]
    assert learnt.settlement is None
    assert learnt.evidence.at == NOW, "when it began"


def test_no_answer_proves_nothing_and_is_asked_again_later() -> None:
    learnt = judge(replace(ASKED, tries=1), NoAnswer("status 503"), {})
    assert (learnt.attempts, learnt.settlement) == ((), None)
    assert learnt.note is not None
    assert (learnt.note.more_lookups, learnt.note.wait_s) == (1, 2.0)


def test_several_are_an_operators() -> None:
    learnt = judge(ASKED, found("T-1", "T-2"), {})
    assert (learnt.attempts, learnt.settlement) == ((), None)
    assert learnt.note is not None
    assert learnt.note.reason == "lookup_several"


def test_an_effect_of_another_call_does_not_count() -> None:
    assert states(judge(ASKED, found("T-1"), OTHERS)) == [(1, "refuted")]
    assert states(judge(ASKED, found("T-1", "T-2"), OTHERS)) == [(1, "succeeded")]


def test_our_own_effect_counts() -> None:
    assert states(judge(ASKED, found("T-1"), {"T-1": ASKED.key})) == [(1, "succeeded")]


# By fingerprint: what only looks right ------------------------------------------------------------------

BY_PRINT: Final = replace(ASKED, by_fingerprint=True)


@pytest.mark.parametrize(
    ("answer", "crowded", "reason"),
    [
        (found("T-1", T1=1), False, None),
        (found("T-1", T1=-5), False, "lookup_ambiguous"),
        (found("T-1"), False, "lookup_ambiguous"),
        (found("T-1", T1=1), True, "lookup_ambiguous"),
        (found("T-1", "T-2", T1=1, T2=2), False, "lookup_several"),
    ],
)
def test_by_fingerprint_it_is_ours_only_where_nobody_elses_can_be(
    answer: Found, crowded: bool, reason: str | None
) -> None:
    learnt = judge(replace(BY_PRINT, crowded=crowded), answer, {})
    if reason is None:
        assert states(learnt) == [(1, "succeeded")]
    else:
        assert (learnt.attempts, learnt.settlement) == ((), None)
        assert learnt.note is not None
        assert learnt.note.reason == reason


def test_by_fingerprint_an_effect_from_long_before_is_certainly_not_ours() -> None:
    assert states(judge(BY_PRINT, found("T-1", T1=-301), {})) == [(1, "refuted")]


# Beside a success ---------------------------------------------------------------------------------------

SETTLED: Final = replace(ASKED, doubtful=(1,), settled=True, own_id="T-1")


def test_beside_a_success_the_own_effect_proves_the_other_attempt_did_nothing() -> None:
    learnt = judge(SETTLED, found("T-1"), {"T-1": ASKED.key})
    assert states(learnt) == [(1, "refuted")]
    assert learnt.settlement is None


def test_beside_a_success_another_effect_is_claimed_against_the_verdict() -> None:
    learnt = judge(SETTLED, found("T-1", "T-2"), {"T-1": ASKED.key})
    assert states(learnt) == [(1, "succeeded")]
    assert learnt.claim is not None
    assert learnt.claim.external_id == "T-2"
    assert learnt.settlement is None, "the verdict stands; the claim raises the conflict"


# Whatever comes -----------------------------------------------------------------------------------------

answers = st.one_of(
    st.just(NoneFound()),
    st.just(NoAnswer("why")),
    st.lists(st.sampled_from(["T-1", "T-2", "T-3"]), min_size=1, unique=True).map(lambda ids: found(*ids)),
)
questions = st.builds(
    replace,
    st.just(ASKED),
    doubtful=st.lists(st.integers(1, 4), max_size=3, unique=True).map(lambda ns: tuple(sorted(ns))),
    settled=st.booleans(),
    own_id=st.sampled_from([None, "T-1"]),
    by_fingerprint=st.booleans(),
    crowded=st.booleans(),
)


@given(questions, answers, st.sampled_from([{}, OTHERS, {"T-1": ASKED.key}]))
def test_only_what_was_in_doubt_moves(
    question: Question, answer: LookupAnswer, owners: dict[str, tuple[str, str]]
) -> None:
    learnt = judge(question, answer, owners)
    assert {move.number for move in learnt.attempts} <= set(question.doubtful)
    assert sum(move.state == "succeeded" for move in learnt.attempts) <= 1
    assert learnt.settlement is None or (not question.settled and learnt.settlement.state == "succeeded")
    for effect in learnt.effects:
        assert owners.get(effect.external_id, question.key) == question.key, "nobody else's"
    if isinstance(answer, NoAnswer):
        assert not learnt.attempts
