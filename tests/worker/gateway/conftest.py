"""A tool as it looks from the wire: a raw server on loopback that counts, and answers what the test says."""

import asyncio
import contextlib
import re
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from app.catalog import Contract, Tool
from worker.gateway.client import Gateway, ToolRequest

Answer = Callable[["Wire", asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Wire:
    """What has reached the server."""

    port: int = 0
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/tools/t"


@asynccontextmanager
async def serving(answer: Answer, **options: Any) -> AsyncIterator[Wire]:
    wire, writers = Wire(), set[asyncio.StreamWriter]()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire.connections += 1
        writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?i)content-length: (\d+)", head)
                wire.bodies.append(await reader.readexactly(int(length[1])) if length else b"")
                wire.heads.append(head)
                wire.came.set()
                await answer(wire, writer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, **options)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        wire.go.set()
        server.close()
        for writer in writers:
            writer.transport.abort()


def saying(status: str, body: bytes = b"", *headers: str) -> Answer:
    """Answer every request with this."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if not status.startswith(("204", "304")):
        lines.append(f"Content-Length: {len(body)}")
    reply = "\r\n".join([*lines, "", ""]).encode() + body

    async def answer(_wire: Wire, writer: asyncio.StreamWriter) -> None:
        writer.write(reply)

    return answer


def request_to(url: str, **changes: Any) -> ToolRequest:
    """A request to the URL; `contract` fields and tool fields by name."""
    contract_fields = {k: changes.pop(k) for k in list(changes) if k in Contract.__dataclass_fields__}
    arguments = changes.pop("arguments", {"title": "x"})
    tool = Tool("t", url, contract=Contract(**{"timeout_s": 5.0, **contract_fields}))
    return ToolRequest(replace(tool, **changes), "run_1", "thr_1", "call_1", "cr_1", 1, "f" * 64, "eff_1", arguments)


@asynccontextmanager
async def a_gateway(**options: Any) -> AsyncIterator[Gateway]:
    gateway = Gateway(**options)
    try:
        yield gateway
    finally:
        await gateway.close()


class ThreadedServer:
    """A server that a blocked event loop does not block: each connection is handled in a thread, then closed."""

    def __init__(self, handle: Callable[[socket.socket], None]) -> None:
        self.connections, self.closed, self._handle = 0, threading.Semaphore(0), handle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            self._handle(connection)
        self.closed.release()

    def __enter__(self) -> "ThreadedServer":
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()


@dataclass(frozen=True)
class Kit:
    """The helpers above, for tests that cannot import a conftest."""

    serving = staticmethod(serving)
    saying = staticmethod(saying)
    request_to = staticmethod(request_to)
    gateway = staticmethod(a_gateway)
    threaded = ThreadedServer


@pytest.fixture
def kit() -> Kit:
    return Kit()
