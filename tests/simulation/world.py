"""The outside world of the simulation: what tools do and when, on the simulation's clock. It keeps every promise made.

An effect comes at the request, or later, but never after `timeout_s + settle_s` from the request; a key is
honoured for `key_ttl_s` from its first request; a lookup tells the truth or nothing.
"""

import json
from dataclasses import dataclass, field
from typing import Final, Literal

from app.catalog.tool import Catalog, Contract, Lookup, Tool
from worker.gateway.client import ToolRequest
from worker.gateway.outcome import Delivered, Found, LookupAnswer, NoAnswer, NoneFound, Outcome, Refused, Unknown

Fate = Literal["done", "lost", "late", "nothing", "refused", "failed"]
FATES: Final[tuple[Fate, ...]] = ("done", "lost", "late", "nothing", "refused", "failed")
TIMEOUT_S: Final = 1.0
SETTLE_S: Final = 2.0
SLACK_S: Final = 0.5
SEND_BY_S: Final = 2.0
LOOKUP: Final = Lookup("http://127.0.0.1:9/look?key={effect_key}", found="found", id="id", tries=3)
TIMES: Final = {"timeout_s": TIMEOUT_S, "settle_s": SETTLE_S, "max_attempts": 3}
CONTRACTS: Final = {
    "look": Contract(repeat="lookup", lookup=LOOKUP, **TIMES),
    "look_tell": Contract(repeat="lookup", lookup=LOOKUP, when_in_doubt="tell_model", **TIMES),
    "look_reuse": Contract(repeat="lookup", lookup=LOOKUP, same_request="reuse", **TIMES),
    "keyed": Contract(repeat="keyed", key_ttl_s=0, **TIMES),
    "keyed_short": Contract(repeat="keyed", key_ttl_s=14, **TIMES),
    "never": Contract(repeat="never", **TIMES),
    "safe": Contract(repeat="safe", **TIMES),
}
CATALOG: Final = Catalog({name: Tool(name, "http://127.0.0.1:9/act", contract=c) for name, c in CONTRACTS.items()})
Key = tuple[str, str]


@dataclass
class Request:
    """A request that reached the world."""

    key: Key
    tool: str
    effect_key: str
    attempt: int
    at: float


@dataclass
class Effect:
    """Something that happens at `at`, of a call."""

    id: str
    key: Key
    tool: str
    effect_key: str
    at: float

    @property
    def body(self) -> bytes:
        """What a reply or a lookup says of it."""
        return json.dumps({"id": self.id}).encode()


@dataclass
class World:
    """All requests and effects. now: seconds on the simulation's clock."""

    now: float = 0.0
    requests: list[Request] = field(default_factory=list)
    planned: list[Effect] = field(default_factory=list)

    def effects(self, key: Key | None = None) -> list[Effect]:
        """What has happened by now, of one call or of all."""
        return [e for e in self.planned if e.at <= self.now and key in (None, e.key)]

    def receive(self, request: ToolRequest, fate: Fate, late_s: float) -> Outcome:
        """Act on a request, and say what its sender learns by the end of the timeout."""
        key = (request.run_id, request.tool_call_id)
        tool = request.tool.name
        self.requests.append(Request(key, tool, request.effect_key, request.attempt, self.now))
        match fate:
            case "refused":
                return Refused("refused", "status 429", 429)
            case "failed":
                return Refused("failed", "status 422", 422)
            case "nothing":
                return Unknown("timeout")
            case "late":
                self._act(request, self.now + late_s * (TIMEOUT_S + SETTLE_S))
                return Unknown("timeout")
            case _:
                effect = self._act(request, self.now)
        if fate == "lost":
            return Unknown("ServerDisconnectedError")
        external = None if tool == "safe" else effect.id
        return Delivered(200, effect.body, effect.body, external)

    def look(self, effect_key: str, *, down: bool) -> LookupAnswer:
        """What a lookup by the call's mark answers now."""
        if down:
            return NoAnswer("status 503")
        found = [e for e in self.effects() if e.effect_key == effect_key]
        return Found([(e.id, e.body) for e in found]) if found else NoneFound()

    def _act(self, request: ToolRequest, at: float) -> Effect:
        if request.tool.contract.repeat == "keyed" and (known := self._known(request, at)) is not None:
            known.at = min(known.at, at)
            return known
        key = (request.run_id, request.tool_call_id)
        effect = Effect(f"eff-{len(self.planned)}", key, request.tool.name, request.effect_key, at)
        if request.tool.contract.repeat != "safe":
            self.planned.append(effect)
        return effect

    def _known(self, request: ToolRequest, at: float) -> Effect | None:
        """The effect that the key stands for, as long as the tool remembers it."""
        ttl_s = request.tool.contract.key_ttl_s
        first = min(r.at for r in self.requests if r.effect_key == request.effect_key)
        if ttl_s != 0 and at > first + (ttl_s or 0):
            return None
        return next((e for e in self.planned if e.effect_key == request.effect_key), None)
