"""Logging in: closed by default, throttled, by a session of our own, below any prefix."""

import os
import subprocess
import sys
from collections.abc import Callable

import httpx
import psycopg
import pytest

from sql.execute import execute
from sql.users import update_user
from tests.app.console.conftest import HASH, PASSWORD, Site, Visitor
from tests.support.processes import ROOT


def test_without_an_operator_there_is_no_console(new_site: Callable[..., Site]) -> None:
    closed = new_site(operators=False)
    for page in ("/login", "/", "/attention"):
        answer = closed.visitor().get(page)
        if answer.status_code == 302:
            answer = closed.visitor().get("/login")
        assert answer.status_code == 503
        assert "counterfoil users add" in answer.text


def test_root_leads_to_the_console(site: Site) -> None:
    answer = httpx.get(f"{site.web.url}/", follow_redirects=True)
    assert "Log in" in answer.text


def test_wrong_passwords_say_no_more_than_no(site: Site) -> None:
    known = site.visitor().log_in("vera", "wrong password")
    unknown = site.visitor().log_in("nobody at all", "wrong password")
    assert known.status_code == unknown.status_code == 401
    message = "do not belong together"
    assert message in known.text
    assert message in unknown.text


def test_guessing_is_throttled_also_for_the_right_password(new_site: Callable[..., Site]) -> None:
    guessed = new_site()
    visitor = guessed.visitor()
    for _ in range(5):
        assert visitor.log_in("ada", "wrong password").status_code == 401
    assert visitor.log_in("ada").status_code == 429
    assert visitor.log_in("olive").status_code == 303


def test_a_session_ends_with_logging_out(site: Site) -> None:
    visitor = site.visitor("vera")
    assert visitor.get("/runs").status_code == 200
    kept = dict(visitor.cookies)
    assert visitor.submit("/logout").status_code == 303
    again = Visitor(base_url=visitor.base_url, cookies=kept)
    site.visitors.append(again)
    assert again.get("/runs").status_code == 302


def test_a_new_password_or_role_counts_at_once(site: Site) -> None:
    visitor = site.visitor("vera")
    with psycopg.connect(site.dsn, autocommit=True) as connection:
        execute(connection, update_user(name="vera", role="operator"))
        assert "operator</small>" in visitor.get("/runs").text
        execute(connection, update_user(name="vera", role="viewer", password_hash=HASH))
    assert visitor.get("/runs").status_code == 302


def test_sessions_keep_no_token(site: Site) -> None:
    visitor = site.visitor("vera")
    token = visitor.cookies["counterfoil_session"].encode()
    hashes = [bytes(row[0]) for row in site.rows("select sha256 from counterfoil.sessions")]
    assert token not in hashes
    assert all(len(one) == 32 for one in hashes)


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example/console/", "/v1/x", "/console/\\evil"])
def test_login_leads_nowhere_else(site: Site, wanted: str) -> None:
    visitor = site.visitor()
    data = {"csrf_token": visitor.token(), "name": "vera", "password": PASSWORD, "next": wanted}
    answer = visitor.post("/login", data=data)
    assert answer.headers["location"] == "/console/"


def test_login_leads_to_where_one_wanted_to_go(site: Site) -> None:
    visitor = site.visitor()
    there = visitor.get("/runs?status=failed").headers["location"]
    answer = visitor.post(
        there.removeprefix("/console"),
        data={
            "csrf_token": visitor.token(),
            "name": "vera",
            "password": PASSWORD,
            "next": "/console/runs?status=failed",
        },
    )
    assert answer.headers["location"] == "/console/runs?status=failed"


def test_it_is_served_below_a_prefix(site: Site) -> None:
    visitor = Visitor(base_url=f"{site.web.url}/ops/console", headers={"X-Forwarded-Prefix": "/ops"})
    site.visitors.append(visitor)
    text = visitor.get("/login").text
    assert 'href="/ops/console/static/' in text
    assert 'action="/ops/console/login"' in text
    answer = visitor.log_in("vera")
    assert answer.status_code == 303
    assert answer.headers["location"] == "/ops/console/"
    assert "Path=/ops/console" in answer.headers["set-cookie"]
    assert 'href="/ops/console/attention"' in visitor.get("/").text


def users(dsn: str, *args: str, typed: str = "") -> tuple[int, str]:
    """Runs `counterfoil users ARGS` with this on its standard input."""
    command = [sys.executable, "-m", "app.cli", "users", *args]
    environ = {**os.environ, "DATABASE_URL": dsn}
    done = subprocess.run(command, cwd=ROOT, env=environ, input=typed, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_users_by_the_command_line(new_site: Callable[..., Site]) -> None:
    fresh = new_site(operators=False)
    made = users(fresh.dsn, "add", "grace", "--role", "operator", "--password-stdin", "--json", typed=f"{PASSWORD}\n")
    assert made == (0, '{"name": "grace", "role": "operator"}\n')
    visitor = fresh.visitor("grace")
    assert "operator</small>" in visitor.get("/runs").text
    assert users(fresh.dsn, "role", "grace", "--role", "viewer")[0] == 0
    assert "viewer</small>" in visitor.get("/runs").text
    assert users(fresh.dsn, "password", "grace", "--password-stdin", typed="another password\n")[0] == 0
    assert visitor.get("/runs").status_code == 302, "a new password ends all sessions"
    assert visitor.log_in("grace").status_code == 401
    assert visitor.log_in("grace", "another password").status_code == 303
    assert '"name": "grace"' in users(fresh.dsn, "list", "--json")[1]


@pytest.mark.parametrize(
    ("args", "typed", "code"),
    [
        (("add", "vera", "--role", "viewer", "--password-stdin"), PASSWORD, 5),
        (("add", "new", "--role", "viewer", "--password-stdin"), "short", 2),
        (("add", "new", "--role", "viewer"), "", 2),
        (("add", "new", "--role", "boss", "--password-stdin"), PASSWORD, 2),
        (("add", " ", "--role", "viewer", "--password-stdin"), PASSWORD, 2),
        (("role", "nobody", "--role", "viewer"), "", 3),
        (("password", "nobody", "--password-stdin"), PASSWORD, 3),
    ],
)
def test_users_that_cannot_be(site: Site, args: tuple[str, ...], typed: str, code: int) -> None:
    found, said = users(site.dsn, *args, typed=typed)
    assert found == code
    assert said.count("\n") == 1, "one line"
    assert PASSWORD not in said
