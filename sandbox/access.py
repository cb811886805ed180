"""The access log: every request to a tool or a lookup, also those that had no effect."""

import time
from collections import OrderedDict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sandbox.effect import iso
from sandbox.trail import Trail

KEPT: Final = 50_000
TAIL_BYTES: Final = 16 * 2**20

Entry = dict[str, Any]


class AccessLog:
    """The last requests in memory and all of them on disk, as `requests.jsonl`.

    An entry is written when its request arrives and again, with only what changed, as it goes on. `answer` is
    `open`, `sent`, `lost` (a fault broke the connection), `none` (a fault keeps silent) or `gone` (the client
    left first).
    """

    def __init__(self, home: Path) -> None:
        self._trail = Trail(home / "requests.jsonl")
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._began: dict[int, float] = {}
        self._last = 0
        for record in self._trail.records(tail_bytes=TAIL_BYTES):
            self._last = max(self._last, record["request"])
            if "at" in record or record["request"] in self._entries:
                self._entries.setdefault(record["request"], {}).update(record)
            self._trim()

    def arrive(self, facts: Mapping[str, Any]) -> int:
        """Note a new request and return its number, counted from 1 over the life of the trail."""
        self._last += 1
        self._began[self._last] = time.monotonic()
        self.note(self._last, at=iso(datetime.now(UTC)), **facts, status=None, answer="open", effects=[])
        self._trim()
        return self._last

    def note(self, number: int, **changes: Any) -> None:
        """Note what has become of a request; one that was forgotten meanwhile stays so."""
        if "answer" in changes and changes["answer"] != "open":
            began = self._began.pop(number, time.monotonic())
            changes["duration_ms"] = round((time.monotonic() - began) * 1000)
        if "at" in changes or number in self._entries:
            self._entries.setdefault(number, {"request": number}).update(changes)
            self._trail.append({"request": number, **changes})

    def _trim(self) -> None:
        while len(self._entries) > KEPT:
            self._entries.popitem(last=False)

    def find(self, wanted: Mapping[str, str], *, limit: int) -> list[Entry]:
        """Return the newest entries whose fields equal `wanted` (compared as text), oldest first."""
        found: list[Entry] = []
        for entry in reversed(self._entries.values()):
            if len(found) == limit:
                break
            if all(str(entry.get(name)) == value for name, value in wanted.items()):
                found.append(entry)
        return found[::-1]

    def clear(self) -> None:
        """Forget all requests, on disk too; numbers go on."""
        self._trail.clear()
        self._entries.clear()
        self._began.clear()

    def close(self) -> None:
        """Let go of the file."""
        self._trail.close()
