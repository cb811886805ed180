"""Outputs of calls: the client's, beside the server's, resubmitted, and wrong in every way."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import psycopg
import pytest

from tests.app.api.conftest import Ask, Site, made, refused


@pytest.fixture
def run(http: httpx.Client, assistant: str) -> str:
    """The path of a queued run."""
    shown = made(http.post("/threads/runs", json={"assistant_id": assistant}))
    return f"/threads/{shown['thread_id']}/runs/{shown['id']}"


def id_of(run: str) -> str:
    return run.rsplit("/", 1)[-1]


def outputs(**by_call: str | None) -> dict[str, object]:
    return {"tool_outputs": [{"tool_call_id": call, "output": output} for call, output in by_call.items()]}


def test_a_run_says_what_it_waits_for(http: httpx.Client, run: str, asking: Ask) -> None:
    asking(id_of(run), "call_b", "call_a")
    shown = made(http.get(run))
    assert shown["status"] == "requires_action"
    assert shown["required_action"] == {
        "type": "submit_tool_outputs",
        "submit_tool_outputs": {
            "tool_calls": [
                {"id": id, "type": "function", "function": {"name": "act", "arguments": f'{{"call":"{id}"}}'}}
                for id in ("call_b", "call_a")
            ]
        },
    }


def test_the_answer_has_left_requires_action(http: httpx.Client, run: str, asking: Ask) -> None:
    asking(id_of(run), "call_a", "call_b")
    shown = made(http.post(f"{run}/submit_tool_outputs", json=outputs(call_b="2", call_a=None)))
    assert (shown["status"], shown["required_action"]) == ("queued", None)
    [step] = made(http.get(f"{run}/steps"))["data"]
    assert step["status"] == "completed"
    assert step["completed_at"] is not None
    assert set(step["usage"]) == {"prompt_tokens", "completion_tokens", "total_tokens"}
    assert [call["function"] for call in step["step_details"]["tool_calls"]] == [
        {"name": "act", "arguments": '{"call":"call_a"}', "output": ""},
        {"name": "act", "arguments": '{"call":"call_b"}', "output": "2"},
    ]
    assert made(http.get(f"{run}/steps/{step['id']}")) == step


@pytest.mark.parametrize(
    ("submitted", "got"),
    [
        (["call_a"], "['call_a']"),
        ([], "[]"),
        (["call_b", "call_a", "call_c"], "['call_b', 'call_a', 'call_c']"),
        (["call_a", "call_a"], "['call_a', 'call_a']"),
        (["call_a", "call_a", "call_b"], "['call_a', 'call_a', 'call_b']"),
        (["call_a", "call_s"], "['call_a', 'call_s']"),
    ],
)
def test_a_wrong_set_changes_nothing(http: httpx.Client, run: str, asking: Ask, submitted: list[str], got: str) -> None:
    asking(id_of(run), "call_a", "call_s", "call_b", server=("call_s",))
    body = {"tool_outputs": [{"tool_call_id": call, "output": "x"} for call in submitted]}
    error = refused(http.post(f"{run}/submit_tool_outputs", json=body))
    assert error["message"] == f"Expected tool outputs for call_ids ['call_a', 'call_b'], got {got}"
    assert made(http.get(run))["status"] == "requires_action"
    made(http.post(f"{run}/submit_tool_outputs", json=outputs(call_a="", call_b="")))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_required_parameter"),
        ({"tool_outputs": None}, "missing_required_parameter"),
        ({"tool_outputs": {}}, "invalid_type"),
        ({"tool_outputs": [{"output": "x"}]}, "missing_required_parameter"),
        ({"tool_outputs": [{"tool_call_id": 1}]}, "invalid_type"),
        ({"tool_outputs": [{"tool_call_id": "call_a", "output": {"a": 1}}]}, "invalid_type"),
        (
            {"tool_outputs": [{"tool_call_id": "call_a", "output": "\u00e4" * (256 * 1024 + 1)}]},
            "string_above_max_length",
        ),
    ],
)
def test_wrong_bodies_name_tool_outputs(
    http: httpx.Client, run: str, asking: Ask, body: dict[str, object], code: str
) -> None:
    asking(id_of(run), "call_a")
    error = refused(http.post(f"{run}/submit_tool_outputs", json=body))
    assert (error["param"], error["code"]) == ("tool_outputs", code)
    made(http.post(f"{run}/submit_tool_outputs", json=outputs(call_a="x" * 512 * 1024)))


def test_a_run_that_does_not_wait_refuses(http: httpx.Client, run: str) -> None:
    error = refused(http.post(f"{run}/submit_tool_outputs", json=outputs(call_a="x")))
    assert error["message"] == 'Runs in status "queued" do not accept tool outputs.'
    made(http.post(f"{run}/cancel"))
    error = refused(http.post(f"{run}/submit_tool_outputs", json=outputs(call_a="x")))
    assert error["message"] == 'Runs in status "cancelled" do not accept tool outputs.'


def test_the_very_same_again_has_no_effect(http: httpx.Client, run: str, asking: Ask, rows: psycopg.Connection) -> None:
    asking(id_of(run), "call_a", "call_b")
    path = f"{run}/submit_tool_outputs"
    made(http.post(path, json=outputs(call_a="1", call_b="2")))
    wakes = "select wakes from counterfoil.runs where id = %s"
    before = rows.execute(wakes, (id_of(run),)).fetchone()
    assert made(http.post(path, json=outputs(call_b="2", call_a="1")))["status"] == "queued"
    assert rows.execute(wakes, (id_of(run),)).fetchone() == before
    other = refused(http.post(path, json=outputs(call_a="1", call_b="3")))
    assert other["message"] == 'Runs in status "queued" do not accept tool outputs.'
    refused(http.post(path, json=outputs(call_a="1")))

    asking(id_of(run), "call_c", round=1)
    assert made(http.post(path, json=outputs(call_a="1", call_b="2")))["status"] == "requires_action"
    error = refused(http.post(path, json=outputs(call_a="1", call_b="3")))
    assert error["message"] == "Expected tool outputs for call_ids ['call_c'], got ['call_a', 'call_b']"
    made(http.post(path, json=outputs(call_c="3")))
    made(http.post(f"{run}/cancel"))
    assert made(http.post(path, json=outputs(call_a="1", call_b="2")))["status"] == "cancelled"
    assert made(http.post(path, json=outputs(call_c="3")))["status"] == "cancelled"


def test_of_different_submits_at_once_one_is_accepted(site: Site, run: str, asking: Ask) -> None:
    asking(id_of(run), "call_a")
    together = threading.Barrier(8)

    def submit(number: int) -> httpx.Response:
        own = site.http()
        together.wait()
        return own.post(f"{run}/submit_tool_outputs", json=outputs(call_a=str(number % 2)))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(submit, range(8)))
    accepted = {number % 2 for number, answer in enumerate(answers) if answer.status_code == 200}
    assert len(accepted) == 1
    assert sum(answer.status_code == 200 for answer in answers) == 4
    for answer in answers:
        if answer.status_code != 200:
            assert refused(answer)["message"] == 'Runs in status "queued" do not accept tool outputs.'


def test_both_kinds_of_calls_in_one_batch(http: httpx.Client, run: str, asking: Ask, rows: psycopg.Connection) -> None:
    asking(id_of(run), "call_s", "call_c", server=("call_s",))
    waiting = made(http.get(run))["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert [call["id"] for call in waiting] == ["call_c"]
    shown = made(http.post(f"{run}/submit_tool_outputs", json=outputs(call_c="mine")))
    assert (shown["status"], shown["required_action"]) == ("in_progress", None)
    error = refused(http.post(f"{run}/submit_tool_outputs", json=outputs(call_s="x")))
    assert error["message"] == 'Runs in status "in_progress" do not accept tool outputs.'
    [step] = made(http.get(f"{run}/steps"))["data"]
    assert (step["status"], step["usage"], step["completed_at"]) == ("in_progress", None, None)
    assert [call["function"]["output"] for call in step["step_details"]["tool_calls"]] == [None, "mine"]


def test_calls_of_the_servers_alone_are_in_progress(http: httpx.Client, run: str, asking: Ask) -> None:
    asking(id_of(run), "call_s", server=("call_s",))
    shown = made(http.get(run))
    assert (shown["status"], shown["required_action"]) == ("in_progress", None)
    assert [one["status"] for one in made(http.get(run.rsplit("/", 1)[0]))["data"]] == ["in_progress"]


def test_cancelling_while_calls_are_open(http: httpx.Client, run: str, asking: Ask) -> None:
    asking(id_of(run), "call_a")
    shown = made(http.post(f"{run}/cancel"))
    assert (shown["status"], shown["required_action"]) == ("cancelled", None)
    [step] = made(http.get(f"{run}/steps"))["data"]
    assert (step["status"], step["cancelled_at"]) == ("cancelled", shown["cancelled_at"])
    assert step["step_details"]["tool_calls"][0]["function"]["output"] is None
