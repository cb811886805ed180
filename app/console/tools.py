"""Tools: their contracts, how they do, and the kill switch of each."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from werkzeug.wrappers import Response

from app import operations
from app.console.common import by, change, notice
from app.console.looking import TookTooLong, look
from app.console.security import Role, allows
from sql.console import tool_statistics
from sql.tools import list_tools

routes = Blueprint("tools", __name__)


@routes.get("/tools")
def index() -> str:
    """All that workers loaded or operators paused."""
    try:
        tools, statistics = look(list_tools(), tool_statistics())
    except TookTooLong:
        return render_template("console/tools.html", tools=[], statistics={}, slow=True)
    return render_template(
        "console/tools.html", tools=tools, statistics={one.name: one for one in statistics}, slow=False
    )


@routes.post("/tools/<name>/pause")
@allows(Role.OPERATOR)
def pause(name: str) -> Response:
    """No new intents for it; its calls wait."""
    who = by()
    change(lambda transaction: operations.pause(transaction, name, who))
    notice(f"{name} is paused: nothing new is sent to it, on every worker, within 2 s. Its calls wait.")
    return redirect(url_for("console.tools.index"), 303)


@routes.post("/tools/<name>/resume")
@allows(Role.OPERATOR)
def resume(name: str) -> Response:
    """Sends to it again."""
    who = by()
    change(lambda transaction: operations.unpause(transaction, name, who))
    notice(f"{name} is no longer paused.")
    return redirect(url_for("console.tools.index"), 303)
