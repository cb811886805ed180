"""The last check before the wire: one permit, one write, not after `send_by`, never on a connection long idle.

aiohttp connects and parses; `CheckedRequest` stands where it would write the first byte. Whether
`Permit.written` is set is all that later tells "nothing happened" from "nobody can say", so it is set before
the write and by nobody else.
"""

import asyncio
import select
import socket
from collections.abc import Callable, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from worker import faults

_USER_TIMEOUT: Final[int | None] = getattr(socket, "TCP_USER_TIMEOUT", None)


class NotWrittenError(Exception):
    """No byte of the request was written, and none will be."""


class StaleConnectionError(NotWrittenError):
    """The connection from the pool was idle too long, or its other end has closed it: take another."""


class WrittenBeforeError(Exception):
    """Somebody, the library's own retry for one, wants to write the request a second time."""


@dataclass
class Permit:
    """Leave to write one request once. `send_by`: seconds on `clock`. `idle_since`: of connections used before."""

    clock: Callable[[], float]
    send_by: float
    timeout_s: float
    max_idle_s: float
    idle_since: MutableMapping[ResponseHandler, float]
    written: bool = False
    protocol: ResponseHandler | None = None
    refusal: NotWrittenError | None = None

    def bind(self, connection: Connection) -> None:
        """Take a connection. Raises `StaleConnectionError` for one out of the pool that may have died."""
        if self.written:
            raise WrittenBeforeError("the connection broke, and the request is not written twice")
        self.protocol = protocol = connection.protocol
        assert protocol is not None
        since = self.idle_since.pop(protocol, None)
        if since is not None and (self.clock() - since > self.max_idle_s or self.readable()):
            raise StaleConnectionError("idle too long, or the other end has closed it")
        if protocol.should_close or protocol.writing_paused:
            # An answer before the request belongs to nobody; read as ours, it would be taken for proof.
            spoken = "the other end spoke before the request"
            raise StaleConnectionError(spoken) if since is not None else NotWrittenError(spoken)

    def use(self) -> None:
        """The last check; when it returns, the next thing done is the write. Raises `NotWrittenError`."""
        if self.refusal is not None:
            raise self.refusal
        transport = self._transport()
        if transport is None or transport.is_closing():
            raise NotWrittenError("the connection was closed before the first byte")
        self._limit_kernel(transport)
        late_s = self.clock() - self.send_by
        if late_s > 0:
            raise NotWrittenError(f"{late_s:.3f} s past send_by")
        self.written = True
        faults.point("checked")

    def revoke(self, reason: str) -> None:
        """From now on nothing may be written that has not been."""
        self.refusal = self.refusal or NotWrittenError(reason)

    def used(self) -> None:
        """The reply has been read whole: from now on the connection is idle."""
        if self.protocol is not None:
            self.idle_since[self.protocol] = self.clock()

    def readable(self) -> bool:
        """Whether bytes, or the other end's close, wait in the socket for the loop to read them."""
        transport = self._transport()
        sock = transport and transport.get_extra_info("socket")
        if not sock or sock.fileno() < 0:
            return False
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def abort(self) -> None:
        """Drop the connection with all that is still unsent; a plain close would flush it first."""
        transport = self._transport()
        if transport is not None:
            transport.abort()

    def _transport(self) -> asyncio.Transport | None:
        return self.protocol.transport if self.protocol is not None else None

    def _limit_kernel(self, transport: asyncio.Transport) -> None:
        """The kernel too stops trying after `timeout_s`, even when this process is stopped or gone."""
        sock = transport.get_extra_info("socket")
        if _USER_TIMEOUT is not None and sock is not None:
            sock.setsockopt(socket.IPPROTO_TCP, _USER_TIMEOUT, max(1, int(self.timeout_s * 1000)))


PERMIT: ContextVar[Permit] = ContextVar("permit")


class CheckedRequest(aiohttp.ClientRequest):
    """aiohttp's request, which asks the permit of its context directly before its first byte."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        """Without a body the first byte is written in here; with one, in `write_bytes`."""
        permit = PERMIT.get()
        permit.bind(conn)
        if not self.body:
            permit.use()
        response = await super().send(conn)
        if not self.body:
            faults.point("written")
        elif permit.refusal is not None:  # from Python 3.12 on, `write_bytes` has run already
            raise permit.refusal
        return response

    async def write_bytes(self, writer: Any, conn: Connection, content_length: int | None = None) -> None:
        """Headers and body go out in here, as one write."""
        permit = PERMIT.get()
        try:
            permit.use()
        except NotWrittenError as refusal:
            # The reader waits for an answer that will not come: hand it the reason.
            permit.refusal = refusal
            assert conn.protocol is not None
            conn.protocol.set_exception(refusal)
            return
        await super().write_bytes(writer, conn, content_length)
        faults.point("written")
