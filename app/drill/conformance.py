"""Whether a tool keeps what its contract says, found out in its test system before production does.

Every request here is a real one: keys are new for each check, the arguments are the caller's own.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlencode

import aiohttp
import jmespath

from app.catalog.tool import Tool

Finding = Literal["ok", "broken", "unknown"]
CUT_AFTER_S: Final = 0.05
LOOK_EVERY_S: Final = 0.2


@dataclass(frozen=True)
class Check:
    """What was tried, what came of it, and in which words."""

    name: str
    found: Finding
    words: str


@dataclass(frozen=True)
class Reply:
    """A whole reply, or none. effect: its external id, or where there is none its body."""

    status: int | None
    body: Any = None
    effect: str | None = None
    words: str = ""

    @property
    def happened(self) -> bool:
        """Whether it says that the effect came about."""
        return self.status is not None and 200 <= self.status < 300 and self.status != 202


@dataclass
class Bench:
    """One tool, its arguments, and a session to try it with."""

    tool: Tool
    arguments: Mapping[str, Any]
    session: aiohttp.ClientSession
    name: str = field(default_factory=lambda: f"verify-{secrets.token_hex(4)}")
    made: int = 0

    def marks(self) -> dict[str, str]:
        """The placeholders' values of one more call."""
        self.made += 1
        key = f"eff_{secrets.token_hex(20)}"
        call = {"run_id": f"run_{self.name}", "tool_call_id": f"call_{self.made}", "thread_id": f"thread_{self.name}"}
        return {**call, "effect_key": key, "fingerprint": secrets.token_hex(32)}

    async def send(self, marks: Mapping[str, str], *, cut: bool = False) -> Reply:
        """One request; cut, its answer is not waited for."""
        tool = self.tool
        body = tool.request_body(self.arguments, marks)
        url, data = tool.request_url(marks), json.dumps(body).encode()
        headers = {**tool.headers, "Content-Type": "application/json", tool.key_header: marks["effect_key"]}
        headers |= {"X-Run-Id": marks["run_id"], "X-Tool-Call-Id": marks["tool_call_id"]}
        headers |= {"X-Thread-Id": marks["thread_id"], "X-Request-Fingerprint": marks["fingerprint"], "X-Attempt": "1"}
        if tool.method == "GET":
            url, data = f"{url}{'&' if '?' in url else '?'}{urlencode(body)}", b""
        request = asyncio.create_task(self._exchange(tool.method, url, data or None, headers))
        if cut:
            await asyncio.wait({request}, timeout=CUT_AFTER_S)
            request.cancel()
            await asyncio.gather(request, return_exceptions=True)
            return Reply(None, words="cut")
        return await request

    async def look(self, marks: Mapping[str, str]) -> list[str] | None:
        """The ids that the lookup finds; None where it gives no answer."""
        lookup = self.tool.contract.lookup
        assert lookup is not None
        reply = await self._exchange("GET", self.tool.lookup_url(marks), None, dict(self.tool.headers))
        if reply.status in lookup.none_status:
            return []
        found = jmespath.search(lookup.found, reply.body) if reply.happened and reply.body is not None else None
        return [str(jmespath.search(lookup.id, item)) for item in found] if isinstance(found, list) else None

    async def _exchange(self, method: str, url: str, data: bytes | None, headers: dict[str, str]) -> Reply:
        try:
            async with self.session.request(method, url, data=data, headers=headers, allow_redirects=False) as reply:
                text = await reply.text(errors="replace")
        except (aiohttp.ClientError, TimeoutError) as error:
            return Reply(None, words=f"no answer: {type(error).__name__}")
        try:
            body = json.loads(text) if text else None
        except ValueError:
            return Reply(reply.status, words=f"{reply.status}, and no JSON")
        path = self.tool.external_id
        found = jmespath.search(path, body) if path and body is not None else None
        effect = str(found) if found is not None else json.dumps(body, sort_keys=True)
        return Reply(reply.status, body, effect, f"{reply.status}")


async def verify(tool: Tool, arguments: Mapping[str, Any]) -> list[Check]:
    """Everything that can be found out about this tool from outside."""
    timeout = aiohttp.ClientTimeout(total=tool.contract.timeout_s)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        bench = Bench(tool, arguments, session)
        first = await bench.send(bench.marks())
        if not first.happened:
            words = f"{first.words}: {json.dumps(first.body)[:200]}"
            return [Check("answers", "broken", f"a plain request is not answered by 2xx and JSON: {words}")]
        checks = [Check("answers", "ok", f"{first.status}, effect {first.effect}")]
        return checks + [check async for check in CHECKS[tool.contract.repeat](bench)]


async def _keyed(bench: Bench) -> AsyncIterator[Check]:
    marks = bench.marks()
    yield _same("one key twice", await bench.send(marks), await bench.send(marks))
    marks = bench.marks()
    yield _same("one key twice at once", *await asyncio.gather(bench.send(marks), bench.send(marks)))
    marks = bench.marks()
    await bench.send(marks, cut=True)
    yield _same("one key again after a lost answer", await bench.send(marks), await bench.send(marks))
    one, other = await bench.send(bench.marks()), await bench.send(bench.marks())
    if one.happened and other.happened and one.effect == other.effect:
        yield Check("two keys", "broken", f"two keys, and one effect ({one.effect}): a second call would do nothing")
    else:
        yield Check("two keys", "ok", "two effects, as two calls must have")


def _same(name: str, one: Reply, other: Reply) -> Check:
    if not (one.happened and other.happened):
        # In doubt about one of both, the ledger asks again later: what counts is that none says that it did nothing.
        return Check(name, "unknown", f"answers {one.words} and {other.words}")
    if one.effect == other.effect:
        return Check(name, "ok", f"one effect: {one.effect}")
    return Check(name, "broken", f"two effects: {one.effect} and {other.effect}. It is not keyed")


async def _lookup(bench: Bench) -> AsyncIterator[Check]:
    before = await bench.look(bench.marks())
    yield (
        Check("nothing there", "ok", "an empty list")
        if before == []
        else Check("nothing there", "broken", f"wanted an empty list for a mark that nobody used, got {before}")
    )
    marks = bench.marks()
    sent = await bench.send(marks)
    yield await _appears(bench, marks, "found after its answer", sent.effect)
    marks = bench.marks()
    await bench.send(marks, cut=True)
    check = await _appears(bench, marks, "found after a lost answer", None)
    yield (
        check
        if check.found != "broken"
        else Check(
            check.name, "unknown", "nothing within settle_s: either it did not happen, or it shows later than promised"
        )
    )


async def _appears(bench: Bench, marks: Mapping[str, str], name: str, wanted: str | None) -> Check:
    """Look until the effect is there, for as long as the contract allows."""
    settle_s = bench.tool.contract.settle_s
    began = time.monotonic()
    found: list[str] | None = None
    while time.monotonic() - began <= settle_s + LOOK_EVERY_S:
        found = await bench.look(marks)
        seconds = time.monotonic() - began
        if found and len(found) > 1:
            return Check(name, "broken", f"one request, {len(found)} effects: {', '.join(found)}")
        if found and wanted not in (None, found[0]):
            return Check(name, "broken", f"the lookup says {found[0]}, the answer said {wanted}: one id is wrong")
        if found:
            return Check(name, "ok", f"{found[0]} after {seconds:.1f} s (settle_s is {settle_s:g})")
        await asyncio.sleep(LOOK_EVERY_S)
    what = "no answer from the lookup" if found is None else "not found"
    return Check(name, "broken", f"{what} within settle_s ({settle_s:g} s): it would be sent again")


async def _safe(bench: Bench) -> AsyncIterator[Check]:
    marks = bench.marks()
    one, other = await bench.send(marks), await bench.send(marks)
    if one.happened and other.happened and one.effect != other.effect:
        yield Check("twice", "unknown", "two different answers: sure that it only reads?")
    else:
        yield Check(
            "twice", "ok", f"answers {one.words} and {other.words}; that it only reads cannot be seen from here"
        )


async def _never(_bench: Bench) -> AsyncIterator[Check]:
    yield Check("promise", "ok", "it promises nothing, so there is nothing to break")


CHECKS: Final[Mapping[str, Callable[[Bench], AsyncIterator[Check]]]] = {
    "keyed": _keyed,
    "lookup": _lookup,
    "safe": _safe,
    "never": _never,
}
