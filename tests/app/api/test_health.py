"""Alive, ready, and what clients see while the database is away."""

import hashlib
from collections.abc import Iterator

import httpx
import psycopg
import pytest

from sql.embedded import EmbeddedPostgres
from sql.execute import execute
from sql.keys import create_key
from tests.app.api.conftest import Site, made, refused
from tests.support.processes import Processes, wait_until


@pytest.fixture
def own_http(own_server: EmbeddedPostgres, processes: Processes) -> Iterator[httpx.Client]:
    """A client of a web process whose database server the test may crash."""
    with psycopg.connect(own_server.dsn(), autocommit=True) as connection:
        execute(connection, create_key(project="p", sha256=hashlib.sha256(b"cf_own").digest(), hint="own"))
    web = processes.start_web(own_server.dsn())
    with httpx.Client(base_url=web.url, headers={"Authorization": "Bearer cf_own"}, timeout=30) as client:
        yield client


def test_alive_and_ready(site: Site) -> None:
    assert httpx.get(f"{site.url}/healthz").status_code == 200
    assert httpx.get(f"{site.url}/readyz").status_code == 200


def test_a_database_that_is_away_is_503_and_comes_back_by_itself(
    own_http: httpx.Client, own_server: EmbeddedPostgres
) -> None:
    thread = made(own_http.post("/v1/threads", json={}))["id"]
    own_server.crash()
    for answer in (
        own_http.get(f"/v1/threads/{thread}"),
        own_http.post(f"/v1/threads/{thread}/messages", json={"role": "user", "content": "x"}),
    ):
        assert refused(answer, 503)["type"] == "server_error"
    assert own_http.get("/readyz").status_code == 503
    assert own_http.get("/healthz").status_code == 200
    own_server.restart()
    wait_until(lambda: own_http.get("/readyz").status_code == 200, what="ready again")
    made(own_http.get(f"/v1/threads/{thread}"))
    made(own_http.post(f"/v1/threads/{thread}/messages", json={"role": "user", "content": "x"}))


def test_nobody_notices_a_restart_between_two_requests(own_http: httpx.Client, own_server: EmbeddedPostgres) -> None:
    thread = made(own_http.post("/v1/threads", json={}))["id"]
    for _ in range(2):
        own_server.restart()
        made(own_http.get(f"/v1/threads/{thread}"))
        own_server.restart()
        made(own_http.post("/v1/threads", json={}))


def test_a_schema_that_is_behind_is_not_ready(own_http: httpx.Client, own_server: EmbeddedPostgres) -> None:
    with psycopg.connect(own_server.dsn(), autocommit=True) as connection:
        connection.execute("update counterfoil.alembic_version set version_num = '0000'")
        answer = own_http.get("/readyz")
        assert (answer.status_code, "0000" in answer.text) == (503, True)
        connection.execute("drop table counterfoil.alembic_version")
        assert own_http.get("/readyz").status_code == 503
