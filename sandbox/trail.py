"""Append-only JSON lines on disk: what has really happened, whatever the process lived through since."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


class TrailError(Exception):
    """{path}, line {line}: not a JSON object; move the file away or mend the line"""

    def __init__(self, path: Path, line: int) -> None:
        super().__init__(f"{path}, line {line}: not a JSON object; move the file away or mend the line")


class Trail:
    """One file that only grows, one JSON object a line; survives kill -9 of its writer.

    A record is handed to the kernel by a single write before `append` returns, so the death of the process
    loses nothing that was answered. No fsync: the death of the machine is not among what the sandbox plays.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._cut_torn_line()

    def _cut_torn_line(self) -> None:
        """Drop a last line without its newline: its writer died in it, so nobody was told of that record."""
        data = self.path.read_bytes()
        if not data.endswith(b"\n"):
            os.ftruncate(self._fd, data.rfind(b"\n") + 1)

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record; raises OSError, leaving the file as it was, when the disk takes only a part."""
        line = json.dumps(record, separators=(",", ":")).encode("ascii") + b"\n"
        size = os.fstat(self._fd).st_size
        if os.write(self._fd, line) != len(line):
            os.ftruncate(self._fd, size)
            raise OSError(f"{self.path}: no room for another record")

    def records(self, *, tail_bytes: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the records, oldest first: those in the last `tail_bytes` if given. Raises TrailError."""
        with self.path.open("rb") as file:
            size = os.fstat(self._fd).st_size
            if tail_bytes is not None and size > tail_bytes:
                file.seek(size - tail_bytes)
                file.readline()
            for number, line in enumerate(file, 1):
                yield self._record(number, line)

    def _record(self, number: int, line: bytes) -> dict[str, Any]:
        try:
            record = json.loads(line)
        except ValueError:
            raise TrailError(self.path, number) from None
        if not isinstance(record, dict):
            raise TrailError(self.path, number)
        return record

    def clear(self) -> None:
        """Forget everything."""
        os.ftruncate(self._fd, 0)

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._fd)
