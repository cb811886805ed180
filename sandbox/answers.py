"""How an answer leaves: whole, spoilt by a fault, in bits, or not at all."""

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from aiohttp import web

from sandbox.action import Reply
from sandbox.faults import Fault

Ending = Literal["whole", "reset", "close", "silence", "cut", "drip"]
BITS: Final = 20
FATES: Final[Mapping[Ending, str]] = {
    "whole": "sent",
    "drip": "sent",
    "reset": "lost",
    "close": "lost",
    "cut": "lost",
    "silence": "none",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes to send and how the sending ends; `over_s` spreads a dripping answer over so many seconds."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    content_type: str = "application/json"
    ending: Ending = "whole"
    over_s: float = 0.0


def from_reply(reply: Reply) -> Answer:
    """The answer as it is when nothing goes wrong."""
    return Answer(reply.status, json.dumps(reply.body).encode(), reply.headers)


def problem(status: int, error: str, message: str, *headers: tuple[str, str]) -> Answer:
    """An answer that says what is wrong, as JSON: {"error", "message"}."""
    return from_reply(Reply(status, {"error": error, "message": message}, headers=headers))


def instead(fault: Fault, tool: str) -> Answer | None:
    """Return the answer of a fault that keeps the request from having an effect; None for other faults."""
    status = int(fault.value) if isinstance(fault.value, (int, float)) else 500
    match fault.kind:
        case "hang":
            return Answer(ending="silence")
        case "request_lost":
            return Answer(ending="close" if fault.value == "close" else "reset")
        case "status_before" | "lookup_down":
            return problem(status, "sandbox_fault", f"{fault}: nothing was done")
        case "refused":
            return problem(status, "refused", f"{fault}: nothing was done", ("Retry-After", "1"))
        case "redirect":
            place = "/tickets" if tool == "lookup" else f"/tools/{tool}"
            return problem(status, "moved", f"{fault}: nothing was done", ("Location", place))
    return None


def spoil(answer: Answer, fault: Fault) -> Answer:
    """Return the answer as a fault leaves it; faults of other kinds leave it as it is."""
    match fault.kind:
        case "answer_lost":
            return replace(answer, ending="close" if fault.value == "close" else "reset")
        case "status_after":
            status = int(fault.value) if isinstance(fault.value, (int, float)) else 500
            return problem(status, "sandbox_fault", "something broke on the way")
        case "no_content":
            return Answer(204)
        case "cut":
            return replace(answer, ending="cut")
        case "drip":
            return replace(answer, ending="drip", over_s=float(fault.value or 0))
        case _:
            return _spoil_body(answer, fault)


def _spoil_body(answer: Answer, fault: Fault) -> Answer:
    match fault.kind:
        case "garbage":
            return replace(answer, body=b"<html><body>It works!</body></html>", content_type="text/html")
        case "nul":
            nul = b"\\u0000" if fault.value == "escaped" else b"\x00"
            return replace(answer, body=_with_note(answer.body, nul))
        case "bad_utf8":
            return replace(answer, body=_with_note(answer.body, b"\xff\xfe\xc3\x28"))
        case "huge":
            padding = b"x" * int(float(fault.value or 0) * 2**20)
            return replace(answer, body=_with_note(answer.body, padding))
        case _:
            return answer


def _with_note(body: bytes, note: bytes) -> bytes:
    """Add a field `note` with these raw bytes to a JSON object."""
    return body.rstrip()[:-1] + b', "note": "' + note + b'"}'


async def send(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Send the answer, or what its ending leaves of it."""
    match answer.ending:
        case "silence":
            await asyncio.Event().wait()  # until the client goes: aiohttp then cancels the handler
        case "reset" | "close":
            hang_up(request, reset=answer.ending == "reset")
        case "cut" | "drip":
            return await _send_in_bits(request, answer)
    whole = web.Response(status=answer.status, body=answer.body, headers=_headers(answer))
    if answer.status != 204:
        whole.content_type = answer.content_type
    return whole


def hang_up(request: web.Request, *, reset: bool) -> None:
    """Break the connection without an answer: with RST, or with a plain FIN."""
    transport = request.transport
    if transport is None:
        return
    sock: Any = transport.get_extra_info("socket")
    if reset and sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _send_in_bits(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Announce the whole length; then half of the body and the end (cut), or all of it slowly (drip)."""
    response = web.StreamResponse(status=answer.status, headers=_headers(answer))
    response.content_type = answer.content_type
    response.content_length = len(answer.body)
    await response.prepare(request)
    if answer.ending == "cut":
        await response.write(answer.body[: len(answer.body) // 2])
        if request.transport is not None:
            request.transport.close()
        return response
    size = max(1, -(-len(answer.body) // BITS))
    for start in range(0, len(answer.body), size):
        await asyncio.sleep(answer.over_s / BITS)
        await response.write(answer.body[start : start + size])
    await response.write_eof()
    return response


def _headers(answer: Answer) -> dict[str, str]:
    return dict(answer.headers)
