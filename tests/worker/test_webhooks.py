"""Somebody is told: signed, at least once, again after a failure, and only where there is a subscription."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg
import pytest
from standardwebhooks import Webhook

from sql.execute import execute
from sql.webhooks import insert_subscription, insert_test
from tests.support import situations
from tests.support.processes import Processes, wait_until

situation = situations.situation
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
EVENTS = ("call.needs_operator", "call.conflict", "run.ended")


class Receiver(ThreadingHTTPServer):
    """A subscriber on the loopback that answers with `statuses` in turn, then 204."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.statuses: list[int] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server_address[1]}/told"


class Handler(BaseHTTPRequestHandler):
    """Keeps what it is told."""

    server: Receiver

    def do_POST(self) -> None:
        """Keeps headers and body."""
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 204)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A subscriber."""
    with Receiver() as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()


def subscribe(connection: psycopg.Connection, url: str) -> None:
    """Tells an address of everything."""
    execute(connection, insert_subscription(id="hook_1", url=url, secret=SECRET, events=EVENTS, operator="ada"))


def test_without_a_subscription_nothing_is_noted(connection: psycopg.Connection, situation: situations.Load) -> None:
    situation("in_doubt_never")
    count = connection.execute("select count(*) from counterfoil.webhook_deliveries").fetchone()
    assert count == (0,)


def test_what_needs_a_person_is_told(
    connection: psycopg.Connection,
    database: str,
    situation: situations.Load,
    processes: Processes,
    receiver: Receiver,
) -> None:
    subscribe(connection, receiver.url)
    needed = situation("in_doubt_never")
    receiver.statuses = [500]
    processes.start_worker(database)
    wait_until(lambda: receiver.received)
    headers, body = receiver.received[0]
    told = Webhook(SECRET).verify(body, headers)
    assert told["type"] == "call.needs_operator"
    assert told["data"]["run_id"] == needed.run_id
    assert told["data"]["tool_call_id"] == needed.tool_call_id
    assert b"ada@example.com" not in body, "ids only"
    wait_until(lambda: len(receiver.received) > 1, what="a second try after a 500")
    again, second = receiver.received[1]
    assert again["webhook-id"] == headers["webhook-id"]
    assert json.loads(second) == json.loads(body)
    wait_until(lambda: delivered(connection) == [(True, 2, 204)])


def test_a_worker_that_dies_while_it_tells_leaves_it_to_the_next(
    connection: psycopg.Connection, database: str, processes: Processes, receiver: Receiver
) -> None:
    subscribe(connection, receiver.url)
    execute(connection, insert_test("hook_1"))
    connection.execute("update counterfoil.webhook_deliveries set due_at = due_at - interval '1 hour', tries = 1")
    processes.start_worker(database)
    wait_until(lambda: delivered(connection) == [(True, 2, 204)])


def delivered(connection: psycopg.Connection) -> list[tuple[bool, int, int]]:
    """Whether, after how many tries, with which answer."""
    text = "select delivered_at is not null, tries, last_status from counterfoil.webhook_deliveries"
    return list(connection.execute(text).fetchall())
