"""One call: what is known of it, and settling it with evidence."""

from __future__ import annotations

from flask import Blueprint, g, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from app import operations
from app.console.case import Case, choices_of, preview_of, read_case
from app.console.common import NoReason, by, change, notice
from app.console.security import Role, allows
from app.resolution import Overtaken, Refused, Unusable, Verdict, Word
from sql.vocabulary import Repeat

routes = Blueprint("calls", __name__)
SETTLED_TEXT = {
    Verdict.LOOKUP: "It is being looked up again.",
    Verdict.SEEN: "Marked as seen, until newer evidence comes.",
    Verdict.CANCEL_RUN: "The run is cancelled.",
}


class NotTyped(Unusable):
    """Type the call's id exactly: this tool promises nothing about being called twice."""


@routes.get("/runs/<run_id>/calls/<tool_call_id>")
def show(run_id: str, tool_call_id: str) -> str:
    """The evidence, strongest first, and the choices that it leaves."""
    case = read_case(run_id, tool_call_id)
    form = {"use": request.args.get("use", "")}
    for one in case.evidence:
        if str(one.row.id) == form["use"]:
            form |= {"verdict": "happened", "external_id": one.row.external_id or "", "output": one.body or ""}
    return page(case, form)


@routes.post("/runs/<run_id>/calls/<tool_call_id>/preview")
@allows(Role.OPERATOR)
def preview(run_id: str, tool_call_id: str) -> str:
    """What a word would change and what the model would be told; changes nothing."""
    case = read_case(run_id, tool_call_id)
    return page(case, request.form.to_dict(), previewed=True)


@routes.post("/runs/<run_id>/calls/<tool_call_id>/resolve")
@allows(Role.OPERATOR)
def resolve(run_id: str, tool_call_id: str) -> Response:
    """Settles it, unless somebody else was quicker or a request may be under way: then says so, and who."""
    case = read_case(run_id, tool_call_id)
    form = request.form.to_dict()
    try:
        word = word_of(case, form)
        who = by()
        now = change(lambda transaction: operations.resolve(transaction, word, who))
    except NoReason as error:
        return make_response(page(case, form, problem=error.description), 422)
    except Refused as refused:
        status = 409 if isinstance(refused, Overtaken) else 422
        fresh = read_case(run_id, tool_call_id)
        return make_response(page(fresh, form, problem=str(refused), overtaken=status == 409), status)
    notice(SETTLED_TEXT.get(word.verdict, f"The call is {now.state.replace('_', ' ')}.") + f" Run: {now.run_status}.")
    return redirect(url_for("console.calls.show", run_id=run_id, tool_call_id=tool_call_id), 303)


def word_of(case: Case, form: dict[str, str]) -> Word:
    """The operator's word from the form. Raises `Unusable`."""
    if form.get("verdict") not in {verdict.value for verdict in Verdict}:
        raise Unusable("choose what became of it")
    verdict = Verdict(form["verdict"])
    risky = verdict == Verdict.RETRY and case.call.repeat == Repeat.NEVER and case.call.executor == "server"
    if risky and form.get("typed", "").strip() != case.call.tool_call_id:
        raise NotTyped(NotTyped.__doc__)
    happened = verdict == Verdict.HAPPENED
    return Word(
        case.call.run_id,
        case.call.tool_call_id,
        verdict,
        output=(form.get("output", "").strip().replace("\0", "") or "null") if happened else None,
        external_id=(form.get("external_id", "").strip()[:500].replace("\0", "") or None) if happened else None,
        attempt=_number(form.get("attempt")),
        version=_number(form.get("version")),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 18 and text != "0" else None


def page(
    case: Case,
    form: dict[str, str],
    *,
    problem: str | None = None,
    overtaken: bool = False,
    previewed: bool = False,
) -> str:
    """The page with what was typed, what is wrong with it, and what it would do."""
    shown = None
    if form.get("verdict") and not overtaken:
        try:
            shown = preview_of(case, word_of(case, {**form, "typed": case.call.tool_call_id}), form.get("reason", ""))
        except Refused as refused:
            problem = problem or str(refused)
    return render_template(
        "console/call.html",
        case=case,
        choices=choices_of(case, may=g.me.may(Role.OPERATOR)),
        form=form,
        problem=problem,
        overtaken=overtaken,
        preview=shown,
        previewed=previewed,
    )
