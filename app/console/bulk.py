"""The same for many: look up again, or cancel; with a preview, a cap, and one transaction each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from flask import Blueprint, make_response, render_template, request
from werkzeug.wrappers import Response

from app import operations
from app.console.common import NoReason, by, change
from app.console.looking import look
from app.console.security import Role, allows
from app.errors import Unavailable
from app.operations import By
from app.resolution import Refused, Verdict, Word, consequences
from sql.operators import list_runs
from sql.tool_calls import list_attempts, list_calls, load_call

routes = Blueprint("bulk", __name__)
CAP: Final = 100
ACTIONS: Final = {"lookup": "Look up again", "cancel": "Cancel the runs"}


@dataclass(frozen=True)
class Item:
    """What one of the chosen would become, or has become; refusal: why not."""

    value: str
    run_id: str
    tool_call_id: str | None
    before: str
    after: str
    refusal: str | None = None


@routes.post("/bulk")
@allows(Role.OPERATOR)
def act() -> Response:
    """Shows what would become of each; with `confirmed`, does it."""
    action = request.form.get("action", "")
    chosen = list(dict.fromkeys(value[:300].replace("\0", "") for value in request.form.getlist("item")))
    if action not in ACTIONS or not chosen:
        return answer(action, [], "Choose rows, then what to do with them.", 422)
    if action == "cancel":
        chosen = list(dict.fromkeys(value.split(" ")[0] for value in chosen))
    left_out, chosen = len(chosen[CAP:]), chosen[:CAP]
    items = [plan(action, value) for value in chosen]
    if "confirmed" not in request.form:
        return answer(action, items, left_out=left_out)
    try:
        who = by()
    except NoReason as error:
        return answer(action, items, error.description, 422, left_out=left_out)
    return answer(action, [perform(action, item, who) for item in items], done=True, left_out=left_out)


def answer(
    action: str,
    items: list[Item],
    problem: str | None = None,
    status: int = 200,
    *,
    done: bool = False,
    left_out: int = 0,
) -> Response:
    """The preview, or what was done."""
    return make_response(
        render_template(
            "console/bulk.html",
            action=action,
            title=ACTIONS.get(action, "Nothing chosen"),
            items=items,
            problem=problem,
            done=done,
            left_out=left_out,
            cap=CAP,
        ),
        status,
    )


def plan(action: str, value: str) -> Item:
    """What would become of one."""
    run_id, _, call_id = value.partition(" ")
    if action == "cancel":
        return plan_cancel(value, run_id)
    if not call_id:
        return Item(value, run_id, None, "–", "–", "only calls can be looked up, and this is a run")
    return plan_lookup(value, run_id, call_id)


def plan_cancel(value: str, run_id: str) -> Item:
    """What cancelling would make of a run."""
    runs, calls = look(list_runs(ids=[run_id]), list_calls(run_ids=[run_id], most=CAP))
    if not runs:
        return Item(value, run_id, None, "–", "–", "there is no such run")
    if runs[0].ended_at is not None:
        return Item(value, run_id, None, runs[0].status, "–", f"it has ended: {runs[0].status}")
    open_calls = sum(call.settled_at is None for call in calls)
    return Item(value, run_id, None, runs[0].status, f"cancelled; {open_calls} open calls are settled or stay yours")


def plan_lookup(value: str, run_id: str, call_id: str) -> Item:
    """What looking again would make of a call."""
    facts, attempts = look(load_call(run_id, call_id), list_attempts([(run_id, call_id)]))
    if facts is None:
        return Item(value, run_id, call_id, "–", "–", "there is no such call")
    try:
        found = consequences(facts, attempts, Word(run_id, call_id, Verdict.LOOKUP))
    except Refused as refused:
        return Item(value, run_id, call_id, facts.state, "–", str(refused))
    return Item(value, run_id, call_id, facts.state, f"{found.state or facts.state}, looked up now")


def perform(action: str, item: Item, who: By) -> Item:
    """Does it to one, in its own transaction; what cannot be done is said, and stops nothing."""
    if item.refusal is not None:
        return item
    try:
        if action == "cancel":
            run = change(lambda transaction: operations.cancel(transaction, item.run_id, who))
            return Item(item.value, item.run_id, None, item.before, run.status)
        word = Word(item.run_id, item.tool_call_id or "", Verdict.LOOKUP)
        call = change(lambda transaction: operations.resolve(transaction, word, who))
        return Item(item.value, item.run_id, item.tool_call_id, item.before, call.state)
    except (Refused, Unavailable) as refused:
        return Item(item.value, item.run_id, item.tool_call_id, item.before, "–", str(refused))
