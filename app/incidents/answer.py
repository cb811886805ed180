"""The explanation: what `explain` returns and what text, JSON and HTML are made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from app.incidents.records import Record, Source


class Cause(StrEnum):
    """Why an effect happened more than once."""

    REDISPATCH = "redispatch"
    GATEWAY_RETRY = "gateway_retry"
    CLIENT_RESUBMISSION = "client_resubmission"
    MODEL_REPEAT = "model_repeat"
    EXTERNAL_DUPLICATE = "external_duplicate"
    UNKNOWN = "unknown"


class Confidence(StrEnum):
    """High: every other cause is ruled out by evidence; medium: the best of several; low: one weak signal."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class RuledOut:
    """A cause that it was not, and what shows that."""

    cause: Cause
    because: str


@dataclass(frozen=True, slots=True)
class Moment:
    """One entry of a timeline: the time as its log gives it, and the same corrected by its clock, in microseconds."""

    at_us: int
    true_us: int
    source: str
    line: int
    what: str
    note: str = ""
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """One effect that happened more than once, and why."""

    fingerprint: str | None
    tool: str | None
    thread_ids: list[str]
    run_ids: list[str]
    tool_call_ids: list[str]
    effects: list[str]
    cause: Cause
    confidence: Confidence
    because: str
    ruled_out: list[RuledOut]
    missing: list[str]
    remedy: str
    timeline: list[Moment]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Finding:
    """A run that stands still, an effect without a run, or a run without its effect."""

    kind: str
    run_id: str | None
    tool_call_id: str | None
    since_us: int
    because: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that was found; `window` is the first and last moment that any source but the context shows."""

    duplicates: list[Duplicate]
    findings: list[Finding]
    sources: list[Source]
    window: tuple[int, int] | None
    notes: list[str] = field(default_factory=list)

    @property
    def found(self) -> bool:
        """Whether anything is duplicated, stalled, orphaned or missing."""
        return bool(self.duplicates or self.findings)
