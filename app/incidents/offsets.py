"""Estimates how far each source's clock is ahead, from causality alone.

A cause is never later than what it caused. Each pair of records in which one caused the other bounds the
difference of two clocks from one side; the answer moves as few clocks as possible, each as little as these
bounds allow (the middle, where they bound it from both sides). A clock within its bounds is taken as right.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import combinations
from typing import Final

_KEPT: Final = 64
_INFINITY: Final = float("inf")
_MOVED_FIRST: Final = ("context", "audit", "submitter", "coordinator", "gateway")
TOLERANCE_US: Final = 20_000


class Bounds:
    """Collects causes and consequences: for each two sources the largest lags by which a cause came too late."""

    def __init__(self) -> None:
        """Begin with nothing known."""
        self._sure: dict[tuple[int, int], _Lags] = {}
        self._likely: dict[tuple[int, int], _Lags] = {}

    def caused(self, cause_source: int, cause_us: int, then_source: int, then_us: int, sure: bool = True) -> None:
        """Say that what one source dates `cause_us` happened before what another dates `then_us`.

        What is only likely counts where nothing sure is known of the two sources.
        """
        if cause_source != then_source:
            known = self._sure if sure else self._likely
            known.setdefault((cause_source, then_source), _Lags()).add(cause_us - then_us)

    def supported(self) -> set[tuple[int, int]]:
        """Return the pairs of sources whose clocks at least three sure pairs of records compare."""
        return {pair for pair, lags in self._sure.items() if lags.count >= 3}

    def edges(self) -> dict[tuple[int, int], float]:
        """Return for (a, b) the least that clock a is ahead of clock b."""
        return {pair: lags.outermost() for pair, lags in (self._likely | self._sure).items()}


class _Lags:
    """The largest of many lags, without an eighth of them, since a few pairs are always joined wrongly."""

    __slots__ = ("_largest", "count")

    def __init__(self) -> None:
        self._largest: list[int] = []
        self.count = 0

    def add(self, lag: int) -> None:
        self.count += 1
        if len(self._largest) < _KEPT:
            heapq.heappush(self._largest, lag)
        elif lag > self._largest[0]:
            heapq.heapreplace(self._largest, lag)

    def outermost(self) -> float:
        skip = min(self.count // 8, len(self._largest) - 1)
        return float(sorted(self._largest, reverse=True)[skip])


def estimate(bounds: Bounds, names: list[str]) -> tuple[list[int], bool]:
    """Return each source's offset in microseconds (ahead is positive), and whether causality could be satisfied."""
    edges = bounds.edges()
    movable = sorted({i for pair in edges for i in pair}, key=lambda i: (_rank(names[i]), i))
    for slack in (TOLERANCE_US, 100_000, 300_000, 1_000_000, 3_000_000):
        for moves in _moves(movable, names):
            found = _best(edges, moves, len(names), slack)
            if found is not None:
                return found, slack == TOLERANCE_US
    return [0] * len(names), False


def _rank(name: str) -> int:
    return _MOVED_FIRST.index(name) if name in _MOVED_FIRST else 0


def _moves(movable: list[int], names: list[str]) -> Iterator[list[tuple[int, ...]]]:
    """Yield which clocks may be moved: none, one, a whole kind of source, two, two kinds, …"""
    kinds = list(dict.fromkeys(names[i] for i in movable))
    for size in range(max(len(kinds), 2) + 1):
        if size <= 2:
            yield list(combinations(movable, size))
        yield [tuple(i for i in movable if names[i] in some) for some in combinations(kinds, size)]


def _best(
    edges: dict[tuple[int, int], float], moves: list[tuple[int, ...]], count: int, slack: float
) -> list[int] | None:
    best: list[int] | None = None
    for moved in moves:
        found = _settle(edges, moved, count, slack)
        if found is not None and (best is None or sum(map(abs, found)) < sum(map(abs, best)) - 50_000):
            best = found
    return best


def _settle(edges: dict[tuple[int, int], float], moved: tuple[int, ...], count: int, slack: float) -> list[int] | None:
    """Return offsets with all but `moved` at zero, or None where causality then cannot hold."""
    fixed = dict.fromkeys((i for i in range(count) if i not in moved), 0.0)
    for source in moved:
        reach = _reach(edges, fixed, count, slack)
        if reach is None:
            return None
        fixed[source] = _within(*reach[source])
    if _reach(edges, fixed, count, slack) is None:
        return None
    return [round(fixed[i]) for i in range(count)]


def _within(low: float, high: float) -> float:
    """Choose from an interval: zero when it is inside, the middle when both ends are known, else the end."""
    if low <= 0 <= high:
        return 0.0
    if low > -_INFINITY and high < _INFINITY:
        return (low + high) / 2
    return low if low > -_INFINITY else high


def _reach(
    edges: dict[tuple[int, int], float], fixed: dict[int, float], count: int, slack: float
) -> list[tuple[float, float]] | None:
    """Return how low and high each offset may be; None where the bounds contradict one another."""
    low = [fixed.get(i, -_INFINITY) for i in range(count)]
    high = [fixed.get(i, _INFINITY) for i in range(count)]
    for _ in range(count + 1):
        changed = False
        for (a, b), least in edges.items():
            if low[b] + least - slack > low[a] + 1:
                low[a], changed = low[b] + least - slack, True
            if high[a] - least + slack < high[b] - 1:
                high[b], changed = high[a] - least + slack, True
        if any(low[i] > high[i] + 2 for i in range(count)):
            return None
        if not changed:
            return list(zip(low, high, strict=True))
    return None
