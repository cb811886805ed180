"""Threads: the newest, and one with its messages and runs."""

from __future__ import annotations

from flask import Blueprint, render_template

from app.console.common import PAGE, found_or_404, text_of
from app.console.looking import TookTooLong, look, look_at
from sql.console import messages_of_thread, page_threads, runs_of_thread
from sql.operators import list_runs

routes = Blueprint("threads", __name__)


@routes.get("/threads")
def index() -> str:
    """A page of threads, newest first."""
    before = text_of("before")
    try:
        found = look_at(page_threads(before=int(before) if before.isdigit() else None, most=PAGE + 1))
    except TookTooLong:
        return render_template("console/threads.html", threads=[], more=None, slow=True, before=before)
    more = found[PAGE - 1].seq if len(found) > PAGE else None
    return render_template("console/threads.html", threads=found[:PAGE], more=more, slow=False, before=before)


@routes.get("/threads/<thread_id>")
def show(thread_id: str) -> str:
    """Its newest messages and runs."""
    found, messages, ids = look(
        page_threads(id=thread_id), messages_of_thread(thread_id, most=50), runs_of_thread(thread_id, most=50)
    )
    thread = found_or_404(found, "thread", thread_id)
    runs = look_at(list_runs(ids=ids, most=50))
    return render_template("console/thread.html", thread=thread, messages=messages[::-1], runs=runs)
