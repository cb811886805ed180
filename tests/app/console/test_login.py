"""Logging in: closed by default, throttled, by a session of our own, below any prefix."""

from collections.abc import Callable

import httpx
import psycopg
import pytest

from sql.execute import execute
from sql.users import update_user
from tests.app.console.conftest import HASH, PASSWORD, Site, Visitor
from tests.support.processes import Processes


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


def test_users_by_the_command_line(database: str, processes: Processes) -> None:
    def run(*args: str) -> tuple[int, str]:
        done = processes.counterfoil("users", *args, DATABASE_URL=database)
        return done.returncode, done.stdout + done.stderr

    assert run("add", "grace", "--role", "operator")[0] == 2  # no terminal, no --password-stdin
    assert run("list") == (0, "no operators\n")
    assert run("role", "grace", "--role", "admin")[0] == 3
