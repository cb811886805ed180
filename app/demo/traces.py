"""What a demo leaves behind: the logs that the founding incident left, of the turn that went wrong."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from app.demo.act import Act

FILES: Final = ("coordinator.log", "gateway.log", "audit.json", "context.jsonl")
HEADERS: Final = ("corr_id", "run_id", "thread_id")


def write_traces(folder: Path, acts: Iterable[Act]) -> None:
    """`MODE/{coordinator.log,gateway.log,audit.json,context.jsonl}`, as `counterfoil investigate` reads them."""
    for act in acts:
        place = folder / act.mode
        place.mkdir(parents=True, exist_ok=True)
        (place / "audit.json").write_text(json.dumps(act.tickets, indent=2) + "\n")
        (place / "coordinator.log").write_text("\n".join(coordinator_lines(act)) + "\n")
        (place / "gateway.log").write_text("\n\n".join(map(request_lines, act.requests)) + "\n")
        restart = {"at": stamp(act.killed_at), "kind": "restart", "replica": f"worker-{act.killed}"}
        (place / "context.jsonl").write_text(json.dumps(restart) + "\n")


def investigate_command(place: str) -> str:
    """The command that explains them."""
    files = {name.partition(".")[0]: name for name in FILES}
    return "investigate " + " ".join(f"--{source} {shlex.quote(f'{place}/{file}')}" for source, file in files.items())


def coordinator_lines(act: Act) -> list[str]:
    """Who held the run and who sent, as the demo saw it."""
    about = f"thread={act.thread_id} run={act.run_id} corr={act.requests[0]['corr_id']}"
    lines = [(act.began.timestamp(), "create_run model=scripted")]
    lines += [(c.at, f"status=in_progress replica=worker-{c.number}") for c in act.claims]
    for request in act.requests:
        if request["method"] == "POST":
            at = datetime.fromisoformat(request["at"]).timestamp()
            holder = [c.number for c in act.claims if c.at <= at] or [act.claims[0].number]
            call = f"tool_call_id={request['tool_call_id']} replica=worker-{holder[-1]}"
            lines.append((at, f"dispatch_tool name={request['tool']} {call}"))
    lines.append((act.events[-1].at.timestamp(), f"status={act.status}"))
    return [f"{stamp(at)} coordinator INFO  {about} {what}" for at, what in sorted(lines)]


def stamp(seconds: float) -> str:
    """UTC with milliseconds."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def request_lines(request: dict[str, Any]) -> str:
    """One request as a gateway's access log has it; `-` where its client was gone before the answer."""
    answered = request.get("answer") == "sent"
    took = f"{request['duration_ms'] / 1000:.1f}s" if answered else "-"
    first = f"{request['at']} {request['method']} {request['path']} {request['status'] if answered else '-'} {took}"
    headers = "  ".join(f"x-{name.replace('_', '-')}={request.get(name)}" for name in HEADERS)
    body = f"body_hash={request.get('request_fingerprint')}  tool_call_id={request.get('tool_call_id')}"
    return f"{first}\n  {headers}\n  {body}"
