"""The clients of a drill: they resend as the official ones do, poll, answer their own tools, cancel and ask again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from app.drill.catalog import ANY_TICKET, TOOLS
from app.drill.plan import Turn

ENDED: Final = frozenset({"completed", "failed", "incomplete", "cancelled", "expired"})
TRIES: Final = 60
LONGEST_PAUSE_S: Final = 1.0
FIRST_POLL_S: Final = 0.3
POLL_S: Final = 0.8
REQUEST_TIMEOUT_S: Final = 20.0
RESENT: Final = frozenset({408, 409, 429, 500, 502, 503, 504})


class Refused(Exception):
    """The agent API refused {method} {path}: {status} {said}"""

    def __init__(self, method: str, path: str, status: int, said: str) -> None:
        super().__init__(f"the agent API refused {method} {path}: {status} {said[:300]}")


@dataclass
class Ran:
    """One run of a turn, as its client knows it.

    touched: something was broken while or where it ran. with_operator: it waits for a person, for now.
    """

    turn: Turn
    run_id: str
    thread_id: str
    status: str = ""
    said: str = ""
    cancelled: bool = False
    touched: bool = False
    with_operator: bool = False


@dataclass
class Clients:
    """All clients of a drill. Each keeps its run here as soon as it knows it.

    parked: told of each turn that waits for a person the first time. closing: each looks once more, and leaves.
    """

    session: aiohttp.ClientSession
    url: str
    assistant_id: str
    ticket_id: str
    ran: list[Ran] = field(default_factory=list)
    active: dict[str, Ran] = field(default_factory=dict)
    resent: int = 0
    complaints: list[str] = field(default_factory=list)
    parked: Callable[[Turn], None] = lambda _turn: None
    closing: bool = False

    async def play(self, turn: Turn) -> None:
        """One turn from its creation to its end."""
        message = {"role": "user", "content": turn.script.replace(ANY_TICKET, self.ticket_id)}
        body = {"assistant_id": self.assistant_id, "thread": {"messages": [message]}}
        ran = await self._started(turn, await self.ask("POST", "/threads/runs", body))
        await self._follow(ran)
        if turn.again and not self.closing:
            made = await self.ask("POST", f"/threads/{ran.thread_id}/runs", {"assistant_id": self.assistant_id})
            await self._follow(await self._started(turn, made))

    async def _started(self, turn: Turn, made: dict[str, Any]) -> Ran:
        ran = Ran(turn, made["id"], made["thread_id"])
        self.ran.append(ran)
        self.active[ran.run_id] = ran
        return ran

    async def _follow(self, ran: Ran) -> None:
        first = not any(one.turn is ran.turn and one is not ran for one in self.ran)
        canceller = None
        if first and ran.turn.cancel_after_s is not None:
            canceller = asyncio.create_task(self._cancel_later(ran, ran.turn.cancel_after_s))
        try:
            await self._poll(ran)
        finally:
            if canceller is not None:
                await canceller
        self.active.pop(ran.run_id, None)

    async def _poll(self, ran: Ran) -> None:
        pause_s = FIRST_POLL_S
        path = f"/threads/{ran.thread_id}/runs/{ran.run_id}"
        while True:
            last = self.closing
            if not last:
                await asyncio.sleep(pause_s)
            pause_s = POLL_S
            if ran.with_operator and not last:
                self.parked(ran.turn)
                continue
            run = await self.ask("GET", path)
            ran.status = run["status"]
            if run["status"] == "requires_action":
                await self._submit(ran, run)
            if ran.status in ENDED:
                ran.said = await self._last_words(ran)
            if ran.status in ENDED or last:
                return

    async def _submit(self, ran: Ran, run: dict[str, Any]) -> None:
        """Answer the client's own tools: what is asked is the answer."""
        asked = run["required_action"]["submit_tool_outputs"]["tool_calls"]
        outputs = [
            {"tool_call_id": call["id"], "output": json.dumps({"answer": json.loads(call["function"]["arguments"])})}
            for call in asked
        ]
        path = f"/threads/{ran.thread_id}/runs/{ran.run_id}/submit_tool_outputs"
        try:
            await self.ask("POST", path, {"tool_outputs": outputs})
        except Refused as refused:
            if not (ran.cancelled or ran.turn.cancel_after_s is not None):  # it may be cancelled at this moment
                self.complaints.append(str(refused))

    async def _cancel_later(self, ran: Ran, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            await self.ask("POST", f"/threads/{ran.thread_id}/runs/{ran.run_id}/cancel", {})
            ran.cancelled = True
        except Refused:
            pass  # it had ended

    async def _last_words(self, ran: Ran) -> str:
        listed = await self.ask("GET", f"/threads/{ran.thread_id}/messages?run_id={ran.run_id}&limit=1")
        parts = listed["data"][0]["content"] if listed["data"] else []
        return str(parts[0]["text"]["value"]) if parts else ""

    async def ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """A request, sent again with the same bytes and a count while no answer comes. Raises `Refused`."""
        data = None if body is None else json.dumps(body).encode()
        for tried in range(TRIES):
            if tried:
                self.resent += 1
                await asyncio.sleep(min(LONGEST_PAUSE_S, 0.25 * tried))
            headers = {"Content-Type": "application/json", "x-stainless-retry-count": str(tried)}
            try:
                async with self.session.request(method, f"{self.url}/v1{path}", data=data, headers=headers) as reply:
                    text = await reply.text()
            except (aiohttp.ClientError, TimeoutError):
                continue
            if reply.status == 200:
                answer: dict[str, Any] = json.loads(text)
                return answer
            if reply.status not in RESENT:
                raise Refused(method, path, reply.status, text)
        raise Refused(method, path, 0, "no answer, however often it was sent")


async def make_clients(session: aiohttp.ClientSession, url: str, ticket_id: str) -> Clients:
    """Clients with an assistant that has every tool of the drill."""
    clients = Clients(session, url, "", ticket_id)
    tools = [{"type": "function", "function": {"name": name}} for name in TOOLS]
    clients.assistant_id = (await clients.ask("POST", "/assistants", {"model": "scripted", "tools": tools}))["id"]
    return clients


def make_session(key: str) -> aiohttp.ClientSession:
    """A session of the agent API's key; a proxy of the environment has no say."""
    return aiohttp.ClientSession(
        headers={"Authorization": f"Bearer {key}"},
        timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S),
        connector=aiohttp.TCPConnector(limit=0),
    )
