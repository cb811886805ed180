"""The picture's axis: nothing hides another thing, long waits leave room for what happened."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.console.timescale import Scale

START = datetime(2026, 3, 12, 10, 16, tzinfo=UTC)


def at(*seconds: float) -> list[datetime]:
    """Moments so many seconds after the start."""
    return [START + timedelta(seconds=one) for one in seconds]


def test_short_runs_are_half_by_the_clock_half_by_order() -> None:
    scale = Scale(at(0, 0.5, 1.5), 0, 100)
    assert [scale.x(one) for one in at(0, 0.5, 1.0, 1.5)] == [0, 41.7, 70.8, 100]
    assert scale.breaks == []


def test_a_long_wait_leaves_room_for_what_happened() -> None:
    scale = Scale(at(0, 1, 2, 3602), 0, 100)
    assert 55 < scale.x(at(2)[0]) < 60
    assert [one.seconds for one in scale.breaks] == [3600]


def test_nothing_but_one_moment() -> None:
    assert Scale(at(0), 10, 20).x(at(5)[0]) == 10


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=30))
def test_order_is_kept_and_nothing_is_drawn_outside(seconds: list[float]) -> None:
    moments = sorted(at(*seconds))
    places = [Scale(moments, 10, 90).x(one) for one in moments]
    assert places == sorted(places)
    assert all(9.9 <= place <= 90.1 for place in places)
