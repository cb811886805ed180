"""OTLP against a receiver that decodes it: one trace from the client through web and worker to the tool."""

import json
import os
import subprocess
import sys
import urllib.request
from typing import Any

from tests.support.agents import Agents
from tests.support.keys import new_key
from tests.support.ledger import asks, call, says
from tests.support.otlp import ReceivedSpan, Receiver
from tests.support.processes import ROOT, wait_until

CANARY = "canary-3f1b77"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENTS_SPAN = "00f067aa0ba902b7"


def ask(url: str, key: str, path: str, body: Any) -> Any:
    """POST to the agent API as a traced client does."""
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/json",
        "traceparent": f"00-{TRACE}-{CLIENTS_SPAN}-01",
    }
    request = urllib.request.Request(f"{url}/v1{path}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as reply:
        return json.load(reply)


def test_one_trace_from_the_client_to_the_tool_and_back(agents: Agents, receiver: Receiver) -> None:
    web = agents.processes.start_web(agents.dsn, WEB_CONCURRENCY=2, **receiver.environ())
    worker = agents.start_worker(**receiver.environ())
    key = new_key(agents.book.raw)
    assistant = ask(web.url, key, "/assistants", {"model": "scripted"})["id"]
    turns = [asks(call("create_ticket", title=CANARY)), says(CANARY)]
    message = {"role": "user", "content": json.dumps({"script": turns})}
    made = ask(web.url, key, "/threads/runs", {"assistant_id": assistant, "thread": {"messages": [message]}})
    agents.book.await_run(made["id"], "completed")
    [asked] = agents.book.calls(made["id"])
    [arrived] = agents.requests(made["id"])
    assert worker.stop() == 0
    assert web.stop() == 0
    mine = {span.name: span for span in receiver.spans if span.trace == TRACE}
    server = mine["POST /v1/threads/runs"]
    agent = mine[f"invoke_agent {assistant}"]
    tool = mine["execute_tool create_ticket"]
    chat = mine["chat scripted"]
    assert server.parent == CLIENTS_SPAN
    assert agent.parent == server.id
    assert agent.links, "to the claim"
    assert tool.parent == chat.parent == agent.id
    assert {server.service, agent.service} == {"counterfoil-web", "counterfoil-worker"}
    assert tool.attributes["gen_ai.tool.call.id"] == asked.tool_call_id
    assert tool.attributes["gen_ai.conversation.id"] == made["thread_id"]
    assert tool.attributes["counterfoil.effect.state"] == "delivered"
    assert tool.attributes["counterfoil.attempt"] == 1
    assert receiver.named("counterfoil.claim")
    traceparents = [v for k, v in dict(arrived.get("headers", {})).items() if k.lower() == "traceparent"]
    assert all(v == f"00-{TRACE}-{tool.id}-01" for v in traceparents)
    assert {"gen_ai.client.operation.duration"} <= receiver.metrics
    assert {"create_run", "dispatch_tool", "normalize_ok"} <= set(receiver.logs)
    assert not [raw for raw in receiver.raw if CANARY.encode() in raw]


def test_doubt_and_lookups_are_spans_too(agents: Agents, receiver: Receiver) -> None:
    agents.set_faults("late=1.5*1")
    worker = agents.start_worker(**receiver.environ())
    run = agents.book.new_run(asks(call("create_ticket", title=CANARY)), says())
    agents.book.await_run(run, "completed")
    assert worker.stop() == 0

    def failed(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
        return [span for span in spans if span.failed]

    [doubtful] = failed(receiver.named("execute_tool"))
    assert doubtful.attributes["error.type"] == "unknown"
    assert receiver.named("counterfoil.reconcile")


def test_a_receiver_that_is_away_costs_nothing_but_its_telemetry(agents: Agents) -> None:
    agents.start_worker(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_EXPORTER_OTLP_TIMEOUT=1)
    run = agents.book.new_run(asks(call("create_ticket", title="T")), says())
    agents.book.await_run(run, "completed")
    wait_until(lambda: agents.book.run(run).due_at is None)


def test_nothing_is_imported_where_nothing_is_asked_for() -> None:
    code = (
        "import sys; from app import telemetry; telemetry.configure('x')\n"
        "with telemetry.span('a', {}) as span: span.set(a=1)\n"
        "assert telemetry.current_traceparent() is None and not telemetry.enabled()\n"
        "print(sorted(name for name in sys.modules if name.startswith('opentelemetry')))"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    off = {**clean, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}
    for environ in (clean, off):
        command = [sys.executable, "-c", code]
        run = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)
        assert run.stdout == "[]\n"
