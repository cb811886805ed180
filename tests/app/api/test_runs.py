"""Runs on the wire: made, shown, one at a time on a thread, cancelled, expired."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from tests.app.api.conftest import Ask, Site, made, refused

KEYS = {
    "id", "object", "created_at", "thread_id", "assistant_id", "status", "required_action", "last_error",
    "incomplete_details", "expires_at", "started_at", "cancelled_at", "failed_at", "completed_at", "model",
    "instructions", "tools", "metadata", "usage", "temperature", "top_p", "max_prompt_tokens",
    "max_completion_tokens", "truncation_strategy", "tool_choice", "parallel_tool_calls", "response_format",
}  # fmt: skip
TOOL = {"type": "function", "function": {"name": "f"}}


def test_a_new_run_has_every_key(http: httpx.Client, assistant: str, thread: str) -> None:
    shown = made(http.post(f"/threads/{thread}/runs", json={"assistant_id": assistant}))
    assert set(shown) == KEYS
    assert (shown["object"], shown["status"], shown["model"]) == ("thread.run", "queued", "scripted")
    assert re.fullmatch("run_[A-Za-z0-9]{20,}", shown["id"])
    assert shown["expires_at"] == pytest.approx(shown["created_at"] + 600, abs=1)
    assert shown["truncation_strategy"] == {"type": "auto", "last_messages": None}
    assert (shown["tool_choice"], shown["parallel_tool_calls"]) == ("auto", True)
    answer = http.get(f"/threads/{thread}/runs/{shown['id']}")
    assert made(answer) == shown
    assert answer.headers["openai-poll-after-ms"] == "250"


def test_effective_values_are_copied(http: httpx.Client) -> None:
    assistant = made(
        http.post(
            "/assistants",
            json={"model": "scripted", "instructions": "base", "tools": [TOOL], "temperature": 0.5, "top_p": 0},
        )
    )["id"]
    body = {"assistant_id": assistant, "additional_instructions": "more", "metadata": {"a": "b"}}
    run = made(http.post("/threads/runs", json=body))
    assert (run["instructions"], run["temperature"], run["top_p"]) == ("base\n\nmore", 0.5, 0.0)
    assert (run["tools"], run["metadata"]) == ([TOOL], {"a": "b"})
    made(http.post(f"/assistants/{assistant}", json={"model": "other", "instructions": "new"}))
    made(http.delete(f"/assistants/{assistant}"))
    assert made(http.get(f"/threads/{run['thread_id']}/runs/{run['id']}")) == run


def test_the_request_overrides_the_assistant(http: httpx.Client, assistant: str) -> None:
    asked = {
        "model": "gpt-4o",
        "instructions": "",
        "tools": [TOOL | {"later": None}],
        "temperature": 2,
        "top_p": 0.25,
        "max_prompt_tokens": 256,
        "max_completion_tokens": 1000,
        "truncation_strategy": {"type": "last_messages", "last_messages": 3},
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {"type": "json_object"},
    }
    run = made(http.post("/threads/runs", json={"assistant_id": assistant, "reasoning_effort": "low", **asked}))
    assert {key: run[key] for key in asked} == asked


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("assistant_id", 5, "invalid_type"),
        ("assistant_id", None, "missing_required_parameter"),
        ("model", "", "invalid_value"),
        ("max_prompt_tokens", 255, "integer_below_min_value"),
        ("max_completion_tokens", 1.5, "invalid_type"),
        ("expires_in_seconds", 0, "integer_below_min_value"),
        ("expires_in_seconds", 2_592_001, "integer_above_max_value"),
        ("truncation_strategy", {"type": "last_messages"}, "invalid_value"),
        ("truncation_strategy", {"type": "last_messages", "last_messages": 0}, "integer_below_min_value"),
        ("truncation_strategy", "auto", "invalid_type"),
        ("tool_choice", "maybe", "invalid_value"),
        ("tool_choice", 1, "invalid_type"),
        ("parallel_tool_calls", "yes", "invalid_type"),
        ("stream", "yes", "invalid_type"),
        ("additional_messages", [{"role": "user"}], "missing_required_parameter"),
        ("tools", [{"type": "file_search"}], "unsupported_tool"),
        ("metadata", {"k": None}, "invalid_type"),
    ],
)
def test_wrong_fields_are_named(
    http: httpx.Client, assistant: str, thread: str, field: str, value: object, code: str
) -> None:
    body = {"assistant_id": assistant, field: value}
    for path in (f"/threads/{thread}/runs", "/threads/runs"):
        error = refused(http.post(path, json=body))
        assert (error["param"], error["code"]) == (field, code)


def test_a_thread_has_one_active_run(http: httpx.Client, assistant: str, thread: str) -> None:
    run = made(http.post(f"/threads/{thread}/runs", json={"assistant_id": assistant}))["id"]
    error = refused(http.post(f"/threads/{thread}/runs", json={"assistant_id": assistant}))
    assert error["message"] == f"Thread {thread} already has an active run {run}."
    assert error["code"] is None
    for role in ("user", "assistant"):
        error = refused(http.post(f"/threads/{thread}/messages", json={"role": role, "content": "x"}))
        assert error["message"] == f"Can't add messages to {thread} while a run {run} is active."
    assert made(http.get(f"/threads/{thread}/messages"))["data"] == []


def test_of_many_at_once_one_wins(site: Site, assistant: str, thread: str) -> None:
    together = threading.Barrier(12)

    def create(_: int) -> httpx.Response:
        own = site.http()
        together.wait()
        return own.post(f"/threads/{thread}/runs", json={"assistant_id": assistant})

    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(create, range(12)))
    won = [made(answer)["id"] for answer in answers if answer.status_code == 200]
    assert len(won) == 1
    for answer in answers:
        if answer.status_code != 200:
            assert refused(answer)["message"] == f"Thread {thread} already has an active run {won[0]}."


def test_additional_messages_come_with_the_run_or_not_at_all(http: httpx.Client, assistant: str, thread: str) -> None:
    body = {"assistant_id": assistant, "additional_messages": [{"role": "user", "content": text} for text in "ab"]}
    run = made(http.post(f"/threads/{thread}/runs", json=body))
    refused(http.post(f"/threads/{thread}/runs", json=body))
    shown = made(http.get(f"/threads/{thread}/messages?order=asc"))["data"]
    assert [one["content"][0]["text"]["value"] for one in shown] == ["a", "b"]
    assert shown[0]["run_id"] is None
    assert run["status"] == "queued"


def test_a_run_comes_with_its_thread(http: httpx.Client, assistant: str) -> None:
    body = {
        "assistant_id": assistant,
        "thread": {"messages": [{"role": "user", "content": "q"}], "metadata": {"of": "thread"}},
        "metadata": {"of": "run"},
    }
    run = made(http.post("/threads/runs", json=body))
    assert run["metadata"] == {"of": "run"}
    thread = made(http.get(f"/threads/{run['thread_id']}"))
    assert thread["metadata"] == {"of": "thread"}
    assert len(made(http.get(f"/threads/{thread['id']}/messages"))["data"]) == 1
    refused(http.post("/threads/runs", json=body | {"assistant_id": "asst_0"}), 404)
    assert refused(http.post("/threads/runs", json=body | {"thread": {"messages": 1}}))["param"] == "thread"


def test_cancel(http: httpx.Client, assistant: str) -> None:
    run = made(http.post("/threads/runs", json={"assistant_id": assistant}))
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    shown = made(http.post(f"{path}/cancel"))
    assert (shown["status"], shown["required_action"], shown["expires_at"]) == ("cancelled", None, None)
    assert shown["cancelled_at"] >= run["created_at"]
    error = refused(http.post(f"{path}/cancel"))
    assert error["message"] == "Cannot cancel run with status 'cancelled'."
    assert made(http.post(f"{path}/cancel", headers={"x-stainless-retry-count": "1"})) == shown
    assert made(http.post(path, json={"metadata": {"k": "v"}})) == shown | {"metadata": {"k": "v"}}
    made(http.post(f"/threads/{run['thread_id']}/messages", json={"role": "user", "content": "x"}))


def test_a_run_expires_by_whoever_looks(http: httpx.Client, assistant: str) -> None:
    body = {"assistant_id": assistant, "expires_in_seconds": 1}
    runs = [made(http.post("/threads/runs", json=body)) for _ in range(5)]
    assert runs[0]["expires_at"] == pytest.approx(runs[0]["created_at"] + 1, abs=1)
    time.sleep(1.1)  # the contract's own time, not a wait for a condition
    one, two, three, four, five = ((f"/threads/{run['thread_id']}", run["id"]) for run in runs)
    shown = made(http.get(f"{one[0]}/runs/{one[1]}"))
    assert (shown["status"], shown["expires_at"]) == ("expired", runs[0]["expires_at"])
    assert [run["status"] for run in made(http.get(f"{two[0]}/runs"))["data"]] == ["expired"]
    made(http.post(f"{three[0]}/messages", json={"role": "user", "content": "x"}))
    assert made(http.get(f"{three[0]}/runs/{three[1]}"))["status"] == "expired"
    made(http.post(f"{four[0]}/runs", json={"assistant_id": assistant}))
    assert made(http.get(f"{four[0]}/runs/{four[1]}"))["status"] == "expired"
    error = refused(http.post(f"{five[0]}/runs/{five[1]}/cancel"))
    assert error["message"] == "Cannot cancel run with status 'expired'."


def test_deleting_a_thread_cancels_its_run(
    http: httpx.Client, assistant: str, rows: psycopg.Connection, asking: Ask
) -> None:
    run = made(http.post("/threads/runs", json={"assistant_id": assistant}))
    asking(run["id"], "call_1")
    made(http.delete(f"/threads/{run['thread_id']}"))
    refused(http.get(f"/threads/{run['thread_id']}/runs/{run['id']}"), 404)
    found = rows.execute(
        "select r.status, c.state, s.status from counterfoil.runs r join counterfoil.tool_calls c on c.run_id = r.id"
        " join counterfoil.steps s on s.run_id = r.id where r.id = %s",
        (run["id"],),
    ).fetchone()
    assert found == ("cancelled", "cancelled", "cancelled")


def test_what_a_run_is_made_with(site: Site, http: httpx.Client, assistant: str, rows: psycopg.Connection) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    run = made(http.post("/threads/runs", json={"assistant_id": assistant}, headers={"traceparent": trace}))
    columns = "select ledger, traceparent, correlation_id, due_at is not null, fixed_expiry from counterfoil.runs"
    found = rows.execute(f"{columns} where id = %s", (run["id"],)).fetchone()
    assert found is not None
    assert (found[0], found[1], found[2][:5], found[3], found[4]) == ("enforce", trace, "corr_", True, False)
    rows.execute("insert into counterfoil.flags (name, value) values ('ledger', 'observe')")
    try:
        body = {"assistant_id": assistant, "expires_in_seconds": 60}
        run = made(http.post("/threads/runs", json=body, headers={"traceparent": "00-0-0-01"}))
        found = rows.execute(f"{columns} where id = %s", (run["id"],)).fetchone()
        assert found is not None
        assert (found[0], found[1], found[4]) == ("observe", None, True)
    finally:
        rows.execute("delete from counterfoil.flags")


def test_waiting_clients_slow_down_as_runs_grow(
    site: Site, http: httpx.Client, assistant: str, thread: str, rows: psycopg.Connection
) -> None:
    own = made(http.post(f"/threads/{thread}/runs", json={"assistant_id": assistant}))
    project = rows.execute("select project_id from counterfoil.runs where id = %s", (own["id"],)).fetchone()
    assert project is not None
    rows.execute(
        "insert into counterfoil.threads (id, project_id)"
        " select 'thread_many' || n, %s from generate_series(1, 2000) n",
        project,
    )
    rows.execute(
        "insert into counterfoil.runs (id, project_id, thread_id, assistant_id, correlation_id, model, expires_at,"
        " due_at) select 'run_many' || n, %s, 'thread_many' || n, 'asst_x', 'corr_x', 'scripted',"
        " now() + interval '1 hour', now()"
        " from generate_series(1, 2000) n",
        project,
    )
    time.sleep(1.1)  # as long as a count lasts
    path = f"/threads/{thread}/runs/{own['id']}"
    assert http.get(path).headers["openai-poll-after-ms"] == "2000"
    rows.execute(
        "update counterfoil.runs set status = 'cancelled', ended_at = now(), due_at = null where id like 'run_many%'"
    )
    time.sleep(1.1)
    assert int(http.get(path).headers["openai-poll-after-ms"]) == 250
