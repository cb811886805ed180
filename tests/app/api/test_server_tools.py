"""Tools that the server executes, alone and beside the client's in one batch, with the sandbox as outside world."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from tests.app.api.conftest import Site, made, refused
from tests.support.processes import wait_until
from tests.support.sandbox_process import SandboxProcess, start_sandbox

ENDED = {"completed", "failed", "incomplete", "cancelled", "expired"}
TICKET = {"name": "create_ticket", "arguments": {"title": "Printer on fire"}}


@pytest.fixture(scope="module")
def sandbox(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """The outside world, and a worker that knows its tools."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        site.processes.start_worker(
            site.dsn, SANDBOX_URL=running.url, COUNTERFOIL_CONFIG="counterfoil.toml", POLL_S=0.2
        )
        yield running


def start(http: httpx.Client, assistant: str, *entries: dict[str, Any]) -> str:
    """The path of a run that plays a script."""
    message = {"role": "user", "content": json.dumps({"script": entries})}
    body = {
        "assistant_id": assistant,
        "thread": {"messages": [message]},
        "tools": [{"type": "function", "function": {"name": "ask_human"}}],
    }
    run = made(http.post("/threads/runs", json=body))
    assert run["tools"] == body["tools"]
    return f"/threads/{run['thread_id']}/runs/{run['id']}"


def until(http: httpx.Client, run: str, *statuses: str) -> dict[str, Any]:
    """The run, once it has one of the statuses; no other than active ones may show before."""

    def shown() -> dict[str, Any] | None:
        found = made(http.get(run))
        assert found["status"] in {*statuses, "queued", "in_progress"}, found
        return found if found["status"] in statuses else None

    answer = wait_until(shown, what=f"{statuses} of {run}")
    assert answer is not None
    return answer


def last_text(http: httpx.Client, run: str) -> str:
    newest = made(http.get(f"{run.split('/runs/', maxsplit=1)[0]}/messages?limit=1"))["data"][0]
    return str(newest["content"][0]["text"]["value"])


@pytest.mark.parametrize("ends", ["cancelled", "expired"])
def test_what_comes_after_the_end_changes_no_step(
    http: httpx.Client, assistant: str, sandbox: SandboxProcess, rows: psycopg.Connection, ends: str
) -> None:
    sandbox.post("/faults", {"spec": "create_ticket:latency=2*1"})
    run = start(http, assistant, {"tool_calls": [TICKET]}, {"say": "never"})
    id = run.rpartition("/")[2]
    state = "select state from counterfoil.tool_calls where run_id = %s"
    wait_until(lambda: rows.execute(state, (id,)).fetchone() == ("intended",), what="the request")
    if ends == "cancelled":
        made(http.post(f"{run}/cancel"))
    else:
        rows.execute("update counterfoil.runs set expires_at = counterfoil.db_now() where id = %s", (id,))
        assert made(http.get(run))["status"] == "expired"
    steps = made(http.get(f"{run}/steps"))
    assert steps["data"][0]["step_details"]["tool_calls"][0]["function"]["output"] is None
    wait_until(lambda: rows.execute(state, (id,)).fetchone() == ("succeeded",), what="the late answer")
    assert made(http.get(f"{run}/steps")) == steps


def test_a_question_that_was_deleted_is_still_the_runs(
    http: httpx.Client, assistant: str, sandbox: SandboxProcess
) -> None:
    run = start(http, assistant, {"tool_calls": [{"name": "ask_human"}]}, {"say": "{{message_count}} left"})
    waiting = until(http, run, "requires_action")
    thread = run.split("/runs/", maxsplit=1)[0]
    [question] = made(http.get(f"{thread}/messages"))["data"]
    made(http.delete(f"{thread}/messages/{question['id']}"))
    [call] = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    made(http.post(f"{run}/submit_tool_outputs", json={"tool_outputs": [{"tool_call_id": call["id"], "output": "x"}]}))
    until(http, run, "completed")
    assert last_text(http, run) == "0 left"


def test_calls_of_the_servers_need_no_client(http: httpx.Client, assistant: str, sandbox: SandboxProcess) -> None:
    run = start(http, assistant, {"tool_calls": [TICKET]}, {"say": "{{outputs.0}}"})
    until(http, run, "completed")
    told = json.loads(last_text(http, run))
    assert [row["ticket_id"] for row in sandbox.get("/audit/tickets") if row["ticket_id"] == told["ticket_id"]]
    [step] = [one for one in made(http.get(f"{run}/steps"))["data"] if one["type"] == "tool_calls"]
    [call] = step["step_details"]["tool_calls"]
    assert (step["status"], call["function"]["name"]) == ("completed", "create_ticket")
    assert json.loads(call["function"]["output"]) == told
    assert json.loads(call["function"]["arguments"]) == TICKET["arguments"]


def test_both_kinds_in_one_batch(http: httpx.Client, assistant: str, sandbox: SandboxProcess) -> None:
    both = {"tool_calls": [TICKET, {"name": "ask_human"}, {"name": "get_ticket", "arguments": {"ticket_id": "no"}}]}
    run = start(http, assistant, both, {"say": "{{outputs}}"})
    waiting = until(http, run, "requires_action")
    [open_call] = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert open_call["function"] == {"name": "ask_human", "arguments": "{}"}
    [step] = made(http.get(f"{run}/steps"))["data"]
    names = [call["function"]["name"] for call in step["step_details"]["tool_calls"]]
    assert names == ["create_ticket", "ask_human", "get_ticket"]
    server_call = step["step_details"]["tool_calls"][0]["id"]
    wrong = {"tool_outputs": [{"tool_call_id": server_call, "output": "mine"}]}
    error = refused(http.post(f"{run}/submit_tool_outputs", json=wrong))
    assert error["message"] == f"Expected tool outputs for call_ids ['{open_call['id']}'], got ['{server_call}']"
    right = {"tool_outputs": [{"tool_call_id": open_call["id"], "output": "a person says yes"}]}
    answered = made(http.post(f"{run}/submit_tool_outputs", json=right))
    assert answered["status"] in {"queued", "in_progress"}
    assert answered["required_action"] is None
    until(http, run, "completed")
    ticket, human, _missing = json.loads(last_text(http, run))
    assert human == "a person says yes"
    assert json.loads(ticket)["ticket_id"]


def test_a_slow_server_call_shows_as_in_progress(http: httpx.Client, assistant: str, sandbox: SandboxProcess) -> None:
    sandbox.post("/faults", {"spec": "create_ticket:latency=3*1"})
    run = start(http, assistant, {"tool_calls": [TICKET, {"name": "ask_human"}]}, {"say": "done"})
    waiting = until(http, run, "requires_action")
    [open_call] = waiting["required_action"]["submit_tool_outputs"]["tool_calls"]
    body = {"tool_outputs": [{"tool_call_id": open_call["id"], "output": "quick"}]}
    answered = made(http.post(f"{run}/submit_tool_outputs", json=body))
    assert answered["status"] == "in_progress"
    until(http, run, *ENDED)
