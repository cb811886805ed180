"""A request to a tool or a lookup, from its arrival to its answer: read this first."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from sandbox.action import Asked, BadBodyError
from sandbox.answers import FATES, Answer, from_reply, instead, problem, send, spoil
from sandbox.effect import Origin
from sandbox.events import completion
from sandbox.faults import Fault, SpecError, parse_spec
from sandbox.world import World

WORLD: Final = web.AppKey("world", World)
FAULT_HEADER: Final = "X-Sandbox-Fault"


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was read; `body` None: not a JSON object; `number`: its entry in the access log."""

    tool: str
    body: Mapping[str, Any] | None
    origin: Origin
    faults: tuple[Fault, ...]
    number: int
    began: float

    def seconds(self, kind: str) -> float | None:
        """Return the seconds that a fault of this kind says, None when the call meets none."""
        return next((float(fault.value or 0) for fault in self.faults if fault.kind == kind), None)


async def handle(request: web.Request) -> web.StreamResponse:
    """Answer `/tools/…` and `GET /tickets`; the routes let only known tools through."""
    world = request.app[WORLD]
    tool = "lookup" if request.path == "/tickets" else request.path.removeprefix("/tools/")
    try:
        call = await read(world, tool, request)
    except SpecError as error:
        return await send(request, problem(400, "bad_fault", str(error)))
    return await answer(world, call, request)


async def read(world: World, tool: str, request: web.Request) -> Call:
    """Read the request, choose its faults and enter it in the access log; raises SpecError for its header."""
    began = time.monotonic()
    body = dict(request.query) if request.method == "GET" else _json_object(await request.read())
    origin = Origin.from_headers(request.headers)
    if (header := request.headers.get(FAULT_HEADER)) is not None:
        faults = tuple(fault for fault in parse_spec(header).faults if fault.tool in {None, tool})
    else:
        faults = world.plan.strike(tool, {**origin.to_json(), **(body or {})})
    asked = {"method": request.method, "path": request.path_qs, "tool": tool, **origin.to_json()}
    number = world.access.arrive({**asked, "faults": [str(fault) for fault in faults]})
    return Call(tool, body, origin, faults, number, began)


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


async def answer(world: World, call: Call, request: web.Request) -> web.StreamResponse:
    """Perform the call in a task of its own and send what comes of it.

    The task goes on when the client leaves, as the world does: the effect does not hear the line go dead.
    """
    try:
        made = await asyncio.shield(world.spawn(perform(world, call)))
    except asyncio.CancelledError:
        world.access.note(call.number, answer="gone")
        raise
    status = made.status if made.ending in {"whole", "drip", "cut"} else None
    world.access.note(call.number, status=status, answer=FATES[made.ending])
    return await send(request, made)


async def perform(world: World, call: Call) -> Answer:
    """Do what the call asks, with everything that goes wrong on the way."""
    await asyncio.sleep(call.seconds("latency") or 0)
    for fault in call.faults:
        if (other := instead(fault, call.tool)) is not None:
            return other
    try:
        asked = check(world, call)
    except BadBodyError as error:
        return problem(400, "bad_body", str(error))
    if (after_s := call.seconds("late")) is not None:
        await asyncio.sleep(max(0, call.began + after_s - time.monotonic()))
        act(world, call, asked)
        return Answer(ending="silence")
    if (after_s := call.seconds("accept_202")) is not None:
        work = world.spawn(act_later(world, call, asked, after_s))
        if asked.fault("event_first"):
            await work
        return Answer(202, b'{"status": "accepted"}')
    made = act(world, call, asked)
    await asyncio.sleep(call.seconds("latency_after") or 0)
    for fault in call.faults:
        made = spoil(made, fault)
    return made


def check(world: World, call: Call) -> Asked:
    """Check the fields of the call; raises BadBodyError."""
    if call.body is None:
        raise BadBodyError("the body must be a JSON object")
    return Asked(world.actions[call.tool].check(call.body), call.origin, call.faults)


def act(world: World, call: Call, asked: Asked) -> Answer:
    """Make the effect and enter it in the access log; in one go, so that nothing else sees a half of it."""
    action = world.actions[call.tool]
    reply = action.act(asked)
    effects = list(reply.effects)
    if asked.fault("twice"):
        effects.extend(action.act(asked).effects)
    if effects:
        world.access.note(call.number, effects=effects)
    return from_reply(reply)


async def act_later(world: World, call: Call, asked: Asked, after_s: float) -> None:
    """Make the effect of an accepted call, and tell of it where somebody wants to know."""
    await asyncio.sleep(after_s)
    failed = asked.fault("event_failed") is not None
    output: object = {"error": "it did not work out"} if failed else json.loads(act(world, call, asked).body)
    if world.events is None or asked.fault("event_lost"):
        return
    await asyncio.sleep(call.seconds("event_delay") or 0)
    event = completion(call.origin, output, succeeded=not failed, named=not asked.fault("event_unnamed"))
    await world.events.tell(event, copies=2 if asked.fault("event_twice") else 1)
