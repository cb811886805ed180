"""The ways in which the outside world can go wrong, and how they are written down.

A SPEC is a list, separated by commas or semicolons, of `[tool:]kind[=value][@probability][*times]` and
`seed=N`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Unit = Literal["seconds", "status", "mib", "word", "none"]
TOOLS: Final = ("create_ticket", "get_ticket", "send_email", "create_invoice", "lookup")


@dataclass(frozen=True, slots=True)
class FaultKind:
    """What one kind of fault does, the unit of its value, and the value that it has when none is given."""

    what: str
    unit: Unit = "none"
    default: float | str | None = None
    words: tuple[str, ...] = ()


KINDS: Final[Mapping[str, FaultKind]] = {
    "latency": FaultKind("waits before the effect", "seconds", 1.0),
    "latency_after": FaultKind("waits between the effect and the answer", "seconds", 1.0),
    "request_lost": FaultKind("no effect, the connection breaks", "word", "reset", ("reset", "close")),
    "answer_lost": FaultKind("effect, then the connection breaks", "word", "reset", ("reset", "close")),
    "status_before": FaultKind("this status, no effect", "status", 503),
    "status_after": FaultKind("effect, then this status", "status", 500),
    "refused": FaultKind("this status with Retry-After: 1, no effect", "status", 429),
    "redirect": FaultKind("this status with a Location, no effect", "status", 302),
    "hang": FaultKind("never answers, no effect"),
    "late": FaultKind("never answers; the effect comes so long after arrival", "seconds", 15.0),
    "accept_202": FaultKind("answers 202 at once; the effect comes so much later", "seconds", 1.0),
    "event_lost": FaultKind("with accept_202: its completion event is never sent"),
    "event_twice": FaultKind("with accept_202: its completion event is sent twice"),
    "event_delay": FaultKind("with accept_202: its completion event comes so much later", "seconds", 1.0),
    "event_first": FaultKind("with accept_202: its effect and completion event come before the answer"),
    "event_failed": FaultKind("with accept_202: no effect, the completion event says so"),
    "event_unnamed": FaultKind("with accept_202: its completion event names no attempt"),
    "twice": FaultKind("one request, two effects"),
    "garbage": FaultKind("effect, then 200 with what is not JSON"),
    "no_content": FaultKind("effect, then 204"),
    "nul": FaultKind("effect, then JSON with an escaped NUL (or a raw one)", "word", "escaped", ("escaped", "raw")),
    "bad_utf8": FaultKind("effect, then JSON with bytes that are no UTF-8"),
    "huge": FaultKind("effect, then a reply of so many MiB", "mib", 5.0),
    "cut": FaultKind("effect, then an answer that breaks off in its body"),
    "drip": FaultKind("effect, then an answer that takes so long to arrive, bit by bit", "seconds", 5.0),
    "lookup_down": FaultKind("the lookup answers this status", "status", 503),
    "lookup_lag": FaultKind("the lookup does not see what is younger than this", "seconds", 5.0),
    "lookup_lies": FaultKind("the lookup finds nothing"),
}


class SpecError(ValueError):
    """faults: {item!r}: {wrong}"""

    def __init__(self, item: object, wrong: str) -> None:
        super().__init__(f"faults: {item!r}: {wrong}")


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: which requests it is for, how often it strikes, and what it does.

    `match` holds (name, value) pairs that the request's fields or `Origin` must have; `times` None: for ever.
    """

    kind: str
    value: float | str | None = None
    tool: str | None = None
    probability: float = 1.0
    times: int | None = None
    match: tuple[tuple[str, str], ...] = ()

    def concerns(self, tool: str, facts: Mapping[str, Any]) -> bool:
        """Say whether this fault is for such a request; without a tool, only `lookup_…` is for lookups."""
        if self.tool != tool and (self.tool or self.kind.startswith("lookup_") != (tool == "lookup")):
            return False
        return all(name in facts and str(facts[name]) == value for name, value in self.match)

    def __str__(self) -> str:
        """The fault as an item of a SPEC (a match has no place there)."""
        text = f"{self.tool}:{self.kind}" if self.tool else self.kind
        if self.value is not None:
            text += f"={self.value:g}" if isinstance(self.value, float) else f"={self.value}"
        if self.probability < 1:
            text += f"@{self.probability:g}"
        return text if self.times is None else f"{text}*{self.times}"

    def to_json(self) -> dict[str, Any]:
        """The fault as a rule of POST /faults."""
        return {
            "tool": self.tool,
            "kind": self.kind,
            "value": self.value,
            "probability": self.probability,
            "times": self.times,
            "match": dict(self.match),
        }


@dataclass(frozen=True, slots=True)
class Spec:
    """A SPEC that was read: its faults in order, and its seed where it names one."""

    faults: tuple[Fault, ...] = ()
    seed: int | None = None

    def __str__(self) -> str:
        """The SPEC again, in its normal form."""
        seed = () if self.seed is None else (f"seed={self.seed}",)
        return ",".join((*map(str, self.faults), *seed))


ITEM: Final = re.compile(
    r"(?:(?P<tool>[a-z_]+):)?(?P<kind>[a-z_0-9]+)(?:=(?P<value>[^@*]*))?(?:@(?P<probability>[^*]*))?(?:\*(?P<times>.*))?"
)


def parse_spec(text: str) -> Spec:
    """Read a SPEC; empty and `none` are no faults. Raises SpecError: the item, and what would be right."""
    faults: list[Fault] = []
    seed: int | None = None
    for item in filter(None, map(str.strip, re.split(r"[,;]", text))):
        if item.startswith("seed="):
            seed = _whole(item, item.removeprefix("seed="), "seed", least=0)
        elif item != "none":
            faults.append(_parse_item(item))
    return Spec(tuple(faults), seed)


def _parse_item(item: str) -> Fault:
    match = ITEM.fullmatch(item)
    if match is None:
        raise SpecError(item, "not of the form [tool:]kind[=value][@probability][*times]")
    parts: dict[str, Any] = match.groupdict()
    return make_fault(item, **parts)


def parse_rule(rule: object) -> Fault:
    """Read a rule: {"kind", "tool"?, "value"?, "probability"?, "times"?, "match"?}. Raises SpecError."""
    if not isinstance(rule, dict):
        raise SpecError(rule, "a rule is an object with kind, tool, value, probability, times, match")
    unknown = set(rule) - {"kind", "tool", "value", "probability", "times", "match"}
    if unknown:
        raise SpecError(rule, f"a rule has no {', '.join(sorted(unknown))}")
    match = rule.get("match", {})
    if not isinstance(match, dict):
        raise SpecError(rule, "match is an object of field and value")
    names = ("kind", "tool", "value", "probability", "times")
    parts: dict[str, Any] = {name: rule.get(name) for name in names}
    return make_fault(rule, **parts, match=match)


def make_fault(
    item: object,
    *,
    kind: Any,
    tool: Any = None,
    value: Any = None,
    probability: Any = None,
    times: Any = None,
    match: Mapping[str, Any] | None = None,
) -> Fault:
    """Check the parts of one fault, as text or as JSON values; raises SpecError that quotes `item`."""
    if kind not in KINDS:
        raise SpecError(item, f"no kind {kind!r}; kinds are {_listed(KINDS)}")
    if tool and tool not in TOOLS:
        raise SpecError(item, f"no tool {tool!r}; tools are {_listed(TOOLS)}")
    return Fault(
        kind,
        _value(item, kind, value),
        tool or None,
        1.0 if probability in (None, "") else _number(item, probability, "probability", 0, 1),
        None if times in (None, "") else _whole(item, times, "times", least=1),
        tuple((str(name), str(wanted)) for name, wanted in (match or {}).items()),
    )


def _value(item: object, kind: str, value: Any) -> float | str | None:
    known = KINDS[kind]
    if value in (None, ""):
        return known.default
    match known.unit:
        case "none":
            raise SpecError(item, f"{kind} takes no value")
        case "seconds":
            return _number(item, value, f"{kind} in seconds", 0, 3600)
        case "mib":
            return _number(item, value, f"{kind} in MiB", 0, 64)
        case "status":
            return _whole(item, value, f"{kind}'s status", least=200, most=599)
        case "word":
            if value not in known.words:
                raise SpecError(item, f"{kind} takes {' or '.join(known.words)}")
            return str(value)


def _number(item: object, value: Any, name: str, least: float, most: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not least <= number <= most:
        raise SpecError(item, f"{name} is a number from {least:g} to {most:g}")
    return number


def _whole(item: object, value: Any, name: str, *, least: int, most: int = 2**63) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if not least <= number <= most:
        bounds = f"from {least} to {most}" if most < 2**63 else f"of at least {least}"
        raise SpecError(item, f"{name} is a whole number {bounds}")
    return number


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
