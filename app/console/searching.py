"""One search box for whatever id is in the clipboard."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app.console.common import text_of
from app.console.looking import look_at
from sql.console import Found, find

routes = Blueprint("search", __name__)


@routes.get("/search")
def index() -> Response | str:
    """Goes straight there when it can only be one thing."""
    q = text_of("q").rstrip(".").strip("'\"` ")
    found = look_at(find(q)) if q else []
    places = list(dict.fromkeys(href(one) for one in found))
    if len(places) == 1:
        return redirect(places[0])
    return render_template("console/search.html", q=q, found=[(one, href(one)) for one in found])


def href(one: Found) -> str:
    """Where something found is shown."""
    if one.run_id is None:
        return url_for("console.threads.show", thread_id=one.thread_id)
    if one.tool_call_id is None:
        return url_for("console.runs.show", run_id=one.run_id)
    return url_for("console.calls.show", run_id=one.run_id, tool_call_id=one.tool_call_id)
