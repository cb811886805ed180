"""The explanation as the JSON of the contract, key for key."""

from __future__ import annotations

import json
from typing import Any

from app.incidents.answer import Duplicate, Explanation, Finding
from app.incidents.times import iso


def as_json(explanation: Explanation) -> dict[str, Any]:
    """Return the explanation as plain values; ids that no source names are left out."""
    window = explanation.window
    return {
        "duplicates": [_duplicate(duplicate) for duplicate in explanation.duplicates],
        "findings": [_finding(finding) for finding in explanation.findings],
        "sources": [
            {"name": s.name, "file": s.file, "records": s.records, "unread": s.unread, "offset_s": s.offset_s}
            for s in explanation.sources
        ],
        "window": {"from": iso(window[0]) if window else None, "to": iso(window[1]) if window else None},
    }


def render_json(explanation: Explanation) -> str:
    """Return the JSON text, ending in a newline."""
    return json.dumps(as_json(explanation), indent=2, ensure_ascii=False) + "\n"


def _duplicate(duplicate: Duplicate) -> dict[str, Any]:
    return {
        "fingerprint": duplicate.fingerprint,
        "tool": duplicate.tool,
        "thread_ids": duplicate.thread_ids,
        "run_ids": duplicate.run_ids,
        "tool_call_ids": duplicate.tool_call_ids,
        "effects": duplicate.effects,
        "cause": duplicate.cause.value,
        "confidence": duplicate.confidence.value,
        "ruled_out": [{"cause": out.cause.value, "because": out.because} for out in duplicate.ruled_out],
        "missing": duplicate.missing,
        "remedy": duplicate.remedy,
        "timeline": [
            {"at": iso(moment.at_us), "source": moment.source, "line": moment.line, "what": moment.what}
            for moment in duplicate.timeline
        ],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    ids = {"run_id": finding.run_id, "tool_call_id": finding.tool_call_id}
    return {
        "kind": finding.kind,
        **{key: value for key, value in ids.items() if value is not None},
        "since": iso(finding.since_us),
        "because": finding.because,
    }
