"""A Chat Completions server on the loopback that behaves as a test says, and one question to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from app.catalog import ModelEntry
from worker.models import ModelUnavailable, Turn, TurnRequest
from worker.models.chat import Chat

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
KEY = "key-7f3d9c1b5e"


@dataclass
class Asked:
    """What came of one question: a turn or a `ModelUnavailable`; what was heard; what the server saw."""

    turn: Turn | None = None
    unavailable: ModelUnavailable | None = None
    heard: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)

    @property
    def answer(self) -> Turn:
        assert self.turn is not None, self.unavailable
        return self.turn

    @property
    def error(self) -> ModelUnavailable:
        assert self.unavailable is not None, self.turn
        return self.unavailable


def ask(handler: Handler, request: TurnRequest, *, listen: bool = False, **entry: Any) -> Asked:
    """Asks a server with this handler once, through the real client."""
    return asyncio.run(_ask(handler, request, listen, entry))


async def _ask(handler: Handler, request: TurnRequest, listen: bool, entry: dict[str, Any]) -> Asked:
    asked = Asked()

    async def note(received: web.Request) -> web.StreamResponse:
        asked.bodies.append(json.loads(await received.read()))
        asked.headers.append({name.lower(): value for name, value in received.headers.items()})
        asked.paths.append(received.path_qs)
        return await handler(received)

    async def hear(piece: str) -> None:
        asked.heard.append(piece)

    async with serve(note) as base_url:
        chat = chat_at(base_url, **entry)
        try:
            asked.turn = await chat.ask(request, hear if listen else None)
        except ModelUnavailable as unavailable:
            asked.unavailable = unavailable
        finally:
            await chat.close()
    return asked


def chat_at(base_url: str, **entry: Any) -> Chat:
    return Chat(ModelEntry(**({"pattern": "*", "provider": "chat", "base_url": base_url, "api_key": KEY} | entry)))


@asynccontextmanager
async def serve(handler: Handler) -> AsyncIterator[str]:
    """Base URL of a server that sends every request to the handler."""
    application = web.Application(client_max_size=64 * 1024 * 1024)
    application.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


def completion(content: Any = None, finish: str | None = "stop", **message: Any) -> dict[str, Any]:
    """A whole answer in the form of the API."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "finish_reason": finish,
                "message": {"role": "assistant", "content": content, **message},
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    }


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    """One chunk of a streamed answer."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}


USAGE_CHUNK: dict[str, Any] = {"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 5}}


def asked_call(id: Any, name: Any, arguments: Any, **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def answering(answer: Any, status: int = 200, headers: dict[str, str] | None = None) -> Handler:
    """Always this JSON; bytes and text as they are."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if isinstance(answer, bytes):
            return web.Response(body=answer, status=status, headers=headers)
        if isinstance(answer, str):
            return web.Response(text=answer, status=status, headers=headers)
        return web.json_response(answer, status=status, headers=headers)

    return handle


def streaming(*chunks: Any, done: bool = True, then: str = "end", content_type: str = "text/event-stream") -> Handler:
    """These chunks as events (text and bytes as they are). then: `end`, `reset` or `hang`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        for item in chunks:
            text = item if isinstance(item, str | bytes) else f"data: {json.dumps(item)}\n\n"
            await response.write(text if isinstance(text, bytes) else text.encode())
        if done:
            await response.write(b"data: [DONE]\n\n")
        await _finish(request, then)
        return response

    return handle


def ending(then: str) -> Handler:
    """No answer: `hang` or `reset`."""

    async def handle(request: web.Request) -> web.StreamResponse:
        await _finish(request, then)
        return web.Response()

    return handle


async def _finish(request: web.Request, then: str) -> None:
    if then == "reset":
        assert request.transport is not None
        request.transport.abort()
    elif then == "hang":
        await asyncio.Event().wait()
