"""A live server for a module of tests, and clients of several projects that talk to it."""

import hashlib
import secrets
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import openai
import psycopg
import pytest

from sql.embedded import EmbeddedPostgres
from sql.execute import execute
from sql.keys import create_key
from tests.support.processes import Processes, WebProcess


@dataclass
class Site:
    """A running server, its database and a way to get keys."""

    url: str
    dsn: str
    web: WebProcess
    processes: Processes
    key: str = ""
    clients: list[Any] = field(default_factory=list)

    def new_key(self, project: str) -> str:
        """A key of a project, which is made where it is new."""
        key = f"cf_{secrets.token_hex(16)}"
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            digest = hashlib.sha256(key.encode()).digest()
            execute(connection, create_key(project=project, sha256=digest, hint=key[-4:]))
        return key

    def http(self, key: str | None = None, **headers: str) -> httpx.Client:
        """A plain HTTP client at `/v1`, for what the official client never sends."""
        client = httpx.Client(
            base_url=f"{self.url}/v1",
            headers={"Authorization": f"Bearer {key or self.key}", **headers},
            timeout=30,
        )
        self.clients.append(client)
        return client

    def client(self, key: str | None = None, **options: Any) -> openai.OpenAI:
        """The official client, changed in base_url and key only."""
        client = openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.key, **options)
        self.clients.append(client)
        return client


@pytest.fixture(scope="module")
def module_database(server: EmbeddedPostgres, template: str) -> Iterator[str]:
    """The DSN of a database at head, for this module's tests."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name} template {template}")
        yield server.dsn(name)
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def site(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """`counterfoil web` on a database of the module's own, with no worker."""
    with Processes(tmp_path_factory.mktemp("site")) as processes:
        web = processes.start_web(module_database)
        running = Site(web.url, module_database, web, processes)
        running.key = running.new_key("tests")
        yield running
        for client in running.clients:
            client.close()


@pytest.fixture(scope="module")
def http(site: Site) -> httpx.Client:
    """A plain HTTP client at `/v1`."""
    return site.http()


@pytest.fixture(scope="module")
def client(site: Site) -> openai.OpenAI:
    """The official client; it does not resend by itself, so that tests see every answer."""
    return site.client(max_retries=0)


@pytest.fixture
def rows(site: Site) -> Iterator[psycopg.Connection]:
    """A connection to the site's database, to arrange what only a worker does."""
    with psycopg.connect(site.dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def assistant(http: httpx.Client) -> str:
    """The id of an assistant with the scripted model."""
    return made(http.post("/assistants", json={"model": "scripted"}))["id"]


@pytest.fixture
def thread(http: httpx.Client) -> str:
    """The id of an empty thread."""
    return made(http.post("/threads", json={}))["id"]


Ask = Callable[..., str]


@pytest.fixture
def asking(rows: psycopg.Connection) -> Ask:
    """Brings a queued run to `requires_action` with calls, as a worker would; `server` names catalog calls."""

    def ask(run: str, *calls: str, server: tuple[str, ...] = (), round: int = 0) -> str:
        with rows.transaction():
            rows.execute(
                "update counterfoil.runs set status = 'in_progress',"
                " started_at = coalesce(started_at, counterfoil.db_now()) where id = %s",
                (run,),
            )
            for index, call in enumerate(calls):
                executor = "server" if call in server else "client"
                insert_call(rows, run=run, call=call, executor=executor, round=round, index=index)
            rows.execute(
                "insert into counterfoil.steps (id, run_id, round, type, status)"
                " values (%s, %s, %s, 'tool_calls', 'in_progress')",
                (f"step_{uuid.uuid4().hex}", run, round),
            )
            rows.execute(
                "update counterfoil.runs set status = 'requires_action', rounds = %s,"
                " waiting_since = counterfoil.db_now() where id = %s",
                (round + 1, run),
            )
        return run

    return ask


def insert_call(rows: psycopg.Connection, **place: Any) -> None:
    """A call that waits for its outcome; its arguments name it."""
    payload = uuid.uuid4()
    rows.execute(
        "insert into counterfoil.payloads (id, bytes) values (%s, %s)",
        (payload, f'{{"call":"{place["call"]}"}}'.encode()),
    )
    rows.execute(
        "insert into counterfoil.tool_calls (run_id, tool_call_id, thread_id, round, index, tool, executor,"
        " repeat, fingerprint, effect_key, arguments, state) select id, %(call)s, thread_id, %(round)s,"
        " %(index)s, 'act', %(executor)s, 'never', 'f', %(key)s, %(payload)s, 'pending'"
        " from counterfoil.runs where id = %(run)s",
        {**place, "key": str(payload), "payload": payload},
    )


def made(response: httpx.Response) -> dict[str, Any]:
    """The object in a 200; the assertion shows the answer otherwise."""
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def refused(response: httpx.Response, status: int = 400) -> dict[str, Any]:
    """The error of an answer with this status, in its envelope."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert response.headers["x-request-id"].startswith("req_")
    return error
