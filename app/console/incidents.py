"""Incidents: logs in, an explanation out; or the product's own tables."""

from __future__ import annotations

import base64
import json
import tempfile
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from flask import Blueprint, make_response, render_template, request
from werkzeug.wrappers import Response

from app.console import words
from app.console.common import first_id, moment
from app.console.looking import look, look_at
from app.console.security import Role, allows
from app.incidents import Explanation, UnusableInputError, investigate_files, render_json
from app.incidents.render_html import render_html
from sql.operators import EventRow, list_events, list_runs
from sql.tool_calls import CallRow, list_attempts, list_calls, list_evidence

routes = Blueprint("incidents", __name__)
SOURCES: Final = ("coordinator", "gateway", "audit", "submitter", "context")
MOST_BYTES: Final = 64 << 20
MOST_RUNS: Final = 500
MOST_REPORT: Final = 4 << 20


def allow_uploads() -> None:
    """Logs may be larger than what else the server takes; before anything reads the form."""
    if request.endpoint == "console.incidents.explain":
        request.max_content_length = MOST_BYTES


@routes.get("/incidents")
def index() -> str:
    """The form."""
    return render_template("console/incidents.html", sources=SOURCES, found=None, form={})


@routes.post("/incidents")
@allows(Role.VIEWER)
def explain() -> Response:
    """Reads what was uploaded, or the newest runs of the ledger; stores nothing."""
    form = request.form.to_dict()
    with tempfile.TemporaryDirectory(prefix="counterfoil-incident-") as folder:
        try:
            files = own_runs(Path(folder), form) if form.get("own") else uploaded(Path(folder))
            found = investigate_files(files)
        except UnusableInputError as error:
            problem = str(error).replace(f"{folder}/", "")
            page = render_template("console/incidents.html", sources=SOURCES, found=None, form=form, problem=problem)
            return make_response(page, 422)
    return make_response(
        render_template(
            "console/incidents.html",
            sources=SOURCES,
            found=found,
            form=form,
            reports=reports(found, f"{folder}/"),
            folder=f"{folder}/",
        )
    )


def uploaded(folder: Path) -> dict[str, list[str]]:
    """The uploaded files, kept for as long as they are read. Raises `UnusableInputError`."""
    files: dict[str, list[str]] = {}
    for source in SOURCES:
        for number, upload in enumerate(request.files.getlist(source)):
            if upload.filename:
                path = folder / f"{source}-{number}{Path(upload.filename).suffix[:8]}"
                upload.save(path)
                files.setdefault(source, []).append(str(path))
    if not files:
        raise UnusableInputError("no file", 0, "choose at least one")
    return files


def own_runs(folder: Path, form: dict[str, str]) -> dict[str, list[str]]:
    """The ledger's own runs as an export, with audit trails where they are given. Raises `UnusableInputError`."""
    since = moment(form.get("since", "") or "1h")
    if since is None:
        raise UnusableInputError("since", 1, "no time: write 10m, 2h, or 2026-03-12T10:16:00Z")
    path = folder / "runs.jsonl"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(one) + "\n" for one in exported(since))
    if not path.stat().st_size:
        raise UnusableInputError("the ledger", 0, "no run was made since then")
    files = {"coordinator": [str(path)]}
    try:
        return {**files, **{name: paths for name, paths in uploaded(folder).items() if name != "coordinator"}}
    except UnusableInputError:
        return files


def exported(since: datetime) -> Iterable[dict[str, Any]]:
    """Runs made since then, newest first, at most 500, in the form of `counterfoil runs export`."""
    rows = look_at(list_runs(since=since, after=None, most=MOST_RUNS))
    newest = [run for run in rows if run.id >= first_id("run", since)]
    ids = [run.id for run in newest]
    calls, events = look(list_calls(run_ids=ids, most=20_000), list_events(ids)) if ids else ([], [])
    keys = [call.key for call in calls]
    attempts, evidence = look(list_attempts(keys), list_evidence(keys)) if keys else ([], [])
    for run in newest:
        yield {
            "run": plain(run),
            "calls": [with_details(call, attempts, evidence) for call in calls if call.run_id == run.id],
            "events": [event_of(event) for event in events if event.run_id == run.id],
        }


def with_details(call: CallRow, attempts: Iterable[Any], evidence: Iterable[Any]) -> dict[str, Any]:
    """A call with its attempts and evidence."""
    return {
        **plain(call),
        "attempts": [plain(one) for one in attempts if (one.run_id, one.tool_call_id) == call.key],
        "evidence": [plain(one) for one in evidence if (one.run_id, one.tool_call_id) == call.key],
    }


def event_of(event: EventRow) -> dict[str, Any]:
    """An event; one of the run itself says its status."""
    word = event.event.removeprefix("run.")
    return {**plain(event), **({"status": word} if word != event.event else {})}


def plain(row: Any) -> dict[str, Any]:
    """A dataclass as JSON holds it."""
    values = {field.name: getattr(row, field.name) for field in fields(row)}
    return {name: words.iso(value) if isinstance(value, datetime) else value for name, value in values.items()}


def reports(found: Explanation, folder: str) -> list[tuple[str, str, str]]:
    """The explanation as files to keep: name, kind, address that holds it; none where it is too long for that."""
    texts = [
        ("incident.html", "text/html", render_html(found)),
        ("incident.json", "application/json", render_json(found)),
    ]
    kept = []
    for name, kind, text in texts:
        content = text.replace(folder, "").encode()
        if len(content) <= MOST_REPORT:
            kept.append((name, kind, f"data:{kind};base64,{base64.b64encode(content).decode()}"))
    return kept
