"""Which faults are switched on now, and which of them a request meets."""

import hashlib
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.faults import Fault, Spec


@dataclass(slots=True)
class Armed:
    """A fault that is switched on, with how many requests it was considered for and how many it struck."""

    number: int
    source: Literal["spec", "rule"]
    fault: Fault
    seen: int = 0
    struck: int = 0

    @property
    def spent(self) -> bool:
        """Whether it has struck as often as it may."""
        return self.fault.times is not None and self.struck >= self.fault.times

    def to_json(self) -> dict[str, Any]:
        """The fault and its counts."""
        return {
            "number": self.number,
            "source": self.source,
            "spec": str(self.fault),
            **self.fault.to_json(),
            "seen": self.seen,
            "struck": self.struck,
        }


class FaultPlan:
    """The faults that are on, in order.

    Whether a fault with a probability strikes its n-th request follows from (seed, fault, n) alone, so equal
    seeds give equal sequences; which request is the n-th is up to the callers.
    """

    def __init__(self, start: Spec) -> None:
        self._start = start
        self._made = 0
        self.restart()

    def restart(self) -> None:
        """Go back to the faults of the command line, with all counts at zero."""
        self.seed = secrets.randbelow(2**31) if self._start.seed is None else self._start.seed
        self.armed: list[Armed] = []
        self.add(self._start.faults, "spec")

    def add(self, faults: Iterable[Fault], source: Literal["spec", "rule"]) -> None:
        """Switch more faults on."""
        for fault in faults:
            self._made += 1
            self.armed.append(Armed(self._made, source, fault))

    def replace(self, source: Literal["spec", "rule"], faults: Iterable[Fault]) -> None:
        """Switch off what came as `source` before, and these on instead."""
        self.armed = [armed for armed in self.armed if armed.source != source]
        self.add(faults, source)

    def remove(self, number: int) -> None:
        """Switch one fault off; nothing happens when it is off already."""
        self.armed = [armed for armed in self.armed if armed.number != number]

    def clear(self) -> None:
        """Switch all faults off."""
        self.armed = []

    def strike(self, tool: str, facts: Mapping[str, Any]) -> tuple[Fault, ...]:
        """Choose the faults that a request of `tool` with these fields meets, and count them.

        Rules come before the spec; of one kind only the first that strikes acts, and the others do not count it.
        """
        met: dict[str, Fault] = {}
        for armed in sorted(self.armed, key=lambda one: one.source != "rule"):
            if armed.fault.kind not in met and self._strikes(armed, tool, facts):
                met[armed.fault.kind] = armed.fault
        return tuple(met.values())

    def _strikes(self, armed: Armed, tool: str, facts: Mapping[str, Any]) -> bool:
        if armed.spent or not armed.fault.concerns(tool, facts):
            return False
        armed.seen += 1
        struck = drawn(self.seed, armed.fault, armed.seen) < armed.fault.probability
        armed.struck += struck
        return struck

    def to_json(self) -> dict[str, Any]:
        """The plan as GET /faults shows it."""
        return {
            "spec": str(Spec(tuple(armed.fault for armed in self.armed if armed.source == "spec"))),
            "seed": self.seed,
            "faults": [armed.to_json() for armed in self.armed if armed.source == "spec"],
            "rules": [armed.to_json() for armed in self.armed if armed.source == "rule"],
        }


def drawn(seed: int, fault: Fault, number: int) -> float:
    """Draw the number in [0, 1) that decides whether `fault` strikes its `number`-th request."""
    digest = hashlib.sha256(f"{seed}|{fault}|{number}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
