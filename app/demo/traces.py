"""What a demo leaves behind: the logs that the founding incident left, of the turn that went wrong."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from app.demo.act import Act

HEADERS: Final = ("corr_id", "run_id", "thread_id")


def write_traces(folder: Path, acts: Iterable[Act]) -> None:
    """`MODE/gateway.log`, `MODE/audit.json`, `MODE/context.jsonl`, as `counterfoil investigate` reads them."""
    for act in acts:
        place = folder / act.mode
        place.mkdir(parents=True, exist_ok=True)
        (place / "audit.json").write_text(json.dumps(act.tickets, indent=2) + "\n")
        (place / "gateway.log").write_text("\n\n".join(map(request_lines, act.requests)) + "\n")
        killed_at = datetime.fromtimestamp(act.killed_at, UTC).isoformat(timespec="milliseconds")
        restart = {"at": killed_at, "kind": "restart", "replica": f"worker-{act.killed}"}
        (place / "context.jsonl").write_text(json.dumps(restart) + "\n")


def investigate_command(place: str) -> str:
    """The command that explains them."""
    sources = {"gateway": "gateway.log", "audit": "audit.json", "context": "context.jsonl"}
    return "investigate " + " ".join(f"--{name} {place}/{file}" for name, file in sources.items())


def request_lines(request: dict[str, Any]) -> str:
    """One request as a gateway's access log has it; `-` where its client was gone before the answer."""
    answered = request.get("answer") == "sent"
    took = f"{request['duration_ms'] / 1000:.1f}s" if answered else "-"
    first = f"{request['at']} {request['method']} {request['path']} {request['status'] if answered else '-'} {took}"
    headers = "  ".join(f"x-{name.replace('_', '-')}={request.get(name)}" for name in HEADERS)
    body = f"body_hash={request.get('request_fingerprint')}  tool_call_id={request.get('tool_call_id')}"
    return f"{first}\n  {headers}\n  {body}"
