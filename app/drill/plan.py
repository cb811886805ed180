"""What a drill does, all of it derived from its seed: turns, the faults that their calls meet, and what is broken when.

Every call carries a mark that no other call has, so that the outside world's trails tell what it did even where
a whole request was made twice.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from app.drill.catalog import SETTLE_S, TIMEOUT_S, TOOLS, ToolKind

Act = Literal["kill", "stall", "crash", "cut", "kill_web"]
# Of each hundred turns so many acts, and at least so many in a drill: more kills come of armed points.
RATES: Final[Mapping[Act, tuple[float, int]]] = {
    "kill": (0.035, 3),
    "stall": (0.025, 2),
    "crash": (0.002, 1),
    "cut": (0.015, 1),
    "kill_web": (0.008, 1),
}
POINTS: Final = ("before_intent", "after_intent", "checked", "written", "after_effect", "before_record", "after_record")
# Stopped between the last check and the socket, a sender does what the documents say stays open.
STOP_POINTS: Final = tuple(point for point in POINTS if point != "checked")
ARMED_SHARE: Final = 0.6
STOPPING_SHARE: Final = 0.3
FAULTED: Final[Mapping[str, float]] = {"send_email": 0.15, "get_ticket": 0.2}
FAULTED_ELSE: Final = 0.35
# After the timeout, and before the assumption (deadline + settle_s) ends, with a margin for a busy machine.
LATEST_EFFECT_S: Final = TIMEOUT_S + SETTLE_S + 0.5


@dataclass(frozen=True)
class PlannedCall:
    """One tool call: what is asked, its mark, and the faults of its first and second attempt, if any."""

    kind: ToolKind
    mark: str
    rules: tuple[Mapping[str, Any], ...] = ()

    @property
    def arguments(self) -> dict[str, Any]:
        """What the model says."""
        return {**self.kind.arguments, self.kind.marked_by: self.mark}


@dataclass(frozen=True)
class Turn:
    """What a user asks for: rounds of parallel calls; cancelled after a time or not; asked for again after that."""

    number: int
    rounds: tuple[tuple[PlannedCall, ...], ...]
    cancel_after_s: float | None = None
    again: bool = False

    @property
    def runs(self) -> int:
        """How many runs it makes."""
        return 1 + self.again

    @property
    def calls(self) -> list[PlannedCall]:
        """All calls, in order."""
        return [call for calls in self.rounds for call in calls]

    @property
    def script(self) -> str:
        """What the scripted model plays; its last words are all outputs."""
        entries: list[dict[str, Any]] = [
            {"tool_calls": [{"name": call.kind.name, "arguments": call.arguments} for call in calls]}
            for calls in self.rounds
        ]
        return json.dumps({"script": [*entries, {"say": "{{all_outputs}}"}]})


@dataclass(frozen=True)
class Disturbance:
    """What is broken once so many turns have begun. share: which worker, or how much, as a part of 1."""

    after: int
    act: Act
    share: float
    seconds: float


@dataclass(frozen=True)
class Plan:
    """A whole drill. lives: for each worker in the order of starts, the point where it dies or stops, or nothing."""

    seed: int
    turns: tuple[Turn, ...]
    disturbances: tuple[Disturbance, ...]
    lives: tuple[str, ...]


def make_plan(seed: int, runs: int, *, lease_s: float) -> Plan:
    """The plan of a seed; equal seeds and numbers of runs make equal plans."""
    chance = random.Random(f"{seed}/turns")
    turns: list[Turn] = []
    left = runs
    while left:
        turns.append(_turn(len(turns), chance, left))
        left -= turns[-1].runs
    chance = random.Random(f"{seed}/disturbances")
    disturbances = [
        Disturbance(chance.randrange(len(turns)), act, chance.random(), lease_s * chance.uniform(1.2, 2.5))
        for act, (rate, least) in RATES.items()
        for _ in range(max(least, round(rate * runs)))
    ]
    chance = random.Random(f"{seed}/lives")
    lives = tuple(_life(chance) for _ in range(runs + 100))
    return Plan(seed, tuple(turns), tuple(sorted(disturbances, key=lambda one: one.after)), lives)


def _life(chance: random.Random) -> str:
    hits = chance.randint(1, 25)
    stops = chance.random() < STOPPING_SHARE
    point = chance.choice(STOP_POINTS if stops else POINTS)
    armed = chance.random() < ARMED_SHARE
    return f"{point}:{hits}{':stop' if stops else ''}" if armed else ""


SHAPES: Final[Sequence[tuple[int, ...]]] = ((1,), (1,), (1,), (2,), (2,), (1, 1), (1, 1), (3, 1))


def _turn(number: int, chance: random.Random, left: int) -> Turn:
    cancels = chance.random() < 0.08
    again = cancels and chance.random() < 0.7 and left > 1
    shape = (1,) if again else chance.choice(SHAPES)
    kinds = [kind for kind in TOOLS.values() if kind.reuses] if again else [k for k in TOOLS.values() if not k.reuses]
    weights = [kind.weight for kind in kinds]
    rounds = tuple(
        tuple(_call(chance.choices(kinds, weights)[0], f"{number}-{r}-{i}", chance) for i in range(count))
        for r, count in enumerate(shape)
    )
    return Turn(number, rounds, chance.uniform(0.05, 2.5) if cancels else None, again)


def _call(kind: ToolKind, mark: str, chance: random.Random) -> PlannedCall:
    if kind.sandbox is None or chance.random() > FAULTED.get(kind.name, FAULTED_ELSE):
        return PlannedCall(kind, mark)
    rules = [_rule(kind, mark, *_fault(chance), times=1)]
    if chance.random() < 0.3:
        rules.append(_rule(kind, mark, *_fault(chance), attempt=2))
    return PlannedCall(kind, mark, tuple(rules))


def _rule(
    kind: ToolKind, mark: str, fault: str, value: object, *, attempt: int | None = None, times: int | None = None
) -> Mapping[str, Any]:
    match: dict[str, Any] = {kind.marked_by: mark, **({} if attempt is None else {"attempt": attempt})}
    return {"tool": kind.sandbox, "kind": fault, "value": value, "match": match, "times": times}


def _fault(chance: random.Random) -> tuple[str, object]:
    """One way in which a request goes wrong: (kind, value)."""
    around_timeout = round(TIMEOUT_S + chance.uniform(-0.05, 0.05), 3)
    late = round(chance.uniform(TIMEOUT_S + 0.1, LATEST_EFFECT_S), 2)
    ways: tuple[tuple[str, object], ...] = (
        ("answer_lost", "reset"),
        ("answer_lost", "close"),
        ("cut", None),
        ("status_after", chance.choice((500, 502, 503, 504))),
        ("garbage", None),
        ("late", late),
        ("late", late),
        ("hang", None),
        ("request_lost", chance.choice(("reset", "close"))),
        ("status_before", chance.choice((500, 503))),
        ("refused", 429),
        ("latency", around_timeout),
        ("latency_after", around_timeout),
        ("latency_after", round(chance.uniform(0.05, 0.6), 2)),
        ("drip", round(chance.uniform(0.3, 2.0), 2)),
    )
    return chance.choice(ways)


def lookup_faults(seed: int, *, lying: bool) -> str:
    """The sandbox's SPEC for lookups: behind, down, silent, unreadable; lying only when asked for."""
    items = ["lookup_lag=0.8@0.2", "lookup_down@0.15", "lookup:hang@0.03", "lookup:garbage@0.03", f"seed={seed}"]
    return ",".join([*(["lookup_lies@0.2"] if lying else []), *items])
