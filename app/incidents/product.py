"""Reads what Counterfoil itself leaves behind: JSON-lines logs, and runs exported from its tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from app.incidents import records as k
from app.incidents.lines import ABSENT, number
from app.incidents.records import Record, Source
from app.incidents.times import any_moment_us

_EVENTS: Final = {
    **dict.fromkeys(("create_run", "run_created", "run.created"), k.CREATE),
    **dict.fromkeys(("dispatch_tool", "sent", "send", "attempt_sent", "execute_tool"), k.DISPATCH),
    **dict.fromkeys(("normalize_ok", "outcome", "attempt_closed", "learned", "tool_replied"), k.NORMALIZE),
    **dict.fromkeys(("submit_tool_outputs", "outputs_submitted", "tool_event"), k.SUBMIT),
    "submit_failed": k.SUBMIT_FAILED,
    "duplicate_event": k.DUPLICATE_EVENT,
}
_RUN_STATUSES: Final = k.TERMINAL | {"queued", "in_progress", "requires_action", "cancelling"}
_GOOD: Final = frozenset({"succeeded", "delivered", "ok", "accepted", "success", "200", "201"})
_STATUS_OF_ATTEMPT: Final = {"succeeded": "200", "accepted": "202", "failed": "500", "refused": "400"}
_RUN_TIMES: Final = ("completed_at", "failed_at", "cancelled_at", "expired_at", "ended_at", "updated_at")


def is_export(value: dict[str, Any]) -> bool:
    """Tell an exported run from anything else."""
    return isinstance(value.get("run"), dict) and isinstance(value.get("calls", []), list)


def is_product_log(value: dict[str, Any]) -> bool:
    """Tell a line of the product's own logs from an audit entry or a context line."""
    return "event" in value and "level" in value and ("timestamp" in value or "ts" in value)


def _text(value: dict[str, Any], *keys: str) -> str | None:
    for key in keys:
        found = value.get(key)
        if isinstance(found, str | int) and not isinstance(found, bool) and str(found) not in ABSENT:
            return str(found)
    return None


def _moment(value: dict[str, Any], *keys: str) -> int | None:
    return next((at for at in (any_moment_us(value.get(key)) for key in keys) if at is not None), None)


def read_product(source: Source, index: int, line: int, value: dict[str, Any]) -> Iterator[Record]:
    """Yield the records of one log line or one exported run, or count why there are none."""
    if is_export(value):
        yield from _Export(source, index, line, value).records()
        return
    at = _moment(value, "timestamp", "ts", "at")
    event = _text(value, "event") or ""
    if at is None:
        source.miss(line, "JSON log line without a time")
        return
    source.records += 1
    status = _text(value, "status", "outcome", "action")
    call = _text(value, "tool_call", "tool_call_id", "call")
    kind = _EVENTS.get(event, k.OTHER)
    if kind == k.OTHER and call is None and status in _RUN_STATUSES:
        kind = k.STATUS
    if kind == k.NORMALIZE and status is not None and status not in _GOOD:
        kind = k.OTHER
    if kind == k.SUBMIT and status is not None and status[:1] in "45":
        kind = k.SUBMIT_FAILED
    owner = _text(value, "owner", "replica", "worker")
    said = " ".join([event, *(f"{key}={value[key]}" for key in ("status", "attempt", "epoch") if key in value)])
    yield Record(
        at, index, line, kind, _text(value, "run", "run_id"), _text(value, "thread", "thread_id"),
        _text(value, "correlation", "corr", "correlation_id"), call, _text(value, "tool", "name"),
        k.clean_fingerprint(value.get("fingerprint")), status, k.NO_ANSWER, number(_text(value, "attempt")),
        said, owner,
    )  # fmt: skip


class _Export:
    """One exported run: ``{"run", "calls": [{…, "attempts", "evidence"}], "events"}``."""

    def __init__(self, source: Source, index: int, line: int, value: dict[str, Any]) -> None:
        self._source, self._index, self._line, self._value = source, index, line, value
        self._run = value["run"]
        self._ids = (
            _text(self._run, "id", "run_id"),
            _text(self._run, "thread_id", "thread"),
            _text(self._run, "correlation_id", "corr_id", "correlation", "corr"),
        )

    def records(self) -> Iterator[Record]:
        """Yield all records of the run; counts the whole object as unread when it has no id or time."""
        created = _moment(self._run, "created_at", "at")
        if self._ids[0] is None or created is None:
            self._source.miss(self._line, "exported run without id or created_at")
            return
        self._source.records += 1
        yield self._record(created, k.CREATE, detail="create_run")
        for event in self._value.get("events") or []:
            yield from self._event(event)
        for call in self._value.get("calls") or []:
            if isinstance(call, dict):
                yield from self._call(call)
        ended = _moment(self._run, *_RUN_TIMES)
        status = _text(self._run, "status")
        if status is not None:
            yield self._record(ended or created, k.STATUS, status=status, detail=f"status={status}")

    def _record(self, at: int, kind: str, **fields: Any) -> Record:
        return Record(at, self._index, self._line, kind, *self._ids, **fields)

    def _event(self, event: object) -> Iterator[Record]:
        if not isinstance(event, dict):
            return
        at = _moment(event, "at", "created_at", "timestamp")
        status = _text(event, "status", "to")
        if at is not None and status in _RUN_STATUSES:
            yield self._record(at, k.STATUS, status=status, detail=f"status={status}")

    def _call(self, call: dict[str, Any]) -> Iterator[Record]:
        name = _text(call, "tool_call_id", "call_id", "id")
        tool = _text(call, "tool", "name")
        common = {"call": name, "tool": tool, "fingerprint": k.clean_fingerprint(call.get("fingerprint"))}
        for position, attempt in enumerate(call.get("attempts") or [], 1):
            if isinstance(attempt, dict):
                yield from self._attempt(attempt, position, common)
        for evidence in call.get("evidence") or []:
            if isinstance(evidence, dict):
                yield from self._evidence(evidence, common)
        settled = _moment(call, "settled_at", "completed_at")
        if settled is not None and _text(call, "state", "status") == "succeeded":
            yield self._record(settled, k.NORMALIZE, detail="call succeeded", **common)
            yield self._record(settled, k.SUBMIT, status="200", detail="output joined the run", **common)

    def _attempt(self, attempt: dict[str, Any], position: int, common: dict[str, Any]) -> Iterator[Record]:
        intended = _moment(attempt, "intended_at", "created_at", "started_at", "at")
        sent = _moment(attempt, "sent_at", "started_at") or intended
        if sent is None:
            return
        count = number(_text(attempt, "attempt", "number")) or position
        state = _text(attempt, "state", "status", "outcome") or "open"
        owner = _text(attempt, "owner", "worker", "epoch")
        said = f"attempt {count} {state} epoch={attempt.get('epoch', '?')}"
        yield self._record(intended or sent, k.DISPATCH, detail=f"dispatch_tool {said}", extra=owner, **common)
        if state == "not_sent":
            return
        ended = _moment(attempt, "closed_at", "ended_at", "answered_at", "completed_at")
        took = ended - sent if ended is not None and ended >= sent else k.NO_ANSWER
        answer = _text(attempt, "http_status", "response_status") or _STATUS_OF_ATTEMPT.get(state, "-")
        yield self._record(sent, k.POST, status=answer, duration=took, extra=f"attempt-{count}", **common)

    def _evidence(self, evidence: dict[str, Any], common: dict[str, Any]) -> Iterator[Record]:
        at = _moment(evidence, "at", "created_at", "learned_at")
        external = _text(evidence, "external_id", "effect_id")
        if at is not None and external is not None:
            yield self._record(at, k.EFFECT, detail=external, extra="ledger.evidence|external_id|ledger", **common)
