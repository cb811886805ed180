"""One attempt of a tool call over HTTP: sent once or not at all, and told apart (design, 5.5).

The order: build, connect, check `send_by`, write, read. What went wrong before the write is `not_sent`,
whatever it was; what went wrong after it is `Unknown`. Nothing here retries, follows redirects, keeps cookies or
reads proxy settings.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote, urlencode
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp.client_proto import ResponseHandler
from multidict import CIMultiDict
from yarl import URL

from app.catalog import Tool
from worker.gateway.clock import boot_now
from worker.gateway.outcome import (
    REPLY_LIMIT,
    LookupAnswer,
    NoAnswer,
    Outcome,
    Refused,
    Unknown,
    read_lookup,
    read_reply,
)
from worker.gateway.transport import PERMIT, CheckedRequest, NotWrittenError, Permit, StaleConnectionError

IDLE_S: Final = 15.0
IDLE_ONCE_S: Final = 1.0
ONCE: Final = ("never", "lookup")
DRAIN_S: Final = 0.5
DRAIN_TURNS: Final = 20
UNBUILT: Final = (ValueError, TypeError, RecursionError)
# Errors of the network, and our own: they name hosts and times. Others may quote arguments or the reply.
TELLABLE: Final = (OSError, TimeoutError, NotWrittenError)


@dataclass(frozen=True)
class ToolRequest:
    """One attempt. `tool`: under the contract that its call copied (`Tool.under`). `arguments`: the model's."""

    tool: Tool
    run_id: str
    thread_id: str
    tool_call_id: str
    correlation_id: str
    attempt: int
    fingerprint: str
    effect_key: str
    arguments: Mapping[str, object] = field(repr=False)
    traceparent: str | None = None

    def marks(self) -> dict[str, str]:
        """The values of the placeholders."""
        return {
            "fingerprint": self.fingerprint,
            "effect_key": self.effect_key,
            "run_id": self.run_id,
            "tool_call_id": self.tool_call_id,
            "thread_id": self.thread_id,
        }


@dataclass
class _Exchange:
    """A request, and what has come back of its reply so far."""

    permit: Permit
    method: str
    url: URL
    headers: CIMultiDict[str]
    data: bytes | None
    status: int | None = None
    reply_headers: Mapping[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False
    error: Exception | None = None


class Gateway:
    """Sends attempts and looks effects up, any number at once, from one event loop."""

    def __init__(self, *, clock: Callable[[], float] = boot_now) -> None:
        self._clock = clock
        self._sessions: dict[float, aiohttp.ClientSession] = {}
        self._idle_since: WeakKeyDictionary[ResponseHandler, float] = WeakKeyDictionary()

    async def send(self, request: ToolRequest, send_by: float) -> Outcome:
        """Send one attempt, its first byte not after `send_by` (seconds on the clock); at most `timeout_s` in all.

        Never raises for what tool or network do. Do not cancel it: shield the task that awaits it, since a request
        on the wire is not undone by forgetting it. Cancelled all the same, it aborts the connection.
        """
        if self._clock() > send_by:
            return Refused("not_sent", "past send_by before connecting")
        try:
            exchange = self._built(request, send_by)
        except UNBUILT as error:
            return _unbuilt(error)
        await self._perform(exchange)
        return _outcome(exchange, request.tool)

    async def look_up(self, request: ToolRequest) -> LookupAnswer:
        """Look the call's effect up, once. `request.tool` has a lookup. Never raises for what tool or network do."""
        lookup = request.tool.contract.lookup
        assert lookup is not None, "the contract has no lookup"
        try:
            url = URL(request.tool.lookup_url(request.marks()), encoded=True)
            permit = self._permit(request.tool, float("inf"), IDLE_S)
            exchange = _Exchange(permit, "GET", url, _headers(request), None)
        except UNBUILT as error:
            return NoAnswer(f"the request cannot be built: {type(error).__name__}")
        await self._perform(exchange)
        if exchange.status is None or not exchange.whole:
            return NoAnswer(_what_went_wrong(exchange))
        return read_lookup(exchange.status, bytes(exchange.body), lookup, exchange.reply_headers)

    async def close(self) -> None:
        """Close idle connections; call it when nothing is out any more."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()

    def _built(self, request: ToolRequest, send_by: float) -> _Exchange:
        tool = request.tool
        url, data = tool.request_url(request.marks()), None
        body = tool.request_body(request.arguments, request.marks())
        headers = _headers(request)
        headers[tool.key_header] = request.effect_key
        if tool.method == "GET":
            url = _with_query(url, body)
        else:
            data = json.dumps(body, allow_nan=False).encode()
            headers.setdefault("Content-Type", "application/json")
        idle_s = IDLE_ONCE_S if tool.contract.repeat in ONCE else IDLE_S
        permit = self._permit(tool, send_by, idle_s)
        return _Exchange(permit, tool.method, URL(url, encoded=True), headers, data)

    def _permit(self, tool: Tool, send_by: float, idle_s: float) -> Permit:
        return Permit(self._clock, send_by, tool.contract.timeout_s, idle_s, self._idle_since)

    def _session(self, idle_s: float) -> aiohttp.ClientSession:
        """One pool for each idle time; made on first use, inside the loop that it belongs to."""
        if idle_s not in self._sessions:
            self._sessions[idle_s] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=idle_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                request_class=CheckedRequest,
                trust_env=False,
            )
        return self._sessions[idle_s]

    async def _perform(self, exchange: _Exchange) -> None:
        """Run the exchange to its end or to the timeout, and leave nothing of it behind."""
        permit = exchange.permit
        task = asyncio.create_task(self._exchange(exchange))
        try:
            await asyncio.wait({task}, timeout=permit.timeout_s)
            permit.revoke(f"timeout: not connected within {permit.timeout_s:g} s")
            if not task.done():
                await _read_what_is_there(task, permit)
        finally:
            permit.revoke("given up")
            if not task.done():
                permit.abort()
                task.cancel()
                await asyncio.wait({task})

    async def _exchange(self, exchange: _Exchange) -> None:
        PERMIT.set(exchange.permit)
        while True:
            try:
                return await self._write_and_read(exchange)
            except StaleConnectionError:
                continue  # nothing was written, and each turn takes one connection out of the pool
            except Exception as error:
                exchange.error = error
                return None

    async def _write_and_read(self, exchange: _Exchange) -> None:
        session = self._session(exchange.permit.max_idle_s)
        async with session.request(
            exchange.method, exchange.url, data=exchange.data, headers=exchange.headers, allow_redirects=False
        ) as response:
            exchange.status, exchange.reply_headers = response.status, response.headers
            async for chunk in response.content.iter_any():
                exchange.body += chunk
                if len(exchange.body) > REPLY_LIMIT:
                    del exchange.body[REPLY_LIMIT + 1 :]
                    exchange.whole = True
                    exchange.permit.abort()
                    return
            exchange.whole = True
            exchange.permit.used()


async def _read_what_is_there(task: asyncio.Task[None], permit: Permit) -> None:
    """Let the loop read what had come by the timeout: a process that was stopped finds timer and answer together."""
    loop = asyncio.get_running_loop()
    give_up, quiet = loop.time() + DRAIN_S, 0
    while not task.done() and quiet < DRAIN_TURNS and loop.time() < give_up:
        await asyncio.sleep(0)
        quiet = 0 if permit.readable() else quiet + 1


def _outcome(exchange: _Exchange, tool: Tool) -> Outcome:
    if not exchange.permit.written:
        error = exchange.error
        # Trying again does not mend what cannot be built. (A refused certificate is a ValueError too.)
        hopeless = isinstance(error, UNBUILT) and not isinstance(error, OSError)
        return _unbuilt(error) if hopeless else Refused("not_sent", _what_went_wrong(exchange))
    if exchange.status is None or not exchange.whole:
        return Unknown(_what_went_wrong(exchange), exchange.status, bytes(exchange.body))
    return read_reply(exchange.status, exchange.reply_headers, bytes(exchange.body), tool)


def _unbuilt(error: Exception | None) -> Refused:
    return Refused("failed", f"the request cannot be built: {type(error).__name__}")


def _what_went_wrong(exchange: _Exchange) -> str:
    error = exchange.error
    if exchange.whole and not exchange.permit.written:
        return "an answer came before the request"
    if error is None:
        return f"timeout: no whole answer within {exchange.permit.timeout_s:g} s"
    return f"{type(error).__name__}: {error}"[:500] if isinstance(error, TELLABLE) else type(error).__name__


def _headers(request: ToolRequest) -> CIMultiDict[str]:
    headers = CIMultiDict(request.tool.headers)
    ours = {
        "X-Run-Id": request.run_id,
        "X-Thread-Id": request.thread_id,
        "X-Corr-Id": request.correlation_id,
        "X-Tool-Call-Id": request.tool_call_id,
        "X-Request-Fingerprint": request.fingerprint,
        "X-Attempt": str(request.attempt),
    }
    if request.traceparent:
        ours["traceparent"] = request.traceparent
    for name, value in ours.items():
        headers[name] = quote(value, safe=_PRINTABLE)  # a call id is the provider's, and may hold anything
    headers.setdefault("Accept", "application/json")
    headers.setdefault("User-Agent", "counterfoil")
    headers["Accept-Encoding"] = "identity"
    return headers


_PRINTABLE: Final = "!\"#$&'()*+,/:;<=>?@[\\]^`{|}"


def _with_query(url: str, arguments: Mapping[str, object]) -> str:
    """`url` with the arguments as its query: text as it is, a list item by item, null left out, else JSON."""
    pairs = [
        (name, item if isinstance(item, str) else json.dumps(item, allow_nan=False))
        for name, value in arguments.items()
        if value is not None
        for item in (value if isinstance(value, list) else [value])
    ]
    if not pairs:
        return url
    return url + ("&" if "?" in url else "?") + urlencode(pairs)
