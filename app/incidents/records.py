"""What a line of any source becomes: one flat record, whatever its log looked like.

A record is a named tuple and not a dataclass because millions are made, sorted, written to disk and read back;
its first three fields are the order in which records are sorted, and are unique together.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

POST: Final = "post"
DISPATCH: Final = "dispatch"
STATUS: Final = "status"
CREATE: Final = "create"
NORMALIZE: Final = "normalize"
SUBMIT: Final = "submit"
SUBMIT_FAILED: Final = "submit_failed"
DUPLICATE_EVENT: Final = "duplicate_event"
EFFECT: Final = "effect"
CONTEXT: Final = "context"
OTHER: Final = "other"

SOURCE_NAMES: Final = ("coordinator", "gateway", "audit", "submitter", "context")
ENDED_WELL: Final = frozenset({"completed"})
ENDED_BADLY: Final = frozenset({"failed", "expired", "cancelled", "canceled", "incomplete"})
TERMINAL: Final = ENDED_WELL | ENDED_BADLY
NO_ANSWER: Final = -1
"""A duration that the log does not give."""


class Record(NamedTuple):
    """One thing that one source says happened; times in microseconds since 1970 by that source's own clock."""

    at: int
    source: int
    line: int
    kind: str
    run: str | None = None
    thread: str | None = None
    corr: str | None = None
    call: str | None = None
    tool: str | None = None
    fingerprint: str | None = None
    status: str | None = None
    duration: int = NO_ANSWER
    attempt: int | None = None
    detail: str | None = None
    """POST: its path; effect: its id; else what the line says beside its ids."""
    extra: str | None = None
    """POST: a dispatch id; effect: ``event|id key|source``; dispatch: the replica."""


@dataclass(slots=True)
class Source:
    """One file: what it is, how much of it could be read, and how far its clock is ahead of the others."""

    name: str
    file: str
    records: int = 0
    unread: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    unread_lines: dict[str, int] = field(default_factory=dict)
    """The first line of each reason."""
    unread_at: list[int] = field(default_factory=list)
    """About when the unread lines happened: the time of the record before each, at most a thousand."""
    last: int | None = None
    """The time of the last record read from an audit trail."""
    explicit_empty: bool = False
    """A well-formed empty list: an audit trail that says that nothing happened."""
    offset_s: float = 0.0

    def miss(self, line: int, reason: str, near: int | None = None) -> None:
        """Count a line that could not be read."""
        self.unread += 1
        self.reasons[reason] += 1
        self.unread_lines.setdefault(reason, line)
        if near is not None and len(self.unread_at) < 1000:
            self.unread_at.append(near)


def same_fingerprint(one: str | None, other: str | None) -> bool:
    """Tell whether two fingerprints, either of which may be cut, can be of one request."""
    return one is not None and other is not None and (one.startswith(other) or other.startswith(one))


def clean_fingerprint(text: object) -> str | None:
    """Return a fingerprint without its algorithm, cut marks and case: ``sha256:9B3F...`` is ``9b3f``."""
    if not isinstance(text, str):
        return None
    cut = text.strip().rstrip(".…*").lower().rpartition(":")[2]
    return cut or None


_WORDS: Final = {
    CREATE: "create_run",
    NORMALIZE: "normalize_ok",
    SUBMIT: "submit_tool_outputs",
    SUBMIT_FAILED: "submit_failed",
    DUPLICATE_EVENT: "duplicate_event",
    DISPATCH: "dispatch_tool",
}


def seconds(duration_us: int) -> str:
    """Write a duration as the gateway does: ``2.1s``."""
    return f"{duration_us / 1e6:.3f}".rstrip("0").rstrip(".") + "s"


def what(record: Record) -> str:
    """Say in one line what a record says, close to how its log said it."""
    match record.kind:
        case "post":
            took = seconds(record.duration) if record.duration >= 0 else ""
            attempt = f"attempt={record.attempt}" if record.attempt is not None else ""
            path = record.detail or f"POST /tools/{record.tool}"
            return " ".join(part for part in (path, record.status or "-", took, attempt) if part)
        case "effect":
            event, key, _ = effect_words(record)
            return f"{event} {key}={record.detail}"
        case "status":
            return record.detail or f"status={record.status}"
    return record.detail or _WORDS.get(record.kind, record.kind)


def effect_words(record: Record) -> tuple[str, str, str]:
    """Return event name, id key and source of an effect, each may be empty."""
    event, _, rest = (record.extra or "").partition("|")
    key, _, source = rest.partition("|")
    return event, key, source
