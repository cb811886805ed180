"""No payload outside `payloads`: words are sent along every path, and searched for wherever else text lies."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.support.agents import Agents
from tests.support.keys import new_key
from tests.support.ledger import asks, call, says
from tests.support.otlp import Receiver
from tests.support.processes import WebProcess, wait_until

# Each path has its own word, so that a leak names its path.
WORDS = (
    *("argument", "output", "message", "toolerror", "toolheader", "brokenstatus", "brokenchunk", "badjson"),
    *("notfound", "redirect", "operator", "badinput", "madeup", "modelerror"),
)
CANARIES = {word: f"canary-{word}-7d1e" for word in WORDS}
TABLES = {
    "run_events": "event || coalesce(object_id, '') || data::text",
    "audit": "coalesce(object, '') || seen::text",
    "evidence": "coalesce(reason, '') || says || coalesce(external_id, '')",
    "attempts": "coalesce(reason, '') || coalesce(external_id, '')",
    "steps": "id || status",
    "tallies": "name || labels",
}
RAW = {
    "/broken": b"HTTP/1.1 2x0 canary-brokenstatus-7d1e\r\n\r\n",
    "/chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ncanary-brokenchunk-7d1e\r\n",
    "/header": b"HTTP/1.1 200 OK\r\ncanary-toolheader-7d1e\x00\r\n\r\n",
}


class Hostile(BaseHTTPRequestHandler):
    """A tool whose every reply has a word in it."""

    def do_GET(self) -> None:
        self.reply()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.reply()

    def reply(self) -> None:
        path = self.path.partition("?")[0]
        if path in RAW:
            self.wfile.write(RAW[path])
            self.close_connection = True
            return
        status, body = {
            "/error": (500, CANARIES["toolerror"]),
            "/refused": (404, CANARIES["notfound"]),
            "/text": (200, CANARIES["badjson"]),
            "/moved": (302, ""),
            "/v1/chat/completions": (400, json.dumps({"error": {"message": CANARIES["modelerror"]}})),
        }.get(path, (200, json.dumps({"said": CANARIES["output"]})))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Location", f"/{CANARIES['redirect']}")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_args: Any) -> None:
        """Says nothing."""


@pytest.fixture
def hostile() -> Iterator[str]:
    """The hostile tool's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def catalog(url: str) -> str:
    """One tool for each way to fail, by GET and by POST, and a model that fails."""
    lines = ['[models."broken"]', 'provider = "chat"', f'base_url = "{url}/v1"', 'api_key = "none"', "max_attempts = 1"]
    for name in ("fine", "error", "refused", "text", "moved", "broken", "chunk", "header"):
        for method in ("GET", "POST"):
            lines += [f"[tools.{name}_{method.lower()}]", f'url = "{url}/{name}"', f'method = "{method}"']
            lines += ['repeat = "never"', "timeout_s = 2", "settle_s = 0.1"]
    lines += ["[tools.strict]", f'url = "{url}/fine"', 'repeat = "never"', "[tools.strict.parameters]"]
    lines += ['type = "object"', 'required = ["n"]', 'properties.n = { type = "integer" }']
    lines += ["[tools.away_get]", 'url = "http://127.0.0.1:9/x"', 'method = "GET"', 'repeat = "safe"']
    lines += ["max_attempts = 1"]
    return "\n".join(lines) + "\n"


def request(web: WebProcess, key: str, path: str, body: bytes | None, **headers: str) -> tuple[int, str]:
    """One request as it stands, well formed or not."""
    asked = urllib.request.Request(web.url + path, body, {"Authorization": f"Bearer {key}", **headers})
    try:
        with urllib.request.urlopen(asked, timeout=30) as reply:
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def send_badly(web: WebProcess, key: str) -> None:
    """Input that is wrong in many ways; none may come to more than an answer to its sender."""
    word, sent = CANARIES["badinput"], {"Content-Type": "application/json"}
    for path, body in [
        ("/v1/threads", f'{{"{word}": '.encode()),
        ("/v1/threads", json.dumps({word: word, "metadata": {word: [word]}}).encode()),
        ("/v1/threads", f'{{"metadata": {{"a": "\\u0000{word}\\ud800"}}}}'.encode()),
        (f"/v1/threads/{word}/runs", b"{}"),
        (f"/v1/threads/thread_x/runs/{word}/submit_tool_outputs", json.dumps({"tool_outputs": word}).encode()),
        (f"/{word}", None),
        (f"/v1/assistants?after={word}%00&limit={word}", None),
        (f"/v1/tool_events?{word}", word.encode()),
        (f"/console/{word}", None),
    ]:
        status, _ = request(web, key, path, body, **sent)
        assert status != 500, path
    for header in ("traceparent", "Idempotency-Key", "OpenAI-Beta", "x-stainless-retry-count"):
        request(web, key, "/v1/threads", b"{}", **sent, **{header: word})
    request(web, word, "/v1/assistants", None)


def test_no_word_of_a_payload_leaves_its_table(agents: Agents, hostile: str, receiver: Receiver) -> None:
    (agents.folder / "counterfoil.toml").write_text(catalog(hostile))
    worker = agents.start_worker(**receiver.environ())
    web = agents.processes.start_web(agents.dsn, **receiver.environ())
    key = new_key(agents.book.raw)
    tools = [
        f"{name}_{method}"
        for name in ("fine", "error", "refused", "text", "moved", "broken", "chunk", "header")
        for method in ("get", "post")
    ]
    named = [call(tool, a=CANARIES["argument"]) for tool in [*tools, "away_get"]]
    wrong = call("strict", n=CANARIES["argument"])
    runs = [agents.book.new_run(asks(one), says(CANARIES["message"])) for one in [*named, wrong]]
    runs.append(agents.book.new_run(asks(call(f"{CANARIES['madeup']}", a=1)), says()))
    doubtful = runs[2]
    for run in runs:
        agents.book.await_that(lambda run=run: waits_or_ended(agents, run), run)
    thread = json.loads(request(web, key, "/v1/threads", b"{}", **{"Content-Type": "application/json"})[1])["id"]
    assistant = json.dumps({"model": "broken", "instructions": CANARIES["message"]}).encode()
    made = request(web, key, "/v1/assistants", assistant, **{"Content-Type": "application/json"})
    asked = json.dumps({"assistant_id": json.loads(made[1])["id"]}).encode()
    failed = json.loads(
        request(web, key, f"/v1/threads/{thread}/runs", asked, **{"Content-Type": "application/json"})[1]
    )
    agents.book.await_run(failed["id"], "failed")
    [row] = agents.book.calls(doubtful)
    word = json.dumps({"said": CANARIES["operator"]})
    said = ("--verdict", "happened", "--reason", "seen", "--output", word)

    def resolve() -> str | None:
        command = ("calls", "resolve", doubtful, row.tool_call_id, *said)
        done = agents.processes.counterfoil(*command, DATABASE_URL=agents.dsn)
        return (done.stdout + done.stderr) if done.returncode == 0 else None

    resolved = wait_until(resolve, what="an operator's word: no request may be under way")
    assert resolved is not None
    agents.book.await_run(doubtful, "completed")
    send_badly(web, key)
    shown = request(web, key, "/metrics", None)[1]
    assert worker.stop() == 0
    assert web.stop() == 0
    places = {
        "worker's log": worker.log_text(),
        "web's log": web.log_text(),
        "/metrics": shown,
        "OTLP": b"".join(receiver.raw).decode("latin-1"),
        "operator's command": resolved,
    }
    for table, text in TABLES.items():
        rows = agents.book.raw.execute(f"select {text} from counterfoil.{table}").fetchall()
        places[table] = "\n".join(str(found) for (found,) in rows)
    assert all(places.values()), "each place has something in it"
    leaks = {(place, word) for place, text in places.items() for word in WORDS if CANARIES[word] in text}
    assert not leaks


def waits_or_ended(agents: Agents, run: str) -> bool:
    """Whether nothing more happens to the run by itself."""
    asked = agents.book.calls(run)
    at_rest = asked and asked[0].state in ("needs_operator", "succeeded", "failed", "pending")
    return agents.book.run(run).ended_at is not None or bool(at_rest)
