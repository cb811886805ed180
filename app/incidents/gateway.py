"""Reads the tool gateway's access log: a request line, indented headers, a blank line."""

from __future__ import annotations

import re
from sys import intern
from typing import Final

from app.incidents import records as k
from app.incidents.lines import number, pairs_of
from app.incidents.records import Record, Source
from app.incidents.times import Days, clock_us, moment_us

_REQUEST: Final = re.compile(
    r"(?:(\d{4}-\d\d-\d\d[T ]\S+)|(\d\d?:\d\d:\d\d\S*))\s+([A-Za-z]+)\s+(\S+)"
    r"(?:\s+([^\s=]+)(?:\s+([0-9][^\s=]*|-)(?=\s|$))?)?(?:\s+(\S+=.*))?\s*$"
)
_STARTS_LIKE_ONE: Final = re.compile(r"(?:\d{4}-\d\d-\d\d[T ])?\d\d?:\d\d:\d\d")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_DURATION: Final = re.compile(r"(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)(ms|us|µs|s)?)?$")
_UNIT_US: Final = {"s": 1e6, "ms": 1e3, "us": 1.0, "µs": 1.0, None: 1e6, "": 1e6}


def duration_us(text: str | None) -> int:
    """Return the microseconds of ``2.1s``, ``2100ms`` or ``1m2s``; -1 where there is no duration."""
    found = _DURATION.match(text or "-")
    if not found or not text:
        return k.NO_ANSWER
    minutes, count, unit = found.groups()
    if minutes is None and count is None:
        return k.NO_ANSWER
    return int(minutes or 0) * 60_000_000 + round(float(count or 0) * _UNIT_US[unit])


_tools: dict[str, str] = {}


def tool_of(path: str) -> str:
    """Return the tool that a path calls: what follows ``tools``, else its last part."""
    known = _tools.get(path)
    if known is None:
        parts = [part for part in path.partition("?")[0].split("/") if part]
        after = parts.index("tools") + 1 if "tools" in parts else len(parts)
        known = intern(parts[after] if after < len(parts) else (parts[-1] if parts else path))
        if len(_tools) < 10_000:
            _tools[path] = known
    return known


class GatewayReader:
    """Turns the lines of one gateway log into one record for each request, at the request's start."""

    def __init__(self, source: Source, index: int, days: Days) -> None:
        """Read for the source at `index`; `days` places times of day."""
        self._source, self._index, self._days = source, index, days
        self._open: tuple[int, int, str, str, str | None, int] | None = None
        self._headers: dict[str, str] = {}
        self._closed = True

    def read(self, line_number: int, line: str) -> Record | None:
        """Return the request that this line ends, if it ends one."""
        if not line or line.isspace():
            self._closed = True
            return None
        if line[0] in " \t" or self._is_headers(line):
            self._header_line(line_number, line)
            return None
        found = _REQUEST.match(line)
        near = self._open[1] if self._open else None
        ended = self.finish()
        if found and found[3].upper() in _METHODS:
            self._request(line_number, found)
        else:
            self._source.miss(line_number, _wrong_with(line), near)
        return ended

    def finish(self) -> Record | None:
        """Return the request still open, at the next one or at the end of the log."""
        if self._open is None:
            return None
        line, at, method, path, status, took = self._open
        have = self._headers
        self._open, self._headers, self._closed = None, {}, True
        self._source.records += 1
        if method in ("GET", "HEAD", "OPTIONS"):
            return None
        tool = tool_of(path)
        usual = method == "POST" and path == f"/tools/{tool}"
        return Record(
            at, self._index, line, k.POST, have.get("run"), have.get("thread"), have.get("corr"),
            have.get("call"), tool, k.clean_fingerprint(have.get("fingerprint")), status, took,
            number(have.get("attempt")), None if usual else intern(f"{method} {path}"),
            have.get("dispatch_id"),
        )  # fmt: skip

    def _is_headers(self, line: str) -> bool:
        return "=" in line and not _STARTS_LIKE_ONE.match(line) and all("=" in part for part in line.split())

    def _header_line(self, line_number: int, line: str) -> None:
        known, words, _ = pairs_of(line)
        if self._open is None or (self._closed and self._headers):
            self._source.miss(line_number, "headers without a request", self._open[1] if self._open else None)
        elif not known and words and "=" not in line:
            self._source.miss(line_number, "indented line without key=value", self._open[1])
        else:
            for key, value in known.items():
                self._headers.setdefault(key, value)

    def _request(self, line_number: int, found: re.Match[str]) -> None:
        full, clock, method, path, status, took, headers = found.groups()
        try:
            at = moment_us(full) if full else self._days.place(clock_us(clock))
        except ValueError:
            self._source.miss(line_number, "no time at the start of a request line")
            return
        if status is None:
            self._source.miss(line_number, "request line is cut: no status; used as a request", at)
        self._open = (line_number, at, method.upper(), path, _status(status), duration_us(took))
        self._closed = False
        if headers:
            self._headers.update(pairs_of(headers)[0])


def _status(text: str | None) -> str | None:
    """Keep a status as its word; a line cut before it has None."""
    return None if text is None else intern(text if text.isdecimal() else text.lower())


def _wrong_with(line: str) -> str:
    if _STARTS_LIKE_ONE.match(line):
        return "request line is cut or has no method"
    return "neither a request line nor indented headers"
