"""Effects: which call did it, by effect key, fingerprint or external id; and calls that may have repeated one."""

from __future__ import annotations

from flask import Blueprint, render_template

from app.console.common import text_of
from app.console.looking import TookTooLong, look_at
from sql.console import Found, SuspectedRow, find, suspected_duplicates

routes = Blueprint("effects", __name__)
KINDS = ("effect key", "fingerprint", "external id", "evidence", "call")


@routes.get("/effects")
def index() -> str:
    """The search, or suspected duplicates of a week."""
    q = text_of("q").rstrip(".")
    found: list[Found] = []
    suspected: list[SuspectedRow] = []
    try:
        if q:
            found = [one for one in look_at(find(q)) if one.kind in KINDS]
        else:
            suspected = look_at(suspected_duplicates())
    except TookTooLong:
        return render_template("console/effects.html", q=q, found=[], suspected=[], slow=True)
    return render_template("console/effects.html", q=q, found=found, suspected=suspected, slow=False)
