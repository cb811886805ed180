"""Back-off: doubles from half a second to half a minute, whatever number comes."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from worker.coordinator.retry import FIRST_BACK_OFF_S, LONGEST_BACK_OFF_S, after, back_off_s


def test_it_doubles() -> None:
    assert [back_off_s(tries) for tries in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


@given(st.integers())
def test_it_stays_within_bounds_and_never_shrinks(tries: int) -> None:
    assert FIRST_BACK_OFF_S <= back_off_s(tries) <= back_off_s(tries + 1) <= LONGEST_BACK_OFF_S


def test_after() -> None:
    moment = datetime(2026, 3, 12, tzinfo=UTC)
    assert after(moment, 0.5) - moment == timedelta(milliseconds=500)
