"""Webhooks: who is told when something needs a person or has ended, and whether it arrived."""

from __future__ import annotations

import base64
import secrets
from typing import Final
from urllib.parse import urlsplit

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from app.console.common import by, change, notice
from app.console.looking import TookTooLong, look
from app.console.security import Role, allows
from app.database import Transaction
from sql.ids import new_id
from sql.operators import insert_audit
from sql.webhooks import (
    insert_subscription,
    insert_test,
    list_deliveries,
    list_subscriptions,
    remove_subscription,
    send_again,
)

routes = Blueprint("webhooks", __name__)
EVENTS: Final = {
    "call.needs_operator": "a call needs an operator",
    "call.conflict": "evidence contradicts a verdict",
    "run.ended": "a run has ended",
}


@routes.get("/webhooks")
def index() -> str:
    """Who is told, and the newest notices."""
    return page()


def page(problem: str | None = None, made: tuple[str, str] | None = None) -> str:
    """The page; made: address and secret of a new subscription, shown this once."""
    try:
        subscriptions, deliveries = look(list_subscriptions(), list_deliveries())
    except TookTooLong:
        return render_template("console/webhooks.html", slow=True, events=EVENTS)
    return render_template(
        "console/webhooks.html",
        slow=False,
        subscriptions=subscriptions,
        deliveries=deliveries,
        events=EVENTS,
        problem=problem,
        made=made,
        form=request.form,
    )


@routes.post("/webhooks")
@allows(Role.ADMIN)
def add() -> Response:
    """Makes a subscription and shows its secret, this once."""
    url = request.form.get("url", "").strip()[:2000]
    events = [event for event in request.form.getlist("event") if event in EVENTS]
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or not events:
        return make_response(page("An address that begins with https:// is needed, and at least one event."), 422)
    who, id = by(), new_id("hook")
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    audit = insert_audit(operator=who.operator, action="add_webhook", reason=who.reason, object=url)
    made = insert_subscription(id=id, url=url, secret=secret, events=events, operator=who.operator)
    change(lambda transaction: transaction.commit(made, audit))
    return make_response(page(made=(url, secret)))


@routes.post("/webhooks/<id>/remove")
@allows(Role.ADMIN)
def remove(id: str) -> Response:
    """Tells it no more."""
    who = by()

    def work(transaction: Transaction) -> str | None:
        url: str | None = transaction.one(remove_subscription(id))
        if url is not None:
            audit = insert_audit(operator=who.operator, action="remove_webhook", reason=who.reason, object=url)
            transaction.commit(audit)
        return url

    if change(work) is None:
        raise NotFound(f"There is no webhook {id}.")
    notice("It is told no more.")
    return redirect(url_for("console.webhooks.index"), 303)


@routes.post("/webhooks/<id>/test")
@allows(Role.OPERATOR)
def test(id: str) -> Response:
    """Sends a notice about nothing."""
    if change(lambda transaction: transaction.commit(insert_test(id)))[0] is None:
        raise NotFound(f"There is no webhook {id}.")
    notice("A test notice is on its way; it is in the list below.")
    return redirect(url_for("console.webhooks.index"), 303)


@routes.post("/deliveries/<id>/again")
@allows(Role.OPERATOR)
def again(id: str) -> Response:
    """Sends a notice once more."""
    if change(lambda transaction: transaction.commit(send_again(id)))[0] is None:
        raise NotFound(f"There is no notice {id}.")
    notice("It is being sent again.")
    return redirect(url_for("console.webhooks.index"), 303)
