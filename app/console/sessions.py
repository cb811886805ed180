"""Logging in and out: Argon2 for passwords, a table for sessions, a throttle for those who guess."""

from __future__ import annotations

import hashlib
import secrets
from typing import Final
from urllib.parse import urlsplit

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import (
    Blueprint,
    Response,
    current_app,
    g,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response as BaseResponse

from app.api.services import database
from app.console.looking import TookTooLong, look, look_at
from app.console.security import Me, Role, allows, cookie_path
from sql.operators import AttentionRow, list_attention
from sql.statement import Statement
from sql.users import any_user, delete_session, insert_session, load_session, load_user, note_failure, touch_session

routes = Blueprint("login", __name__)
COOKIE: Final = "counterfoil_session"
LIFE_S: Final = 12 * 3600.0
BADGE_MOST: Final = 100
# Failures within 15 minutes, then nobody gets in by password: this name from this address, this name, this address.
MOST_HERE: Final = 5
MOST_ANYWHERE: Final = 50
MOST_ANY_NAME: Final = 50
LONGEST_PASSWORD: Final = 1000

hasher: Final = PasswordHasher()  # argon2id with the library's parameters: RFC 9106, low memory
# What is checked for a name that does not exist, so that the answer takes as long.
NOBODY: Final = hasher.hash(secrets.token_urlsafe(16))


def digest(token: str) -> bytes:
    """What is stored of a session's token. It is random and long: SHA-256 is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def identify() -> None:
    """Finds who asks, and in the same round trip how many things wait for a person."""
    token = request.cookies.get(COOKIE)
    g.me, g.waiting = None, 0
    if not token:
        return
    stuck_after_s = current_app.extensions["counterfoil_settings"].stuck_after_s
    badge: Statement[list[AttentionRow]] = list_attention(stuck_after_s=stuck_after_s, most=BADGE_MOST)
    try:
        found, waiting = look(load_session(digest(token)), badge)
    except TookTooLong:
        found, waiting = look_at(load_session(digest(token))), []
    if found is not None:
        g.me, g.waiting = Me(found.name, Role(found.role)), len(waiting)
        if found.stale and "HX-Request" not in request.headers:  # a page that polls is no person
            database().read_one(touch_session(digest(token)))


def has_operator() -> bool:
    """Whether there is anybody who could log in."""
    return database().read_one(any_user())


@routes.get("/login")
@allows(None)
def form() -> BaseResponse | str:
    """The form, or what to type where there is no operator yet."""
    if not has_operator():
        return closed()
    if g.me is not None:
        return redirect(safe_next())
    return render_template("console/login.html", next=request.args.get("next", ""))


@routes.post("/login")
@allows(None)
def login() -> BaseResponse:
    """Makes a session for the right password; says no more than no otherwise."""
    name = request.form.get("name", "").strip()[:200]
    password = request.form.get("password", "")[:LONGEST_PASSWORD]
    address = request.remote_addr or "unknown"
    known = database().read_one(load_user(name=name, address=address))
    if known.here >= MOST_HERE or known.anywhere >= MOST_ANYWHERE or known.any_name >= MOST_ANY_NAME:
        return again(name, 429, "Too many wrong passwords. Wait 15 minutes, then try again.")
    if not is_right(known.password_hash, password):
        database().write(lambda t: t.commit(note_failure(name=name, address=address)))
        return again(name, 401, "That name and password do not belong together.")
    token = secrets.token_urlsafe(32)
    made = insert_session(sha256=digest(token), name=name, address=address, life_s=LIFE_S)
    database().write(lambda t: t.commit(made))
    session.clear()  # a new form token for the new session
    response = redirect(safe_next(), 303)
    response.set_cookie(
        COOKIE, token, max_age=int(LIFE_S), path=cookie_path(), secure=request.is_secure, httponly=True, samesite="Lax"
    )
    return response


@routes.post("/logout")
@allows(Role.VIEWER)
def logout() -> BaseResponse:
    """Ends the session, here and in the table."""
    ended = delete_session(digest(request.cookies.get(COOKIE, "")))
    database().write(lambda t: t.commit(ended))
    session.clear()
    response = redirect(url_for("console.login.form"), 303)
    response.delete_cookie(COOKIE, path=cookie_path())
    return response


def is_right(password_hash: str | None, password: str) -> bool:
    """Whether the password is the hash's; as slow for a name that does not exist."""
    try:
        return hasher.verify(password_hash or NOBODY, password) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def again(name: str, status: int, problem: str) -> Response:
    """The form once more, with what is wrong."""
    page = render_template("console/login.html", name=name, problem=problem, next=request.form.get("next", ""))
    return make_response(page, status)


def closed() -> Response:
    """No operator, no console: which command to type."""
    return make_response(render_template("console/closed.html"), 503)


def safe_next() -> str:
    """Where somebody wanted to go, if it is a page of the console."""
    home = url_for("console.overview.index")
    wanted = request.values.get("next", "")
    parts = urlsplit(wanted)
    inside = wanted.startswith(home) and not parts.scheme and not parts.netloc and "\\" not in wanted
    return wanted if inside else home
