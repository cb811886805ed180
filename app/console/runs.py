"""Runs: the list by filters, one run with its picture, and letting it go on or end."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import operations
from app.console.common import PAGE, attention, attention_kind, by, change, found_or_404, notice
from app.console.filters import NAMES, RunFilter, count_of_runs, page_of_runs
from app.console.looking import TookTooLong, look, look_at
from app.console.picture import draw
from app.console.security import Role, allows
from sql.console import evidence_of_run, input_of_run, messages_of_thread, page_audit
from sql.operators import RunRow, list_events, list_runs
from sql.tool_calls import list_attempts, list_calls
from sql.tools import list_tools
from sql.vocabulary import Attention, RunStatus

routes = Blueprint("runs", __name__)
MOST_CALLS = 500


@routes.get("/runs")
def index() -> str:
    """A page of runs, newest first."""
    asked = RunFilter(**{name: request.args.get(name, "").strip()[:200].replace("\0", "") for name in NAMES})
    context = {"asked": asked, "statuses": list(RunStatus), "kinds": list(Attention), "mistakes": asked.mistakes}
    if asked.mistakes:
        return render_template(
            "console/runs.html", runs=[], count=0, more=None, why={}, tools=[], slow=False, **context
        )
    try:
        runs, count, more, why, tools = read_page(asked)
    except TookTooLong:
        return render_template("console/runs.html", runs=[], count=0, more=None, why={}, tools=[], slow=True, **context)
    return render_template(
        "console/runs.html", runs=runs, count=count, more=more, why=why, tools=tools, slow=False, **context
    )


def read_page(asked: RunFilter) -> tuple[list[RunRow], int, str | None, dict[str, list[str]], list[str]]:
    """The page's runs, how many there are in all, where the next page begins, why a person should look, all tools."""
    kind = attention_kind(asked.attention)
    ids = None
    if asked.attention:
        ids = [row.run_id for row in look_at(attention(kinds=[kind]))] if kind else []
    chosen, count, tools = look(page_of_runs(asked, ids, PAGE + 1), count_of_runs(asked, ids), list_tools())
    more = chosen[PAGE - 1] if len(chosen) > PAGE else None
    runs, rows = look(list_runs(ids=chosen[:PAGE], most=PAGE), attention(chosen[:PAGE]))
    why: dict[str, list[str]] = {}
    for row in rows:
        if row.attention not in why.setdefault(row.run_id, []):
            why[row.run_id].append(row.attention)
    return runs, count, more, why, [tool.name for tool in tools]


@routes.get("/runs/<run_id>")
def show(run_id: str) -> str:
    """Everything about one run."""
    runs, calls, events, evidence, upto, why, trail = look(
        list_runs(ids=[run_id]),
        list_calls(run_ids=[run_id], most=MOST_CALLS),
        list_events([run_id]),
        evidence_of_run(run_id),
        input_of_run(run_id),
        attention([run_id]),
        page_audit(run_id=run_id, most=100),
    )
    run = found_or_404(runs, "run", run_id)
    calls = calls[::-1]
    attempts, given, written = look(
        list_attempts([call.key for call in calls]),
        messages_of_thread(run.thread_id, up_to=upto or 0, most=3),
        messages_of_thread(run.thread_id, run_id=run_id, most=50),
    )
    return render_template(
        "console/run.html",
        run=run,
        calls=calls,
        attempts=attempts,
        evidence=evidence,
        events=events,
        why=[row.attention for row in why],
        attention={row.tool_call_id: row.attention for row in why if row.tool_call_id},
        trail=trail,
        messages=[*given[::-1], *written[::-1]],
        picture=draw(run, calls, attempts, evidence, events),
    )


@routes.post("/runs/<run_id>/resume")
@allows(Role.OPERATOR)
def resume(run_id: str) -> Response:
    """Clears stuck and poisoned; the run is due now."""
    who = by()
    run = change(lambda transaction: operations.resume(transaction, run_id, who))
    notice(f"Resumed. The run is {run.status} and due now.")
    return redirect(url_for("console.runs.show", run_id=run_id), 303)


@routes.post("/runs/<run_id>/cancel")
@allows(Role.OPERATOR)
def cancel(run_id: str) -> Response:
    """Ends the run; what is in doubt is still settled."""
    who = by()
    run = change(lambda transaction: operations.cancel(transaction, run_id, who))
    notice(f"The run is {run.status}. What was in doubt is still being settled.")
    return redirect(url_for("console.runs.show", run_id=run_id), 303)
