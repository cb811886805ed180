"""What every request of the console must pass: where it comes from, its token, who sends it, what they may do."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from flask import Flask, Request, Response, g, request
from flask.sessions import SecureCookieSessionInterface
from werkzeug.exceptions import Forbidden

F = TypeVar("F", bound=Callable[..., Any])
READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
ROLE_ATTRIBUTE: Final = "console_role"


class Role(StrEnum):
    """What an operator may do, each more than the one before."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


RANK: Final = {Role.VIEWER: 0, Role.OPERATOR: 1, Role.ADMIN: 2}


@dataclass(frozen=True)
class Me:
    """Who is logged in."""

    name: str
    role: Role

    def may(self, role: str) -> bool:
        """Whether their role is this or a higher one."""
        return RANK[self.role] >= RANK[Role(role)]


def allows(role: Role | None) -> Callable[[F], F]:
    """Marks a view with the least role that may use it; None: also without a session."""

    def mark(view: F) -> F:
        setattr(view, ROLE_ATTRIBUTE, role)
        return view

    return mark


def needed_role(flask_app: Flask, asked: Request) -> Role | None:
    """The role that a request needs. A view that changes something and names none is an admin's."""
    view = flask_app.view_functions.get(asked.endpoint or "")
    default = Role.VIEWER if asked.method in READING else Role.ADMIN
    found: Role | None = getattr(view, ROLE_ATTRIBUTE, default)
    return found


def refuse_foreign() -> None:
    """Refuses changes that another site's page asks for; browsers say so, and scripts need not."""
    if request.method in READING:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site not in (None, "same-origin"):
        raise Forbidden("This form was sent from another site.")
    origin = request.headers.get("Origin")
    if origin is not None and site is None and urlsplit(origin).netloc != request.host:
        raise Forbidden("This form was sent from another site.")


def make_nonce() -> None:
    """Before all else, so that every page, errors too, can name its scripts and styles."""
    g.nonce = secrets.token_urlsafe(16)


def harden(response: Response) -> Response:
    """Headers that leave a page nothing but its own scripts, styles and forms."""
    nonce = g.get("nonce", "")
    response.headers["Content-Security-Policy"] = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; img-src 'self' data:;"
        " connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    if not (request.endpoint or "").endswith(".static"):
        response.headers["Cache-Control"] = "no-store"
    return response


class ConsoleCookie(SecureCookieSessionInterface):
    """The signed cookie of form tokens and notices: for the console's paths alone, secure where the site is."""

    def get_cookie_path(self, app: Flask) -> str:
        """Below whatever prefix the site is served at."""
        return cookie_path()

    def get_cookie_secure(self, app: Flask) -> bool:
        """Over HTTPS, over HTTPS only."""
        return request.is_secure


def cookie_path() -> str:
    """Where the console's cookies are sent."""
    return f"{request.script_root}/console"
