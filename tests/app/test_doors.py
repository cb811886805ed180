"""Keys and doors: expiry, scope, rate, and every endpoint of the URL map tried with another project's ids."""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest
from werkzeug.routing import Rule

from app import create_app
from app.auth import REMEMBERED_S
from app.settings import Settings
from sql.execute import execute
from sql.keys import create_key, revoke_key
from tests.support.processes import Processes, WebProcess, wait_until

OPEN = frozenset({"/healthz", "/readyz", "/metrics"})


@pytest.fixture
def web(database: str, processes: Processes) -> WebProcess:
    """A web process of several workers."""
    return processes.start_web(database, WEB_CONCURRENCY=2)


@pytest.fixture
def door(web: WebProcess, connection: psycopg.Connection[Any]) -> Iterator[Callable[..., httpx.Client]]:
    """Makes clients, each with a key of its own."""
    clients: list[httpx.Client] = []

    def make(project: str = "mine", **terms: Any) -> httpx.Client:
        key = f"cf_{secrets.token_hex(16)}"
        made = create_key(project=project, sha256=hashlib.sha256(key.encode()).digest(), hint=key[-4:], **terms)
        headers = {"Authorization": f"Bearer {key}"}
        clients.append(httpx.Client(base_url=web.url, headers=headers, timeout=30))
        clients[-1].key_id = execute(connection, made)  # type: ignore[attr-defined]
        return clients[-1]

    yield make
    for client in clients:
        client.close()


# Keys ------------------------------------------------------------------------------------------------


def test_a_key_ends_when_its_time_is_over(
    door: Callable[..., httpx.Client], connection: psycopg.Connection[Any]
) -> None:
    client = door(life_s=3600)
    assert client.get("/v1/assistants").status_code == 200
    connection.execute("update counterfoil.api_keys set expires_at = now()")
    wait_until(lambda: client.get("/v1/assistants").status_code == 401, limit_s=REMEMBERED_S + 10)


def test_a_revoked_key_ends_and_its_last_use_is_known(
    door: Callable[..., httpx.Client], connection: psycopg.Connection[Any]
) -> None:
    client = door()
    assert client.get("/v1/assistants").status_code == 200
    [(used,)] = connection.execute("select last_used_at from counterfoil.api_keys").fetchall()
    assert used is not None
    execute(connection, revoke_key(key_id=client.key_id))  # type: ignore[attr-defined]
    wait_until(lambda: client.get("/v1/assistants").status_code == 401, limit_s=REMEMBERED_S + 10)


def test_a_key_that_may_only_read_changes_nothing(door: Callable[..., httpx.Client]) -> None:
    writer, reader = door(), door(read_only=True)
    thread = writer.post("/v1/threads", json={}).json()["id"]
    assert reader.get(f"/v1/threads/{thread}").status_code == 200
    for method, path in (("POST", "/v1/threads"), ("DELETE", f"/v1/threads/{thread}")):
        refused = reader.request(method, path, json={} if method == "POST" else None)
        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "insufficient_permissions"
    assert writer.get(f"/v1/threads/{thread}").status_code == 200


def test_a_limited_key_waits_and_others_do_not(
    door: Callable[..., httpx.Client], connection: psycopg.Connection[Any]
) -> None:
    limited, free = door(per_minute=5), door()
    answers = [limited.get("/v1/assistants") for _ in range(12)]
    granted = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 5 <= len(granted) <= 7, "all processes share one allowance; a slow machine earns one more"
    assert len(granted) + len(refused) == 12
    error = refused[-1].json()["error"]
    assert (error["type"], error["code"]) == ("rate_limit_error", "rate_limit_exceeded")
    assert 1 <= int(refused[-1].headers["retry-after"]) <= 12
    assert free.get("/v1/assistants").status_code == 200
    connection.execute("update counterfoil.key_allowances set at = at - interval '1 minute'")
    assert limited.get("/v1/assistants").status_code == 200


# Projects --------------------------------------------------------------------------------------------


def rules(dsn: str) -> list[Rule]:
    """Every rule of the agent API."""
    app = create_app(Settings(database_url=dsn))
    return [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/v1")]


def things(client: httpx.Client) -> dict[str, str]:
    """One of each: an id for every argument that a rule may have."""
    assistant = client.post("/v1/assistants", json={"model": "scripted"}).json()["id"]
    script = json.dumps({"script": [{"tool_calls": [{"name": "mine", "arguments": {}}]}]})
    body = {"assistant_id": assistant, "thread": {"messages": [{"role": "user", "content": script}]}}
    run = client.post("/v1/threads/runs", json=body).json()
    message = client.get(f"/v1/threads/{run['thread_id']}/messages").json()["data"][0]
    return {
        "assistant_id": assistant,
        "thread_id": run["thread_id"],
        "run_id": run["id"],
        "message_id": message["id"],
        "step_id": "step_none",
        "name": "scripted",
    }


def snapshot(connection: psycopg.Connection[Any]) -> list[Any]:
    """All that a stranger could have changed."""
    tables = ("assistants", "threads", "messages", "runs", "steps", "run_events")
    return [connection.execute(f"select * from counterfoil.{table} order by id").fetchall() for table in tables]


def test_every_endpoint_refuses_another_projects_ids(
    door: Callable[..., httpx.Client], database: str, connection: psycopg.Connection[Any]
) -> None:
    mine, stranger = door("mine"), door("theirs")
    ids = things(mine)
    before = snapshot(connection)
    own = things(stranger)["assistant_id"]
    after_own = snapshot(connection)
    bodies = {"/runs": {"assistant_id": own}, "/messages": {"role": "user", "content": "x"}}
    tried = 0
    for rule in rules(database):
        arguments = rule.arguments - {"name"}
        if not arguments:
            continue
        known = {name: ids[name] for name in rule.arguments}
        with_ids = create_path(rule, known)
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            end = "/" + rule.rule.rsplit("/", 1)[1]
            body = bodies.get(end, {"tool_outputs": []} if end == "/submit_tool_outputs" else {})
            answer = stranger.request(method, with_ids, json=body if method == "POST" else None)
            assert answer.status_code == 404, f"{method} {rule.rule}: {answer.status_code} {answer.text}"
            nobody = httpx.request(method, f"{stranger.base_url}{with_ids}", json=body if method == "POST" else None)
            assert nobody.status_code == 401, f"{method} {rule.rule} without a key"
            tried += 1
    assert tried >= 18
    assert snapshot(connection) == after_own
    assert all(row in after for rows, after in zip(before, after_own, strict=True) for row in rows)


def create_path(rule: Rule, values: dict[str, str]) -> str:
    """The rule's path with these values."""
    path = rule.rule
    for name, value in values.items():
        path = path.replace(f"<{name}>", value).replace(f"<path:{name}>", value)
    assert "<" not in path, f"{rule.rule} has an argument that this test does not know"
    return path


def test_lists_show_no_other_projects_rows(door: Callable[..., httpx.Client]) -> None:
    things(door("mine"))
    assert door("theirs").get("/v1/assistants").json()["data"] == []


def test_what_is_open_to_all_says_nothing_of_any_project(web: WebProcess, door: Callable[..., httpx.Client]) -> None:
    ids = things(door("mine"))
    for path in OPEN:
        answer = httpx.get(web.url + path)
        assert answer.status_code == 200
        assert not [id for id in ids.values() if id.startswith(("run_", "thread_", "asst_")) and id in answer.text]
