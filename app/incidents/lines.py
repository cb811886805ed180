"""Reads coordinator and submitter logs: ``TIMESTAMP service LEVEL key=value… word key=value…``."""

from __future__ import annotations

import re
from sys import intern
from typing import Final

from app.incidents import records as k
from app.incidents.records import Record, Source
from app.incidents.times import Days, clock_us, moment_us

_ALIASES: Final = {
    **dict.fromkeys(("thread", "thread_id", "x-thread-id", "threadid"), "thread"),
    **dict.fromkeys(("run", "run_id", "x-run-id", "runid"), "run"),
    **dict.fromkeys(
        ("corr", "corr_id", "x-corr-id", "correlation", "correlation_id", "x-correlation-id", "correlationid"),
        "corr",
    ),
    **dict.fromkeys(("tool_call_id", "tool_call", "call", "call_id", "x-tool-call-id", "toolcallid"), "call"),
    **dict.fromkeys(("replica", "host", "pod", "instance"), "replica"),
    **dict.fromkeys(("name", "tool", "tool_name"), "tool"),
    **dict.fromkeys(("body_hash", "fingerprint", "request_fingerprint", "x-request-fingerprint"), "fingerprint"),
    **dict.fromkeys(("attempt", "x-attempt"), "attempt"),
    **dict.fromkeys(("dispatch_id", "x-dispatch-id", "dispatch"), "dispatch_id"),
    "status": "status",
    "action": "action",
}
ABSENT: Final = frozenset({"", "-", "null", "none", "None", "nil", "undefined"})
_WORDS: Final = {
    "create_run": k.CREATE,
    "run_created": k.CREATE,
    "dispatch_tool": k.DISPATCH,
    "redispatch_tool": k.DISPATCH,
    "tool_dispatch": k.DISPATCH,
    "normalize_ok": k.NORMALIZE,
    "submit_tool_outputs": k.SUBMIT,
    "submit_failed": k.SUBMIT_FAILED,
    "duplicate_event": k.DUPLICATE_EVENT,
}
_LEVELS: Final = frozenset({"DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL", "FATAL", "TRACE", "NOTICE"})
_QUOTED: Final = re.compile(r'(?:[^\s"]|"(?:[^"\\]|\\.)*")+')
_IDS: Final = ("thread", "run", "corr")


class _Names(dict[str, str]):
    """Our name for a key, or the empty string; remembers what it was asked."""

    def __missing__(self, key: str) -> str:
        name = _ALIASES.get(key.lower(), "")
        if len(self) < 10_000:
            self[key] = name
        return name


_names: Final = _Names(_ALIASES)
_TRIMMED: Final = frozenset('",;')


def pairs_of(text: str) -> tuple[dict[str, str], list[str], list[str]]:
    """Split ``key=value`` text into known keys by one name each, bare words, and what to show of it."""
    tokens = _QUOTED.findall(text) if '"' in text else text.split()
    known: dict[str, str] = {}
    words: list[str] = []
    shown: list[str] = []
    for token in tokens:
        key, equals, value = token.partition("=")
        if not equals:
            words.append(token)
            shown.append(token)
            continue
        name = _names[key]
        if name:
            if value[-1:] in _TRIMMED:
                value = value.strip('",;')
            if value not in ABSENT and name not in known:
                known[name] = intern(value)
            if name in _IDS or (name == "call" and not words):
                continue
        shown.append(token)
    return known, words, shown


def number(text: str | None) -> int | None:
    """Return a whole number, or None where there is none."""
    return int(text) if text is not None and text.isdecimal() and len(text) < 10 else None


class LineReader:
    """Turns the lines of one coordinator or submitter log into records; what it cannot read it counts."""

    def __init__(self, source: Source, index: int, days: Days) -> None:
        """Read for the source at `index`; `days` places lines with a time of day only."""
        self._source, self._index, self._days = source, index, days
        self._last: int | None = None

    def read(self, line_number: int, line: str) -> Record | None:
        """Return the record of a line, or count why there is none; blank lines are nothing."""
        if not line or line.isspace():
            return None
        cut = line.split(None, 2)
        at = self._when(cut)
        if isinstance(at, str):
            self._source.miss(line_number, at, self._last)
            return None
        self._last = at
        record = self._record(at, line_number, cut[2])
        if isinstance(record, str):
            self._source.miss(line_number, record, at)
            return None
        self._source.records += 1
        return record

    def _when(self, cut: list[str]) -> int | str:
        """Return the line's time, having left service, level and the rest in ``cut[2]``; or what is wrong."""
        try:
            at = moment_us(cut[0])
        except ValueError:
            try:
                at = self._later_forms(cut)
            except ValueError:
                return f"no timestamp at the start of a {self._source.name} line"
        if len(cut) < 3:
            return "line is cut: nothing after the time"
        return at

    def _later_forms(self, cut: list[str]) -> int:
        if len(cut) == 3:
            rest = cut[2].split(None, 1)
            try:
                at = moment_us(f"{cut[0]} {cut[1]}")
            except ValueError:
                pass
            else:
                cut[1:] = [rest[0], rest[1] if len(rest) > 1 else ""]
                return at
        return self._days.place(clock_us(cut[0]))

    def _record(self, at: int, line_number: int, rest: str) -> Record | str:
        level, _, body = rest.partition(" ")
        if level not in _LEVELS and level.upper().strip("[]") not in _LEVELS:
            body = rest
        known, words, shown = pairs_of(body)
        kind = None
        for word in words:
            if word in _WORDS:
                kind = _WORDS[word]
                break
        status = known.get("status")
        if kind is None:
            if status is None and not words:
                return "line is cut: it says neither a status nor an event"
            kind = k.STATUS if status is not None and not words else k.OTHER
            if status is not None and self._source.name == "coordinator" and status in _RUN_STATUSES:
                kind = k.STATUS
        if kind == k.DUPLICATE_EVENT:
            status = known.get("action")
        if kind == k.STATUS and status not in _RUN_STATUSES:
            status = self._whole_status(line_number, at, status or "")
        if kind == k.SUBMIT and status is not None and not status.startswith("2"):
            kind = k.SUBMIT_FAILED
        return Record(
            at, self._index, line_number, kind, known.get("run"), known.get("thread"), known.get("corr"),
            known.get("call"), known.get("tool"), k.clean_fingerprint(known.get("fingerprint")), status,
            k.NO_ANSWER, number(known.get("attempt")), intern(" ".join(shown)), known.get("replica"),
        )  # fmt: skip

    def _whole_status(self, line_number: int, at: int, cut: str) -> str:
        """Complete a status that a cut line cut, and count the line; keep a status that is merely unknown."""
        whole = [known for known in _RUN_STATUSES if known.startswith(cut)]
        if len(whole) == 1 and len(cut) > 2:
            self._source.miss(line_number, "line is cut within its status; used as far as it goes", at)
            return whole[0]
        return cut


_RUN_STATUSES: Final = k.TERMINAL | {"queued", "in_progress", "requires_action", "cancelling"}
