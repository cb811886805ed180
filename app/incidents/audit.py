"""Reads audit trails of external systems, and the context that corroborates: restarts, latency, spans, reports."""

from __future__ import annotations

import json
import re
from sys import intern
from typing import Any, Final

from app.incidents import records as k
from app.incidents.jsonstream import Broken
from app.incidents.lines import ABSENT, number
from app.incidents.records import Record, Source
from app.incidents.times import any_moment_us

_TIMES: Final = ("created_at", "occurred_at", "sent_at", "issued_at", "timestamp", "at", "time", "ts", "date")
_EVENTS: Final = ("event", "event_type", "type", "action", "event_name", "name")
_FINGERPRINTS: Final = ("request_fingerprint", "fingerprint", "body_hash", "payload_fingerprint",
                        "payload_hash", "request_hash", "hash")  # fmt: skip
_IDS: Final = {
    "run": ("run_id", "run", "x-run-id"),
    "thread": ("thread_id", "thread", "x-thread-id"),
    "corr": ("corr_id", "correlation_id", "corr", "correlation", "x-corr-id"),
    "call": ("tool_call_id", "call_id", "tool_call", "x-tool-call-id"),
}
_NOT_AN_EFFECT_ID: Final = frozenset(
    {key for keys in _IDS.values() for key in keys}
    | {"request_id", "trace_id", "span_id", "parent_id", "event_id", "audit_id", "log_id", "entry_id"}
    | {"user_id", "customer_id", "account_id", "tenant_id", "org_id", "organization_id", "project_id"}
    | {"workspace_id", "actor_id", "client_id", "session_id", "conversation_id", "queue_id", "template_id"}
    | {"assistant_id", "agent_id", "source_id", "external_id", "idempotency_id", "requester_id", "owner_id"}
)
_NOT_DONE: Final = re.compile(
    r"fail|reject|denied|refus|error|suppress|dedup|ignored|skipp|replay|bounc|delet|view|opened|read\b", re.I
)
_CUT_PAIR: Final = re.compile(r'"([\w-]+)"\s*:\s*"([^"\\\n]*)"')


def read_audit(source: Source, index: int, line: int, value: dict[str, Any] | Broken) -> Record | None:
    """Return the effect that one object of an audit trail tells of, or count why it tells of none."""
    near = source.last
    if isinstance(value, Broken):
        fields = _salvage(value)
        if fields:
            source.miss(line, f"{value.why}; used as far as it goes")
        else:
            source.miss(line, value.why, near)
        return _effect(index, line, fields) if fields else None
    record = _effect(index, line, value)
    if isinstance(record, str):
        source.miss(line, record, near)
        return None
    source.records += 1
    source.last = record.at
    if _NOT_DONE.search(k.effect_words(record)[0].rpartition(".")[2]):
        return record._replace(kind=k.OTHER)
    return record


def _salvage(broken: Broken) -> dict[str, Any] | None:
    """Return the whole pairs of a cut object when they name an effect and its time."""
    fields: dict[str, Any] = dict(_CUT_PAIR.findall(broken.text))
    return fields if not isinstance(_effect(0, 0, fields), str) else None


def _first(value: dict[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        found = value.get(key)
        if isinstance(found, str | int) and not isinstance(found, bool) and str(found) not in ABSENT:
            return intern(str(found))
    return None


def effect_id(value: dict[str, Any], event: str) -> tuple[str, str] | None:
    """Return key and value of the one ``*_id`` that names the effect: the event's noun first, then any other."""
    keys = [key for key in value if key.endswith("_id") and value[key] not in (None, "")]
    noun = event.partition(".")[0].lower()
    own = [key for key in keys if key not in _NOT_AN_EFFECT_ID]
    ordered = [key for key in keys if key == f"{noun}_id"] + own
    ordered += [key for key in ("external_id", "id", "event_id") if value.get(key) not in (None, "")]
    for key in ordered:
        if isinstance(value[key], str | int):
            return key, str(value[key])
    return None


def _effect(index: int, line: int, value: dict[str, Any]) -> Record | Any:
    """Return the record, or the reason why there is none as text."""
    at = next((at for at in (any_moment_us(value.get(key)) for key in _TIMES) if at is not None), None)
    if at is None:
        return "audit entry without a time"
    event = _first(value, _EVENTS) or ""
    named = effect_id(value, event)
    if named is None:
        return "audit entry without an id that names the effect"
    print_of = next((value[key] for key in _FINGERPRINTS if value.get(key)), None)
    source = value.get("source") if isinstance(value.get("source"), str) else ""
    return Record(
        at, index, line, k.EFFECT, _first(value, _IDS["run"]), _first(value, _IDS["thread"]),
        _first(value, _IDS["corr"]), _first(value, _IDS["call"]), None, k.clean_fingerprint(print_of), None,
        k.NO_ANSWER, number(_first(value, ("attempt",))), named[1], intern(f"{event}|{named[0]}|{source}"),
    )  # fmt: skip


def read_context(source: Source, index: int, line: int, value: dict[str, Any] | Broken) -> Record | None:
    """Return one thing that the context tells of: its kind as status, its words as detail."""
    if isinstance(value, Broken):
        source.miss(line, value.why)
        return None
    at = next((at for at in (any_moment_us(value.get(key)) for key in ("at", *_TIMES)) if at is not None), None)
    if at is None:
        source.miss(line, "context without a time")
        return None
    source.records += 1
    rest = {key: found for key, found in value.items() if key not in ("at", "kind")}
    text = " ".join(f"{key}={found if isinstance(found, str) else json.dumps(found)}" for key, found in rest.items())
    return Record(
        at, index, line, k.CONTEXT, _first(value, _IDS["run"]), _first(value, _IDS["thread"]),
        _first(value, _IDS["corr"]), _first(value, _IDS["call"]), None, None,
        intern(str(value.get("kind") or "context")), detail=f"{value.get('kind', 'context')} {text}"[:300],
    )  # fmt: skip
