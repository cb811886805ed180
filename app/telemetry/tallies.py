"""What this process has counted since it last added to the tallies that all processes share."""

from __future__ import annotations

import json
import threading
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from sql.metrics import BUCKETS, Tally

Key = tuple[str, tuple[str, ...], float]
UNBOUND: Final = float("inf")


class Tallies:
    """Counters and histograms of one process; any thread may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sums: dict[Key, tuple[int, float]] = {}

    def count(self, name: str, labels: Sequence[str], by: int = 1) -> None:
        """Adds to a counter."""
        self._add((name, tuple(labels), UNBOUND), by, 0.0)

    def observe(self, name: str, labels: Sequence[str], value: float) -> None:
        """Adds to the bucket that the value falls into."""
        place = bisect_left(BUCKETS, value)
        self._add((name, tuple(labels), BUCKETS[place] if place < len(BUCKETS) else UNBOUND), 1, value)

    def drain(self) -> list[Tally]:
        """What was added since the last time; whoever drains must store it, or give it back."""
        with self._lock:
            sums, self._sums = self._sums, {}
        return [
            Tally(name, json.dumps(labels), bucket, count, total)
            for (name, labels, bucket), (count, total) in sums.items()
        ]

    def give_back(self, tallies: Iterable[Tally]) -> None:
        """Takes back what could not be stored."""
        for tally in tallies:
            self._add((tally.name, tuple(json.loads(tally.labels)), tally.bucket), tally.count, tally.total)

    def _add(self, key: Key, count: int, total: float) -> None:
        with self._lock:
            before = self._sums.get(key, (0, 0.0))
            self._sums[key] = (before[0] + count, before[1] + total)


TALLIES: Final = Tallies()
