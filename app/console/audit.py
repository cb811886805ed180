"""The audit trail: who did what, why and on what grounds; and whether it is still as it was written."""

from __future__ import annotations

from flask import Blueprint, render_template

from app.console.common import PAGE, text_of
from app.console.looking import TookTooLong, look
from sql.console import check_audit, page_audit

routes = Blueprint("audit", __name__)
FILTERS = ("operator", "action", "run_id", "object")


@routes.get("/audit")
def index() -> str:
    """A page of it, newest first, with the chain's check."""
    asked = {name: text_of(name) for name in FILTERS}
    before = text_of("before", 18)
    wanted = {name: value or None for name, value in asked.items()}
    try:
        rows, chain = look(
            page_audit(before=int(before) if before.isdigit() else None, most=PAGE + 1, **wanted), check_audit()
        )
    except TookTooLong:
        return render_template("console/audit.html", rows=[], chain=None, asked=asked, more=None, slow=True)
    more = rows[PAGE - 1].id if len(rows) > PAGE else None
    return render_template(
        "console/audit.html", rows=rows[:PAGE], chain=chain, asked=asked, more=more, slow=False, before=before
    )
