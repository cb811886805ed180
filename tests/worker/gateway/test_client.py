"""The client against real sockets: what was written is never written twice; what was not, is known not to be."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import weakref
from dataclasses import replace

import aiohttp
import pytest

from app.catalog import Lookup
from worker.gateway.client import ONCE
from worker.gateway.clock import boot_now
from worker.gateway.outcome import (
    REPLY_LIMIT,
    Accepted,
    Delivered,
    Found,
    NoAnswer,
    NoneFound,
    Refused,
    Unknown,
)
from worker.gateway.transport import PERMIT, CheckedRequest, NotWrittenError, Permit


def send(kit, answer, *, send_by_s=5.0, **changes):
    """One request to a server that answers so; returns outcome and what reached the server."""

    async def run():
        async with kit.serving(answer) as wire, kit.gateway() as gateway:
            outcome = await gateway.send(kit.request_to(wire.url, **changes), boot_now() + send_by_s)
            return outcome, wire

    return asyncio.run(run())


def test_what_is_sent(kit):
    outcome, wire = send(
        kit,
        kit.saying("200 OK", b'{"ticket_id": "TCK-1"}'),
        headers={"Authorization": "Bearer s"},
        body={"external_ref": "{effect_key}", "meta": {"run": "{run_id}"}},
        arguments={"title": "é", "external_ref": "mine", "meta": {"a": 1}},
        external_id="ticket_id",
    )
    assert outcome == Delivered(200, b'{"ticket_id": "TCK-1"}', b'{"ticket_id": "TCK-1"}', "TCK-1")
    assert json.loads(wire.bodies[0]) == {"title": "é", "external_ref": "eff_1", "meta": {"a": 1, "run": "run_1"}}
    head = dict(line.split(": ", 1) for line in wire.heads[0].splitlines()[1:] if line)
    expected = {
        "Idempotency-Key": "eff_1",
        "X-Run-Id": "run_1",
        "X-Thread-Id": "thr_1",
        "X-Corr-Id": "cr_1",
        "X-Tool-Call-Id": "call_1",
        "X-Request-Fingerprint": "f" * 64,
        "X-Attempt": "1",
        "Authorization": "Bearer s",
        "Content-Type": "application/json",
    }
    assert {name: head[name] for name in expected} == expected
    assert "Cookie" not in head


def test_a_get_takes_its_arguments_as_query(kit):
    arguments = {"q": "a b&c", "n": 1, "yes": True, "none": None, "many": ["x", 2]}
    _, wire = send(kit, kit.saying("200 OK", b"{}"), method="GET", arguments=arguments)
    assert wire.heads[0].startswith("GET /tools/t?q=a+b%26c&n=1&yes=true&many=x&many=2 HTTP/1.1")
    assert wire.bodies == [b""]


def test_a_call_id_may_hold_anything(kit):
    async def run():
        async with kit.serving(kit.saying("200 OK", b"{}")) as wire, kit.gateway() as gateway:
            request = replace(kit.request_to(wire.url + "?c={tool_call_id}"), tool_call_id="a\r\nX-Evil: é/1")
            assert isinstance(await gateway.send(request, boot_now() + 5), Delivered)
            assert "X-Evil: " not in wire.heads[0]
            assert wire.heads[0].startswith("POST /tools/t?c=a%0D%0AX-Evil%3A%20%C3%A9%2F1 HTTP/1.1")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("200 OK", b"{}", Delivered),
        ("204 No Content", b"", Delivered),
        ("202 Accepted", b"{}", Accepted),
        ("200 OK", b"<html>", Unknown),
        ("302 Found", b"", Unknown),
        ("409 Conflict", b"{}", Unknown),
        ("500 Oops", b"{}", Unknown),
        ("404 Not Found", b"{}", Refused),
    ],
)
@pytest.mark.parametrize("repeat", ["never", "safe", "keyed", "lookup"])
def test_each_kind_of_reply(kit, status, body, kind, repeat):
    outcome, wire = send(
        kit, kit.saying(status, body, "Location: /elsewhere", "Set-Cookie: a=b"), repeat=repeat, completion_s=9.0
    )
    assert isinstance(outcome, kind)
    assert len(wire.heads) == 1


def test_retry_after_is_read(kit):
    outcome, _ = send(kit, kit.saying("429 Slow", b"", "Retry-After: 3"), refused_statuses=(429,))
    assert outcome == Refused("refused", "status 429", 429, b"", 3.0)


@pytest.mark.parametrize("body", [b'{"a": "\x00"}', b'{"a": "\xff"}'])
def test_bytes_that_are_no_text_are_kept_as_evidence(kit, body):
    outcome, _ = send(kit, kit.saying("200 OK", body))
    assert isinstance(outcome, Unknown)
    assert outcome.body == body


async def break_off(wire, writer):
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"ticket_id": ')
    await writer.drain()
    writer.close()


async def break_off_chunked(wire, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n")
    await writer.drain()
    writer.close()


async def reset(wire, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def hang_up(wire, writer):
    writer.close()


async def babble(wire, writer):
    writer.write(b"220 smtp.example ESMTP\r\n")


@pytest.mark.parametrize("answer", [break_off, break_off_chunked, reset, hang_up, babble])
@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
def test_what_breaks_after_the_write_is_unknown_and_not_sent_again(kit, answer, method):
    outcome, wire = send(kit, answer, method=method, repeat="safe")
    assert isinstance(outcome, Unknown)
    assert len(wire.heads) == 1


async def half_a_head(wire, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-")
    await writer.drain()
    await wire.go.wait()


async def half_a_body(wire, writer):
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    await writer.drain()
    await wire.go.wait()


@pytest.mark.parametrize("answer", [half_a_head, half_a_body])
def test_the_timeout_is_unknown_with_what_came(kit, answer):
    outcome, _ = send(kit, answer, timeout_s=0.2)
    whole_head = answer is half_a_body
    assert outcome == Unknown("timeout: no whole answer within 0.2 s", 200 if whole_head else None, b"{" * whole_head)


def test_at_the_timeout_what_is_unsent_is_dropped(kit):
    """A plain close would flush the rest of the request to a server that reads again later."""
    server = socket.create_server(("127.0.0.1", 0))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    request = kit.request_to(
        f"http://127.0.0.1:{server.getsockname()[1]}/", timeout_s=0.3, arguments={"a": "x" * 20_000_000}
    )
    assert isinstance(asyncio.run(once(kit, request)), Unknown)
    connection, _ = server.accept()
    received = 0
    with server, connection, contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            received += len(chunk)
    assert received < 20_000_000


def endless(head):
    async def answer(wire, writer):
        writer.write(head)
        try:
            while True:
                writer.write(b"\0" * 65536)
                await writer.drain()
        except OSError:
            wire.go.set()

    return answer


def test_a_reply_without_end_is_cut(kit):
    outcome, _ = send(kit, endless(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"))
    assert isinstance(outcome, Delivered)
    assert outcome.truncated
    assert len(outcome.body) == REPLY_LIMIT
    assert b"\0" not in outcome.output


def test_connection_refused_is_not_sent(kit):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        outcome = asyncio.run(once(kit, kit.request_to(url)))
    assert isinstance(outcome, Refused)
    assert outcome.kind == "not_sent"


def test_a_name_that_does_not_resolve_is_not_sent(kit):
    outcome = asyncio.run(once(kit, kit.request_to("http://nowhere.invalid/")))
    assert isinstance(outcome, Refused)
    assert outcome.kind == "not_sent"


def test_failed_tls_is_not_sent(kit):
    async def run():
        async with kit.serving(babble) as wire:
            return await once(kit, kit.request_to(wire.url.replace("http:", "https:"), timeout_s=0.5))

    outcome = asyncio.run(run())
    assert isinstance(outcome, Refused)
    assert outcome.kind == "not_sent"


async def once(kit, request, send_by_s=5.0):
    async with kit.gateway() as gateway:
        return await gateway.send(request, boot_now() + send_by_s)


def nested(depth):
    value = {}
    for _ in range(depth):
        value = {"a": value}
    return value


@pytest.mark.parametrize("arguments", [{"n": float("nan")}, {"n": object()}, nested(5000)])
def test_what_cannot_be_built_is_refused_for_good(kit, arguments):
    outcome = asyncio.run(once(kit, kit.request_to("http://127.0.0.1:1/", arguments=arguments)))
    assert isinstance(outcome, Refused)
    assert outcome.kind == "failed"


def full_backlog():
    """A listening socket that accepts nothing and has no room left: connecting to it hangs."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    clients = []
    for _ in range(4):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(server.getsockname())
        clients.append(client)
    return server, clients


def test_a_stalled_connect_is_not_sent(kit):
    server, clients = full_backlog()
    url = f"http://127.0.0.1:{server.getsockname()[1]}/"
    outcome = asyncio.run(once(kit, kit.request_to(url, timeout_s=0.3)))
    assert isinstance(outcome, Refused)
    assert outcome.kind == "not_sent"
    assert "timeout" in outcome.reason
    for sock in [server, *clients]:
        sock.close()


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("repeat", ["never", "safe", "keyed", "lookup"])
def test_send_by_is_checked_after_connecting(kit, method, repeat):
    """The clock jumps past send_by between connect and write, as it does for a process that was stopped there."""
    readings = iter([0.0])

    def clock():
        return next(readings, 3.0)

    async def run():
        async with kit.serving(kit.saying("200 OK", b"{}")) as wire, kit.gateway(clock=clock) as gateway:
            request = kit.request_to(wire.url, method=method, repeat=repeat)
            outcome = await gateway.send(request, 2.0)
            return outcome, wire

    outcome, wire = asyncio.run(run())
    assert isinstance(outcome, Refused)
    assert (outcome.kind, outcome.reason) == ("not_sent", "NotWrittenError: 1.000 s past send_by")
    assert wire.heads == []


@pytest.mark.parametrize("repeat", ["never", "safe", "keyed", "lookup"])
def test_idle_connections(kit, repeat):
    """Reused while fresh; `never` and `lookup` not after a second, by the clock that counts a machine's sleep too."""
    now = [100.0]

    async def run():
        async with kit.serving(kit.saying("200 OK", b"{}")) as wire, kit.gateway(clock=lambda: now[0]) as gateway:
            counts = []
            for idle_s in (0.0, 0.9, 1.1, 16.0):
                now[0] += idle_s
                outcome = await gateway.send(kit.request_to(wire.url, repeat=repeat), now[0] + 5)
                assert isinstance(outcome, Delivered)
                counts.append(wire.connections)
            return counts, len(wire.heads)

    assert asyncio.run(run()) == ([1, 1, 2, 3] if repeat in ONCE else [1, 1, 1, 2], 4)


@pytest.mark.parametrize("method", ["POST", "GET", "PUT"])
def test_a_connection_that_the_other_end_closed_is_not_used(kit, method):
    """Its close waits in the socket, unread: the loop was busy, or the process stopped."""

    def one_answer(connection):
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async def run():
        with kit.threaded(one_answer) as server:
            async with kit.gateway() as gateway:
                request = kit.request_to(server.url, method=method)
                first = await gateway.send(request, boot_now() + 5)
                server.closed.acquire(timeout=5)  # blocks the loop, so that it cannot see the close
                return first, await gateway.send(request, boot_now() + 5), server.connections

    first, second, connections = asyncio.run(run())
    assert (first, second) == (Delivered(200, b"{}", b"{}"),) * 2
    assert connections == 2


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
@pytest.mark.parametrize("repeat", ["never", "safe"])
def test_no_retry_when_a_kept_connection_breaks(kit, method, repeat):
    async def second_request_breaks(wire, writer):
        if len(wire.heads) == 2:
            writer.transport.abort()
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async def run():
        async with kit.serving(second_request_breaks) as wire, kit.gateway() as gateway:
            request = kit.request_to(wire.url, method=method, repeat=repeat)
            outcomes = [await gateway.send(request, boot_now() + 5) for _ in range(2)]
            return outcomes, len(wire.heads)

    (first, second), requests = asyncio.run(run())
    assert isinstance(first, Delivered)
    assert isinstance(second, Unknown)
    assert requests == 2


def test_an_answer_to_nothing_is_not_taken_for_the_next_ones(kit):
    async def two_answers(wire, writer):
        number = len(wire.heads)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
        if number == 1:
            await writer.drain()
            await wire.go.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n666")

    async def run():
        async with kit.serving(two_answers) as wire, kit.gateway() as gateway:
            first = await gateway.send(kit.request_to(wire.url), boot_now() + 5)
            wire.go.set()
            for _ in range(20):  # let the client's loop read what belongs to nobody
                await asyncio.sleep(0)
            return first, await gateway.send(kit.request_to(wire.url), boot_now() + 5)

    first, second = asyncio.run(run())
    assert (first.body, second.body) == (b"1", b"2")


def test_an_answer_before_the_request_proves_nothing(kit):
    def greets_with_an_answer(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        connection.recv(65536)

    async def run():
        with kit.threaded(greets_with_an_answer) as server:
            return await once(kit, kit.request_to(server.url))

    outcome = asyncio.run(run())
    assert isinstance(outcome, Refused | Delivered)
    assert not isinstance(outcome, Refused) or outcome.kind == "not_sent"


STOPPED = """
import asyncio, os, signal, sys
from app.catalog import Contract, Tool
from worker.gateway.client import Gateway, ToolRequest
from worker.gateway.clock import boot_now

async def main(url):
    tool = Tool("t", url, contract=Contract(timeout_s=0.5))
    request = ToolRequest(tool, "run_1", "thr_1", "call_1", "cr_1", 1, "f", "e", {})
    print(await Gateway().send(request, boot_now() + 5))

asyncio.run(main(sys.argv[1]))
"""


def test_a_stopped_process_still_reads_the_answer_that_came(kit):
    """SIGSTOP while it waits; the answer comes; SIGCONT long past the timeout: timer and answer are due together."""
    body = b'{"ticket_id": "TCK-1", "pad": "' + b"x" * 500_000 + b'"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    asked, go = threading.Event(), threading.Event()

    def answer(connection):
        connection.recv(65536)
        asked.set()
        go.wait(10)
        connection.sendall(head + body)

    with kit.threaded(answer) as server:
        process = subprocess.Popen([sys.executable, "-c", STOPPED, server.url], stdout=subprocess.PIPE)
        assert asked.wait(10)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        stopped_at = time.monotonic()
        go.set()
        server.closed.acquire(timeout=10)
        while time.monotonic() < stopped_at + 0.7:  # past the timeout: what this test is about
            time.sleep(0.05)
        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate(timeout=10)
    assert output.startswith(b"Delivered(status=200")


def test_500_in_flight(kit):
    async def wait_for_all(wire, writer):
        if len(wire.heads) == 500:
            wire.go.set()
        await wire.go.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    async def run():
        async with kit.serving(wait_for_all, backlog=500) as wire, kit.gateway() as gateway:
            request = kit.request_to(wire.url, timeout_s=30)
            outcomes = await asyncio.gather(*(gateway.send(request, boot_now() + 30) for _ in range(500)))
            return outcomes, len(wire.heads)

    outcomes, requests = asyncio.run(run())
    assert set(outcomes) == {Delivered(200, b"{}", b"{}")}
    assert requests == 500


def test_a_cancelled_sender_leaves_nothing_behind(kit):
    async def run():
        async with kit.serving(half_a_body) as wire, kit.gateway() as gateway:
            task = asyncio.create_task(gateway.send(kit.request_to(wire.url), boot_now() + 5))
            await wire.came.wait()
            task.cancel()
            await asyncio.wait({task})
            return task.cancelled(), len(asyncio.all_tasks())

    cancelled, tasks = asyncio.run(run())
    assert cancelled
    assert tasks <= 2  # this one, and the server's


LOOKUP = Lookup("", "tickets", "ticket_id")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("200 OK", b'{"tickets": [{"ticket_id": "a"}]}', Found),
        ("200 OK", b'{"tickets": []}', NoneFound),
        ("200 OK", b'{"tickets": [], "has_more": true}', NoAnswer),
        ("404 Not Found", b"", NoAnswer),
        ("500 Oops", b"", NoAnswer),
    ],
)
def test_lookups(kit, status, body, kind):
    async def run():
        async with kit.serving(kit.saying(status, body)) as wire, kit.gateway() as gateway:
            lookup = replace(LOOKUP, url=wire.url + "?ref={effect_key}")
            answer = await gateway.look_up(kit.request_to(wire.url, lookup=lookup, headers={"Authorization": "s"}))
            assert wire.heads[0].startswith("GET /tools/t?ref=eff_1 HTTP/1.1")
            assert "Authorization: s" in wire.heads[0]
            return answer

    assert isinstance(asyncio.run(run()), kind)


@pytest.mark.parametrize("answer", [half_a_head, half_a_body, break_off, reset, hang_up])
def test_a_lookup_that_breaks_is_no_answer(kit, answer):
    async def run():
        async with kit.serving(answer) as wire, kit.gateway() as gateway:
            lookup = replace(LOOKUP, url=wire.url, none_status=(404,))
            return await gateway.look_up(kit.request_to(wire.url, lookup=lookup, timeout_s=0.3)), len(wire.heads)

    found, requests = asyncio.run(run())
    assert isinstance(found, NoAnswer)
    assert requests == 1


def test_no_proxy_of_the_environment_is_used(kit, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    outcome, _ = send(kit, kit.saying("200 OK", b"{}"))
    assert isinstance(outcome, Delivered)


@pytest.mark.parametrize(("name", "requests"), [("checked", 0), ("written", 1)])
@pytest.mark.parametrize("method", ["POST", "GET"])
def test_fault_points_kill_before_and_after_the_write(kit, name, requests, method):
    seen = []

    def answer(connection):
        seen.append(connection.recv(65536))

    with kit.threaded(answer) as server:
        code = STOPPED.replace('("t", url,', f'("t", url, method="{method}",')
        environ = {**os.environ, "COUNTERFOIL_FAULT": name}
        done = subprocess.run([sys.executable, "-c", code, server.url], env=environ, check=False, timeout=20)
        server.closed.acquire(timeout=5)
    assert done.returncode == -signal.SIGKILL
    assert sum(1 for data in seen if data) == requests


def test_cookies_are_not_kept(kit):
    async def run():
        async with kit.serving(kit.saying("200 OK", b"{}", "Set-Cookie: a=b")) as wire, kit.gateway() as gateway:
            for _ in range(2):
                await gateway.send(kit.request_to(wire.url.replace("127.0.0.1", "localhost")), boot_now() + 5)
            return wire.heads

    heads = asyncio.run(run())
    assert len(heads) == 2
    assert not any("Cookie" in head for head in heads)


@pytest.mark.parametrize("data", [b"{}", None])
def test_a_revoked_permit_lets_nothing_out(kit, data):
    """A connect that ends after the timeout must not write: the outcome has been told."""

    async def run():
        async with kit.serving(kit.saying("200 OK", b"{}")) as wire:
            permit = Permit(boot_now, boot_now() + 5, 5.0, 1.0, weakref.WeakKeyDictionary())
            PERMIT.set(permit)
            permit.revoke("too late")
            async with aiohttp.ClientSession(request_class=CheckedRequest) as session:
                with pytest.raises(NotWrittenError, match="too late"):
                    await session.request("POST" if data else "GET", wire.url, data=data)
            return wire.heads, permit.written

    assert asyncio.run(run()) == ([], False)
