"""The verdict over all attempts: success outweighs all, and doubt about one is doubt about the call."""

from datetime import UTC, datetime
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sql.vocabulary import AttemptState as A
from worker.coordinator.lifecycle import NOTHING_HAPPENED
from worker.coordinator.verdict import (
    AttemptView,
    Happened,
    InDoubt,
    NothingHappened,
    UnderWay,
    Unsent,
    verdict,
)

NOW = datetime(2026, 3, 12, tzinfo=UTC)


def attempts(*states: A) -> tuple[AttemptView, ...]:
    """Attempts in these states, numbered from 1."""
    return tuple(AttemptView(n, state, NOW, NOW) for n, state in enumerate(states, 1))


@pytest.mark.parametrize(
    ("states", "kind"),
    [
        ((), Unsent),
        ((A.OPEN,), UnderWay),
        ((A.ACCEPTED,), UnderWay),
        ((A.UNKNOWN,), InDoubt),
        ((A.UNKNOWN, A.FAILED), InDoubt),
        ((A.UNKNOWN, A.OPEN), UnderWay),
        ((A.SUCCEEDED, A.UNKNOWN), Happened),
        ((A.REFUSED, A.NOT_SENT, A.REFUTED), NothingHappened),
    ],
)
def test_examples(states: tuple[A, ...], kind: type) -> None:
    assert isinstance(verdict(attempts(*states)), kind)


def test_a_401_on_the_second_attempt_proves_nothing_about_the_first() -> None:
    assert verdict(attempts(A.UNKNOWN, A.FAILED)) == InDoubt(attempts(A.UNKNOWN))


def test_beside_a_success_the_others_are_named() -> None:
    found = verdict(attempts(A.SUCCEEDED, A.UNKNOWN, A.REFUTED, A.OPEN))
    assert isinstance(found, Happened)
    assert [attempt.number for attempt in found.others] == [2, 4]


def test_nothing_happened_only_when_every_attempt_is_known_to_have_done_nothing() -> None:
    for states in product(A, repeat=3):
        found = verdict(attempts(*states))
        assert isinstance(found, NothingHappened) == (set(states) <= NOTHING_HAPPENED)
        assert isinstance(found, Happened) == (A.SUCCEEDED in states)


@given(
    st.lists(st.sampled_from(A), max_size=6).flatmap(lambda states: st.tuples(st.just(states), st.permutations(states)))
)
def test_the_order_of_attempts_does_not_matter(both: tuple[list[A], list[A]]) -> None:
    one, other = (verdict(attempts(*states)) for states in both)
    assert type(one) is type(other)
