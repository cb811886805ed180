"""Sorts more records than memory should hold: sorted pieces go to one temporary file and are merged back."""

from __future__ import annotations

import heapq
import marshal
import tempfile
from collections.abc import Iterator
from operator import itemgetter
from typing import IO, Final

from app.incidents.records import Record

PIECE: Final = 60_000
_BLOCK: Final = 400
_Places = list[tuple[int, int]]
_order: Final = itemgetter(0, 1, 2)


class Sorter:
    """Takes records in any order, gives them back by time, source and line; holds about `piece` of them."""

    def __init__(self, piece: int = PIECE) -> None:
        """Keep at most `piece` records before they go to disk."""
        self._piece = piece
        self._held: list[Record] = []
        self._file: IO[bytes] | None = None
        self._runs: list[tuple[int, int, _Places]] = []

    def add(self, record: Record) -> None:
        """Take one record."""
        self._held.append(record)
        if len(self._held) >= self._piece:
            self._write()

    def _write(self) -> None:
        """Write what is held as a sorted piece, in blocks that can be read one by one."""
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="counterfoil-")  # noqa: SIM115
        self._held.sort(key=_order)
        self._file.seek(0, 2)
        places = []
        for start in range(0, len(self._held), _BLOCK):
            block = marshal.dumps(list(map(tuple, self._held[start : start + _BLOCK])))
            places.append((self._file.tell(), len(block)))
            self._file.write(block)
        self._runs.append((self._held[0].at, self._held[-1].at, places))
        self._held = []

    def __iter__(self) -> Iterator[Record]:
        """Give all records in order, once."""
        self._held.sort(key=_order)
        lanes = [self._lane(runs) for runs in self._lanes()]
        if not lanes:
            yield from self._held
            return
        yield from heapq.merge(*lanes, iter(self._held), key=_order)

    def _lanes(self) -> list[list[_Places]]:
        """Join pieces that do not overlap: of an ordered log all make one lane, and the merge stays narrow."""
        lanes: list[tuple[int, list[_Places]]] = []
        for first, last, places in sorted(self._runs, key=itemgetter(0)):
            for position, (end, pieces) in enumerate(lanes):
                if end < first:
                    pieces.append(places)
                    lanes[position] = (last, pieces)
                    break
            else:
                lanes.append((last, [places]))
        return [pieces for _, pieces in lanes]

    def _lane(self, pieces: list[_Places]) -> Iterator[Record]:
        assert self._file is not None
        for places in pieces:
            for place in places:
                self._file.seek(place[0])
                # An unnamed file that this process has written itself.
                yield from map(Record._make, marshal.loads(self._file.read(place[1])))  # nosec B302

    def close(self) -> None:
        """Give the temporary file back."""
        if self._file is not None:
            self._file.close()
