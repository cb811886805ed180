"""A live console for a module of tests: a server, three operators, and stories of the ledger to look at."""

import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
import pytest

from app.cli.users import hash_of
from sql.embedded import EmbeddedPostgres
from sql.execute import execute
from sql.users import insert_user
from tests.support.processes import Processes, WebProcess
from tests.support.situations import FOLDER

PASSWORD = "correct horse battery"
HASH = hash_of(PASSWORD)
ROLES = {"vera": "viewer", "olive": "operator", "ada": "admin"}
NAMES = {role: name for name, role in ROLES.items()}
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass
class Story:
    """A loaded situation: its newest run and that run's call."""

    run_id: str
    call_id: str

    @property
    def run(self) -> str:
        """Its page."""
        return f"/runs/{self.run_id}"

    @property
    def call(self) -> str:
        """The page where its call is settled."""
        return f"/runs/{self.run_id}/calls/{self.call_id}"


class Visitor(httpx.Client):
    """A browser without scripts: keeps cookies, finds the token in pages, sends forms."""

    def token(self, page: str = "/login") -> str:
        """The form token of a page."""
        found = re.search(r'name="csrf_token" value="([^"]+)"', self.get(page).text)
        assert found, f"{page} has no form"
        return found[1]

    def submit(self, page: str, data: dict[str, Any] | None = None, *, token: str | None = None) -> httpx.Response:
        """Posts a form with its token."""
        return self.post(page, data={"csrf_token": token or self.token("/system"), **(data or {})})

    def log_in(self, name: str, password: str = PASSWORD) -> httpx.Response:
        """Logs in."""
        return self.post("/login", data={"csrf_token": self.token(), "name": name, "password": password})


@dataclass
class Site:
    """A running server and its database."""

    web: WebProcess
    dsn: str
    visitors: list[Visitor] = field(default_factory=list)
    loaded: int = 0

    def visitor(self, name: str | None = None, **headers: str) -> Visitor:
        """Somebody at the console, logged in when named."""
        made = Visitor(base_url=f"{self.web.url}/console", headers=headers, timeout=30)
        self.visitors.append(made)
        if name is not None:
            assert made.log_in(name).status_code == 303
        return made

    def rows(self, text: str, *params: object) -> list[tuple[Any, ...]]:
        """Executes a statement in the site's database."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(text.encode(), params)
            return cursor.fetchall() if cursor.description else []

    def load(self, situation: str) -> Story:
        """Loads a situation, as often as wanted: each time with ids of its own."""
        self.loaded += 1
        text = (FOLDER / f"{situation}.sql").read_text(encoding="utf-8")
        stem = re.sub(r"_(\w)", lambda m: m[1].upper(), situation)
        name = f"{stem[0]}{self.loaded:03d}{stem[4:]}"
        ids: dict[str, str] = {}
        text = UUID.sub(
            lambda m: ids.setdefault(m[0], str(uuid.uuid4())), re.sub(rf"(?<=_){stem}|(?<=-){stem}", name, text)
        )
        text = re.sub(r"\b(MSG|TCK|INV)-(\d+)", rf"\1-{self.loaded}\2", text)
        before = self.rows("select coalesce(max(seq), 0) from counterfoil.runs")[0][0]
        self.rows(text)
        newest = "select id from counterfoil.runs where seq > %s order by seq desc limit 1"
        run_id = self.rows(newest, before)[0][0]
        calls = self.rows("select tool_call_id from counterfoil.tool_calls where run_id = %s", run_id)
        return Story(run_id, calls[0][0] if calls else "")


@pytest.fixture(scope="module")
def new_site(
    server: EmbeddedPostgres, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Site]]:
    """Makes sites: databases at head with three operators, or none, each with its server."""
    names: list[str] = []
    sites: list[Site] = []
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        with Processes(tmp_path_factory.mktemp("console")) as processes:

            def make(*, operators: bool = True, **env: object) -> Site:
                names.append(f"test_{uuid.uuid4().hex}")
                admin.execute(f"create database {names[-1]} template {template}".encode())
                dsn = server.dsn(names[-1])
                with psycopg.connect(dsn, autocommit=True) as connection:
                    for name, role in ROLES.items() if operators else ():
                        execute(connection, insert_user(name=name, role=role, password_hash=HASH))
                sites.append(Site(processes.start_web(dsn, **env), dsn))
                return sites[-1]

            yield make
            for visitor in (visitor for site in sites for visitor in site.visitors):
                visitor.close()
        for name in names:
            admin.execute(f"drop database {name} with (force)".encode())


@pytest.fixture(scope="module")
def site(new_site: Callable[..., Site]) -> Site:
    """The module's console."""
    return new_site()


@pytest.fixture(scope="module")
def olive(site: Site) -> Visitor:
    """An operator who is logged in."""
    return site.visitor("olive")
