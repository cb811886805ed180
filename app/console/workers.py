"""Workers and the leases that they hold."""

from __future__ import annotations

from flask import Blueprint, render_template

from app.console.looking import TookTooLong, look
from sql.console import list_leases, list_workers, overview

routes = Blueprint("workers", __name__)


@routes.get("/workers")
def index() -> str:
    """Processes seen within a day; the leases that end first."""
    try:
        workers, leases, numbers = look(list_workers(), list_leases(), overview())
    except TookTooLong:
        return render_template("console/workers.html", workers=[], leases=[], numbers=None, slow=True)
    return render_template("console/workers.html", workers=workers, leases=leases, numbers=numbers, slow=False)
