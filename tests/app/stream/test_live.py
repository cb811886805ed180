"""Streams over plain HTTP from a live server with a worker and the sandbox's tools, row by row of the contract."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest

from tests.app.api.conftest import Ask, Site, made, refused
from tests.app.stream.conftest import Stream
from tests.support.processes import wait_until
from tests.support.sandbox_process import SandboxProcess
from tests.support.streams import Event, checked, names, parsed

pytestmark = pytest.mark.usefixtures("sandbox")
Body = Callable[..., dict[str, Any]]

OPENING = ["thread.created", "thread.run.created", "thread.run.queued", "thread.run.in_progress"]
AGAIN = ["thread.run.queued", "thread.run.in_progress"]
MESSAGE = [
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
    "thread.message.completed",
    "thread.run.step.completed",
]
CALLS = ["thread.run.step.created", "thread.run.step.in_progress", "thread.run.step.delta"]
ANSWERED = "thread.run.step.completed"
HUMAN = {"name": "ask_human", "arguments": {"question": "Ümläut \U0001f600?" * 20}}
TICKET = {"name": "create_ticket", "arguments": {"title": "Printer on fire"}}


def ending(word: str) -> list[str]:
    return [f"thread.run.{word}", "done"]


def run_of(events: list[Event]) -> str:
    run = next(data for name, data in events if name == "thread.run.created")
    return f"/threads/{run['thread_id']}/runs/{run['id']}"


def answer_of(events: list[Event], *outputs: str) -> dict[str, Any]:
    """The body that answers the calls which a stream ended with."""
    asked = events[-2][1]["required_action"]["submit_tool_outputs"]["tool_calls"]
    answers = [{"tool_call_id": c["id"], "output": o} for c, o in zip(asked, outputs, strict=True)]
    return {"tool_outputs": answers, "stream": True}


def test_a_message(stream: Stream, body: Body) -> None:
    text = "line\nsep\u2028\u0085\x0b\x1c ☃\U0001f600 " * 9
    events = stream("/threads/runs", body({"say": text, "chunk_ms": 20}))
    assert names(events) == [*OPENING, *MESSAGE, *ending("completed")]
    assert len([1 for name, _ in events if name == "thread.message.delta"]) > 1
    assert events[-2][1]["usage"]["total_tokens"] > 0


def test_an_empty_text_has_one_delta(stream: Stream, body: Body) -> None:
    events = stream("/threads/runs", body({"say": "{{instructions}}"}))
    assert names(events) == [*OPENING, *MESSAGE, *ending("completed")]


def test_a_run_on_a_thread_has_no_thread_created(stream: Stream, http: httpx.Client, assistant: str) -> None:
    thread = made(http.post("/threads", json={"messages": [{"role": "user", "content": "hello"}]}))["id"]
    events = stream(f"/threads/{thread}/runs", {"assistant_id": assistant, "stream": True})
    assert names(events) == [*OPENING[1:], *MESSAGE, *ending("completed")]


def test_calls_of_the_clients_and_their_answers(stream: Stream, body: Body) -> None:
    """Two rounds: the first also speaks, its calls have long arguments and none."""
    entry = {"say": "let me ask", "tool_calls": [HUMAN, {"name": "ask_human"}]}
    events = stream("/threads/runs", body(entry, {"tool_calls": [HUMAN]}, {"say": "{{all_outputs}}"}))
    assert names(events) == [*OPENING, *MESSAGE, *CALLS, *ending("requires_action")]
    deltas = [data for name, data in events if name == "thread.run.step.delta"]
    assert len(deltas) >= 4
    path = f"{run_of(events)}/submit_tool_outputs"
    second = stream(path, answer_of(events, "a", "b"))
    assert names(second) == [ANSWERED, *AGAIN, *CALLS, *ending("requires_action")]
    outputs = [call["function"]["output"] for call in second[0][1]["step_details"]["tool_calls"]]
    assert outputs == ["a", "b"]
    third = stream(path, answer_of(second, "c"))
    assert names(third) == [ANSWERED, *AGAIN, *MESSAGE, *ending("completed")]
    assert stream(path, answer_of(events, "a", "b")) == second, "the same outputs again tell the same"


def test_a_batch_of_the_servers_goes_on_in_the_same_stream(stream: Stream, body: Body) -> None:
    events = stream("/threads/runs", body({"tool_calls": [TICKET]}, {"say": "{{outputs.0}}"}))
    assert names(events) == [*OPENING, *CALLS, ANSWERED, *MESSAGE, *ending("completed")]
    [step] = [data for name, data in events if name == ANSWERED and data["type"] == "tool_calls"]
    assert json.loads(step["step_details"]["tool_calls"][0]["function"]["output"])["ticket_id"]


@pytest.mark.parametrize("slow", [False, True])
def test_a_batch_of_both_kinds(
    stream: Stream, body: Body, sandbox: SandboxProcess, http: httpx.Client, slow: bool
) -> None:
    """The stream does not wait for the server's calls; the step completes before or after the run goes on."""
    sandbox.post("/faults", {"spec": "create_ticket:latency=2" if slow else "none"})
    events = stream("/threads/runs", body({"tool_calls": [TICKET, HUMAN]}, {"say": "{{outputs.1}}"}))
    assert names(events) == [*OPENING, *CALLS, *ending("requires_action")]
    assert len(events[-2][1]["required_action"]["submit_tool_outputs"]["tool_calls"]) == 1
    if not slow:
        wait_until(lambda: ticket_is_there(http, events), what="the ticket")
    second = stream(f"{run_of(events)}/submit_tool_outputs", answer_of(events, "yes"))
    start = [*AGAIN, ANSWERED] if slow else [ANSWERED, *AGAIN]
    assert names(second) == [*start, *MESSAGE, *ending("completed")]
    sandbox.post("/faults", {"spec": "none"})


def ticket_is_there(http: httpx.Client, events: list[Event]) -> bool:
    [step] = made(http.get(f"{run_of(events)}/steps"))["data"]
    return step["step_details"]["tool_calls"][0]["function"]["output"] is not None


def test_failure_with_and_without_a_text(stream: Stream, body: Body) -> None:
    events = stream("/threads/runs", body({"fail": {"code": "rate_limit_exceeded", "message": "no"}}))
    assert names(events) == [*OPENING, *ending("failed")]
    assert events[-2][1]["last_error"] == {"code": "rate_limit_exceeded", "message": "no"}
    events = stream("/threads/runs", body({"say": "half", "fail": {}}))
    spoken = [*MESSAGE[:5], "thread.message.incomplete", "thread.run.step.failed"]
    assert names(events) == [*OPENING, *spoken, *ending("failed")]


def test_failure_after_outputs_is_in_progress_first(stream: Stream, body: Body) -> None:
    events = stream("/threads/runs", body({"tool_calls": [HUMAN]}, {"fail": {}}))
    second = stream(f"{run_of(events)}/submit_tool_outputs", answer_of(events, "x"))
    assert names(second) == [ANSWERED, *AGAIN, *ending("failed")]


def test_the_token_limit(stream: Stream, body: Body) -> None:
    events = stream("/threads/runs", body({"say": "cut", "incomplete": "max_completion_tokens"}))
    spoken = [*MESSAGE[:5], "thread.message.incomplete", "thread.run.step.completed"]
    assert names(events) == [*OPENING, *spoken, *ending("incomplete")]


def test_expiry_before_and_while_the_model_speaks(stream: Stream, body: Body) -> None:
    events = stream("/threads/runs", body({"say": "never", "delay_ms": 60000}, expires_in_seconds=1))
    assert names(events) == [*OPENING, *ending("expired")]
    events = stream("/threads/runs", body({"say": "slow " * 200, "chunk_ms": 300}, expires_in_seconds=1))
    spoken = [*MESSAGE[:5], "thread.message.incomplete", "thread.run.step.expired"]
    assert names(events) == [*OPENING, *spoken, *ending("expired")]


class Following:
    """A stream that is read in the background, so that something else can be done meanwhile."""

    def __init__(self, site: Site, path: str, content: dict[str, Any], **headers: str) -> None:
        self.text = ""
        self.over = False
        self.client = site.http()
        self.thread = threading.Thread(target=self._read, args=(path, content, headers), daemon=True)
        self.thread.start()

    def _read(self, path: str, content: dict[str, Any], headers: dict[str, str]) -> None:
        with self.client.stream("POST", path, json=content, headers=headers) as answer:
            for piece in answer.iter_text():
                self.text += piece
        self.over = True

    def await_event(self, name: str) -> list[Event]:
        """The events so far, once one of this name has come."""
        wait_until(lambda: f"event: {name}\n" in self.text, what=name)
        return parsed(self.text[: self.text.rindex("\n\n") + 2])

    def end(self) -> list[Event]:
        """All events."""
        wait_until(lambda: self.over, what="the stream's end")
        return checked(self.text)


def test_cancel_from_elsewhere(site: Site, http: httpx.Client, body: Body) -> None:
    following = Following(site, "/threads/runs", body({"say": "slow " * 300, "chunk_ms": 300}))
    run = run_of(following.await_event("thread.message.delta"))
    made(http.post(f"{run}/cancel"))
    spoken = [*MESSAGE[:5], "thread.message.incomplete", "thread.run.step.cancelled"]
    assert names(following.end()) == [*OPENING, *spoken, *ending("cancelled")]


def test_cancel_while_the_servers_call_is_under_way(
    site: Site, http: httpx.Client, body: Body, sandbox: SandboxProcess
) -> None:
    sandbox.post("/faults", {"spec": "create_ticket:latency=3"})
    following = Following(site, "/threads/runs", body({"tool_calls": [TICKET]}))
    made(http.post(f"{run_of(following.await_event('thread.run.step.delta'))}/cancel"))
    assert names(following.end()) == [*OPENING, *CALLS, "thread.run.step.cancelled", *ending("cancelled")]
    both = Following(site, "/threads/runs", body({"tool_calls": [TICKET, HUMAN]})).end()
    answered = Following(site, f"{run_of(both)}/submit_tool_outputs", answer_of(both, "yes"))
    answered.await_event("thread.run.in_progress")
    made(http.post(f"{run_of(both)}/cancel"))
    assert names(answered.end()) == [*AGAIN, "thread.run.step.cancelled", *ending("cancelled")]
    sandbox.post("/faults", {"spec": "none"})


def test_a_deleted_thread_ends_its_stream(site: Site, http: httpx.Client, body: Body) -> None:
    following = Following(site, "/threads/runs", body({"say": "never", "delay_ms": 60000}))
    run = run_of(following.await_event("thread.run.in_progress"))
    made(http.request("DELETE", run.split("/runs/")[0]))
    assert names(following.end()) == [*OPENING, *ending("cancelled")]


def test_a_client_that_leaves_changes_nothing(site: Site, http: httpx.Client, body: Body) -> None:
    with site.http().stream("POST", "/threads/runs", json=body({"say": "go on", "delay_ms": 300})) as answer:
        text = next(answer.iter_text())
    run = run_of(parsed(text[: text.rindex("\n\n") + 2]))
    wait_until(lambda: made(http.get(run))["status"] == "completed", what="the run's end")


# Coming again ---------------------------------------------------------------------------------------


def untimed(events: list[Event]) -> list[Event]:
    """Without deltas, which are cut as they were when the stream was read."""
    return [(name, data) for name, data in events if not name.endswith("delta")]


@pytest.mark.parametrize(
    ("first", "again"),
    [
        ({"Idempotency-Key": "a streamed run"}, {"Idempotency-Key": "a streamed run"}),
        ({}, {"x-stainless-retry-count": "1"}),
    ],
)
def test_a_resent_request_joins_the_stream_and_replays_it(
    site: Site, stream: Stream, body: Body, first: dict[str, str], again: dict[str, str]
) -> None:
    """Joined while the model speaks, and replayed after the end: the same events from the first on."""
    content = body({"say": "one two three " * 40, "chunk_ms": 25}, metadata={"case": str(first)})
    one = Following(site, "/threads/runs", content, **first)
    one.await_event("thread.message.delta")
    two = Following(site, "/threads/runs", content, **again)
    events = one.end()
    assert names(events) == [*OPENING, *MESSAGE, *ending("completed")]
    assert two.end() == events
    count = {"x-stainless-retry-count": "2"} if not first else {}
    assert stream("/threads/runs", content, **{**again, **count}) == events


def test_a_replay_by_key_says_so_and_no_character_ends_a_line(http: httpx.Client, body: Body, stream: Stream) -> None:
    content = body({"say": "one\u2028two\u2029three\x85four"})
    events = stream("/threads/runs", content, **{"Idempotency-Key": "a replayed stream"})
    with http.stream("POST", "/threads/runs", json=content, headers={"Idempotency-Key": "a replayed stream"}) as again:
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["content-type"] == "text/event-stream"
        lines = [line for line in again.iter_lines() if line]
    assert all(line.startswith(("event: ", "data: ")) for line in lines)
    assert len(lines) == 2 * len(events)


def test_a_message_that_nobody_writes_any_more_is_incomplete(
    http: httpx.Client, body: Body, rows: psycopg.Connection, stream: Stream
) -> None:
    """Its run's time is up, and only the messages are looked at."""
    run = made(http.post("/threads/runs", json={**body({"say": "x" * 600, "chunk_ms": 400}), "stream": False}))
    messages = f"/threads/{run['thread_id']}/messages"
    wait_until(lambda: made(http.get(f"{messages}?limit=1"))["data"][0]["role"] == "assistant", what="the first words")
    rows.execute("update counterfoil.runs set expires_at = counterfoil.db_now() where id = %s", (run["id"],))
    assert made(http.get(f"{messages}?limit=1"))["data"][0]["status"] == "incomplete"


def test_a_replay_tells_what_the_first_stream_told_though_the_run_went_on(stream: Stream, body: Body) -> None:
    content = body({"tool_calls": [HUMAN]}, {"say": "bye"}, metadata={"case": "replay of a stream that waited"})
    events = stream("/threads/runs", content)
    stream(f"{run_of(events)}/submit_tool_outputs", answer_of(events, "x"))
    again = stream("/threads/runs", content, **{"x-stainless-retry-count": "1"})
    assert [name for name, _ in again] == [name for name, _ in events]
    assert again[-2][1]["required_action"] == events[-2][1]["required_action"]


def test_a_replay_of_a_run_that_was_cancelled_asks_for_no_outputs(
    stream: Stream, http: httpx.Client, body: Body
) -> None:
    content = body({"tool_calls": [HUMAN]}, metadata={"case": "cancelled while it waited"})
    run = run_of(stream("/threads/runs", content))
    made(http.post(f"{run}/cancel"))
    again = stream("/threads/runs", content, **{"x-stainless-retry-count": "1"})
    assert names(again) == [*OPENING, *CALLS, "thread.run.step.cancelled", *ending("cancelled")]


# Errors ---------------------------------------------------------------------------------------------


def test_errors_before_the_first_event_are_plain(http: httpx.Client, body: Body) -> None:
    refused(http.post("/threads/thread_0/runs", json=body({"say": "x"})), 404)
    refused(http.post("/threads/runs", json=body() | {"assistant_id": "asst_0"}), 404)
    refused(http.post("/threads/runs", json=body() | {"metadata": 3}))
    run = made(http.post("/threads/runs", json=body({"say": "late", "delay_ms": 60000}) | {"stream": False}))
    path = f"/threads/{run['thread_id']}/runs"
    assert "already has an active run" in refused(http.post(path, json=body({"say": "x"})))["message"]
    outputs = {"tool_outputs": [{"tool_call_id": "call_0", "output": ""}], "stream": True}
    refused(http.post(f"{path}/{run['id']}/submit_tool_outputs", json=outputs))
    made(http.post(f"{path}/{run['id']}/cancel"))


# Without a worker -----------------------------------------------------------------------------------


@pytest.fixture
def idle(module_database: str, site: Site) -> Iterator[None]:
    """No worker works meanwhile."""
    workers = [process for process in site.processes.started if process.log.name.startswith("worker")]
    for process in workers:
        process.stall()
    yield
    for process in workers:
        process.resume()


@pytest.mark.usefixtures("idle")
def test_the_first_event_needs_no_worker_and_silence_is_pinged(site: Site, http: httpx.Client, body: Body) -> None:
    began = time.monotonic()
    following = Following(site, "/threads/runs", body({"say": "x"}))
    run = run_of(following.await_event("thread.run.queued"))
    assert time.monotonic() - began < 10, "far less; machines under load"
    wait_until(lambda: following.text.endswith(": ping\n\n"), what="a ping")
    made(http.post(f"{run}/cancel"))
    assert names(following.end()) == [*OPENING[:3], *ending("cancelled")]


@pytest.mark.usefixtures("idle")
def test_outputs_submitted_while_no_worker_is_there(
    stream: Stream, http: httpx.Client, body: Body, site: Site, asking: Ask, rows: psycopg.Connection
) -> None:
    """Replaces the time when streams were refused: the answer is a stream whose first event is the step."""
    run = made(http.post("/threads/runs", json=body({"say": "x"}) | {"stream": False}))
    asking(run["id"], "call_a")
    outputs = {"tool_outputs": [{"tool_call_id": "call_a", "output": "done"}], "stream": True}
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    following = Following(site, f"{path}/submit_tool_outputs", outputs)
    following.await_event("thread.run.queued")
    made(http.post(f"{path}/cancel"))
    assert names(following.end()) == [ANSWERED, "thread.run.queued", *ending("cancelled")]


def test_a_process_that_is_told_to_stop_ends_its_streams(site: Site, body: Body) -> None:
    """Clients raise the error, where they would take a stream that just ends for one that is complete."""
    web = site.processes.start_web(site.dsn, DRAIN_S=4)
    client = site.http()
    client.base_url = httpx.URL(f"{web.url}/v1")
    with client.stream("POST", "/threads/runs", json=body({"say": "never", "delay_ms": 60000})) as answer:
        pieces = answer.iter_text()
        text = next(pieces)
        web.terminate()
        text += "".join(pieces)
    events = parsed(text)
    assert [name for name, _ in events[-2:]] == ["error", "done"]
    assert web.wait() == 0


def test_another_process_joins_and_replays_a_stream(site: Site, body: Body) -> None:
    content = body({"say": "one two three " * 30, "chunk_ms": 40})
    key = {"Idempotency-Key": "by two processes"}
    one = Following(site, "/threads/runs", content, **key)
    one.await_event("thread.message.delta")
    other = site.processes.start_web(site.dsn)
    elsewhere = replace(site, url=other.url)
    two = Following(elsewhere, "/threads/runs", content, **key)
    events = one.end()
    assert two.end() == events
    assert Following(elsewhere, "/threads/runs", content, **key).end() == events
    other.stop()


def test_streams_outlive_their_database_connections(site: Site, body: Body, rows: psycopg.Connection) -> None:
    """All of the web's sessions are ended now and then: no event is lost or told twice."""
    following = [Following(site, "/threads/runs", body({"say": "word " * 200, "chunk_ms": 120})) for _ in range(3)]
    for one in following:
        one.await_event("thread.run.created")  # a POST whose session is ended may well be refused
    ended = 0
    while open_ones := [one for one in following if not one.over]:
        ended += rows.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and application_name = 'counterfoil web'"
        ).rowcount
        open_ones[0].thread.join(1.5)  # a pause: without one nobody could ever connect
    assert ended > 2
    for one in following:
        events = one.end()
        assert events[-2][0] == "thread.run.completed"
        finished = [data for name, data in events if name == "thread.message.completed"]
        assert finished[0]["content"][0]["text"]["value"] == "word " * 200
