"""Time on paper: half by the clock, half by the order, so that nothing hides; long waits shortened. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

SHORT_S: Final = 2.0  # gaps up to this are never shortened


@dataclass(frozen=True)
class Break:
    """A place where time was shortened: where, and by how long it really is."""

    x: float
    seconds: float


class Scale:
    """Maps moments to x between `left` and `right`.

    No gap may take more room by the clock than all that are much smaller; each gets the same by order besides.
    """

    def __init__(self, moments: Iterable[datetime], left: float, right: float) -> None:
        self.points = sorted(set(moments))
        gaps = [(b - a).total_seconds() for a, b in zip(self.points, self.points[1:], strict=False)]
        room = [min(gap, max(SHORT_S, sum(g for g in gaps if g < gap / 2))) for gap in gaps]
        half = (right - left) / 2
        unit, step = half / (sum(room) or 1.0), half / (len(room) or 1)
        self.xs = [left]
        for one in room:
            self.xs.append(self.xs[-1] + one * unit + step)
        self.breaks = [
            Break((self.xs[i] + self.xs[i + 1]) / 2, gap)
            for i, (gap, one) in enumerate(zip(gaps, room, strict=True))
            if gap > 1.5 * one
        ]

    def x(self, at: datetime) -> float:
        """Where a moment stands; those outside stand at the edge."""
        if not self.points or at <= self.points[0]:
            return round(self.xs[0], 1)
        if at >= self.points[-1]:
            return round(self.xs[-1], 1)
        place = bisect_right(self.points, at) - 1
        before, after = self.points[place], self.points[place + 1]
        share = (at - before) / (after - before)
        return round(self.xs[place] + share * (self.xs[place + 1] - self.xs[place]), 1)
