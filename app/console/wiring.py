"""Puts the console together: its blueprint, what every request passes, and its error pages."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from flask import Blueprint, Flask, current_app, g, make_response, redirect, render_template, request, url_for
from flask_wtf import CSRFProtect  # type: ignore[import-untyped]
from flask_wtf.csrf import CSRFError, generate_csrf  # type: ignore[import-untyped]
from werkzeug.exceptions import Forbidden, HTTPException, NotFound
from werkzeug.wrappers import Response

from app import VERSION
from app.console import (
    attention,
    audit,
    bulk,
    calls,
    effects,
    incidents,
    overview,
    runs,
    searching,
    sessions,
    system,
    threads,
    tools,
    webhooks,
    words,
    workers,
)
from app.console.looking import TookTooLong
from app.console.security import READING, ConsoleCookie, allows, harden, make_nonce, needed_role, refuse_foreign
from app.errors import Unavailable
from app.logs import get_logger
from app.resolution import Refused, Unknown

if TYPE_CHECKING:
    from app.settings import Settings

PREFIX: Final = "/console"
STATIC: Final = Path(__file__).parent / "static"
PAGES: Final = (
    *(overview, attention, runs, calls, bulk, threads, effects, workers, tools, audit, system, incidents),
    *(searching, sessions, webhooks),
)
A_PREFIX: Final = re.compile(r"(/[\w.~-]+)+")
_csrf = CSRFProtect()
_log = get_logger(part="console")


def add_console(flask_app: Flask, settings: Settings) -> None:
    """Adds all pages below /console, and the way there from the root."""
    flask_app.config["WTF_CSRF_CHECK_DEFAULT"] = False  # the API has keys; the console checks by itself
    flask_app.config["WTF_CSRF_TIME_LIMIT"] = None  # as long as the session
    flask_app.config["WTF_CSRF_SSL_STRICT"] = False  # Sec-Fetch-Site and Origin are checked instead of Referer
    flask_app.config["SESSION_COOKIE_NAME"] = "counterfoil_form"
    flask_app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    flask_app.secret_key = settings.kept_secret_key()
    flask_app.session_interface = ConsoleCookie()
    _csrf.init_app(flask_app)
    flask_app.register_blueprint(blueprint())
    flask_app.add_url_rule("/", "root", lambda: redirect(url_for("console.overview.index")))
    flask_app.wsgi_app = under_prefix(flask_app.wsgi_app)  # type: ignore[method-assign]


def blueprint() -> Blueprint:
    """The console's blueprint with everything in it."""
    console = Blueprint("console", __name__, url_prefix=PREFIX, template_folder="templates", static_folder="static")
    for module in PAGES:
        console.register_blueprint(module.routes)
    console.add_url_rule("/<path:rest>", "nowhere", allows(None)(nowhere))
    console.before_request(admit)
    console.after_request(harden)
    console.context_processor(shared)
    for error, handler in HANDLERS.items():
        console.register_error_handler(error, handler)
    for name, function in words.FILTERS.items():
        console.add_app_template_filter(function, name)
    return console


def admit() -> Response | str | None:
    """In this order: the nonce, so that refusals are pages; where it comes from; its token; who; what they may."""
    make_nonce()
    g.me, g.waiting = None, 0
    if request.endpoint == "console.static":
        return None
    incidents.allow_uploads()
    refuse_foreign()
    if request.method not in READING:
        _csrf.protect()
    sessions.identify()
    role = needed_role(current_app, request)
    if role is None or (g.me is not None and g.me.may(role)):
        return None
    if g.me is not None:
        raise Forbidden(f"This takes the role {role}, and yours is {g.me.role}.")
    if not sessions.has_operator():
        return sessions.closed()
    if request.method not in READING or "HX-Request" in request.headers:
        return error_page(401, "Your session has ended", "Log in again; nothing was changed.")
    here = request.script_root + request.full_path.rstrip("?")
    return redirect(url_for("console.login.form", next=here))


def shared() -> dict[str, Any]:
    """What every template may use."""
    return {
        "me": g.get("me"),
        "waiting": g.get("waiting", 0),
        "nonce": g.get("nonce", ""),
        "csrf_token": generate_csrf,
        "asset": asset,
        "version": VERSION,
        "words": words,
        "now_utc": words.now_utc,
        "micros": words.micros,
        "theme": request.cookies.get("counterfoil_theme", "auto"),
    }


def asset(name: str) -> str:
    """The address of a static file, another one when its content is another."""
    return url_for("console.static", filename=name, v=stamp(name))


@cache
def stamp(name: str) -> str:
    """The beginning of a static file's hash."""
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


def nowhere(rest: str) -> Response:
    """Any other address below the console."""
    raise NotFound(f"There is no page {rest}.")


# Errors -------------------------------------------------------------------------------------------


def error_page(status: int, title: str, what: str) -> Response:
    """A page that says what went wrong, and what can be done."""
    g.setdefault("nonce", "")
    return make_response(render_template("console/error.html", status=status, title=title, what=what), status)


def show_http(error: HTTPException) -> Response:
    """Werkzeug's errors: what was asked is wrong."""
    if error.response is not None:
        return make_response(error.response)
    return error_page(error.code or 500, error.name, error.description or "")


def show_csrf(error: CSRFError) -> Response:
    """A form without its token, or with one of another session."""
    what = "This form is from another session, or its page was open for too long. Reload the page and try again."
    return error_page(400, "Form not accepted", f"{what} ({error.description})")


def show_slow(_error: TookTooLong) -> Response:
    """A page that the database did not answer in time."""
    what = "The database took longer than 2 s, so the page was given up. Narrow the filter, or try again."
    return error_page(503, "Query timed out", what)


def show_refused(error: Refused) -> Response:
    """What an operator wanted cannot be done."""
    status = 404 if isinstance(error, Unknown) else 409
    return error_page(status, "Not done", str(error))


def show_unavailable(_error: Unavailable) -> Response:
    """There is no database."""
    what = "The database does not answer, so nothing can be shown or changed. Workers keep what they know and wait."
    return error_page(503, "Database not reachable", what)


def show_failure(error: Exception) -> Response:
    """Whatever else went wrong: nothing of it is told, all but data is logged."""
    _log.error("page failed", endpoint=request.endpoint, exc_info=error)
    return error_page(500, "This page is broken", "The server's log says why. Nothing was changed.")


HANDLERS: Final[dict[type[Exception], Callable[[Any], Response]]] = {
    HTTPException: show_http,
    CSRFError: show_csrf,
    TookTooLong: show_slow,
    Refused: show_refused,
    Unavailable: show_unavailable,
    Exception: show_failure,
}


def under_prefix(inner: Callable[..., Iterable[bytes]]) -> Callable[..., Iterable[bytes]]:
    """Takes X-Forwarded-Prefix of a proxy for SCRIPT_NAME, so that links lead back through it."""

    def serve(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        prefix = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
        if A_PREFIX.fullmatch(prefix):
            environ["SCRIPT_NAME"] = prefix
            path = environ.get("PATH_INFO", "")
            if path == prefix or path.startswith(f"{prefix}/"):
                environ["PATH_INFO"] = path[len(prefix) :]
        return inner(environ, start)

    return serve
