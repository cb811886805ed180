"""The system: schema, database, settings without secrets, operators; and how the console looks."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from typing import Final

from flask import Blueprint, redirect, render_template, request
from werkzeug.wrappers import Response

from app.api.health import newest_schema
from app.console.common import settings
from app.console.looking import look
from app.console.security import allows, cookie_path
from app.console.sessions import safe_next
from app.settings import hide_password
from sql.console import system_facts
from sql.users import list_users

routes = Blueprint("system", __name__)
SECRETS: Final = frozenset({"payload_keys", "fingerprint_key", "secret_key"})
VARIABLES: Final = {"home": "COUNTERFOIL_HOME", "config": "COUNTERFOIL_CONFIG", "payload_keys": "PAYLOAD_KEY"}
THEMES: Final = ("auto", "light", "dark")


@routes.get("/system")
def index() -> str:
    """All of it on one page."""
    before = datetime.now(UTC)
    facts, users = look(system_facts(), list_users())
    middle = before + (datetime.now(UTC) - before) / 2
    return render_template(
        "console/system.html",
        facts=facts,
        users=users,
        wanted=newest_schema(),
        apart_s=abs((facts.now - middle).total_seconds()),
        settings=[(variable(field.name), shown(field.name)) for field in fields(settings())],
    )


def variable(name: str) -> str:
    """The environment's name of a setting."""
    return {"home": "COUNTERFOIL_HOME", "config": "COUNTERFOIL_CONFIG", "payload_keys": "PAYLOAD_KEY"}.get(
        name, name.upper()
    )


def shown(name: str) -> str:
    """A setting's value as it may be shown."""
    value = getattr(settings(), name)
    if value is None or value == ():
        return "not set"
    if name in SECRETS:
        return "set, hidden"
    if isinstance(value, float):
        return f"{value:g} {'days' if name.endswith('_days') else 's'}"
    return hide_password(value) if name.endswith("database_url") else str(value)


@routes.post("/theme")
@allows(None)
def theme() -> Response:
    """Light, dark or as the browser says; kept in a cookie."""
    wanted = request.form.get("theme", "auto")
    response = redirect(safe_next(), 303)
    response.set_cookie(
        "counterfoil_theme",
        wanted if wanted in THEMES else "auto",
        max_age=31_536_000,
        path=cookie_path(),
        samesite="Lax",
    )
    return response
