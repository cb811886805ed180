"""The register of one outside system: its effects in order, on disk first and then in memory."""

import secrets
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from sandbox.effect import Effect, Origin
from sandbox.trail import Trail

LETTERS: Final = "23456789BCDFGHJKMNPQRSTVWXYZ"  # no vowels and nothing that reads like another


@dataclass(frozen=True, slots=True)
class Kind:
    """What a system calls its things, as in `tickets`, `ticket.created`, `ticket_id`, `TCK`."""

    name: str
    event: str
    id_name: str
    prefix: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """That an effect is one of several: by the same call (a duplicate), or only by an equal request."""

    why: Literal["call", "request"]
    number: int
    of: int
    others: tuple[str, ...]


class Register:
    """All effects of one system, rebuilt from its trail at start.

    Ids are a series (four random letters, new for each empty trail) and a number, so that no two trails give
    the same id: a ledger that outlives a sandbox would take that for one effect claimed by two calls.
    """

    def __init__(self, kind: Kind, home: Path) -> None:
        self.kind = kind
        self._trail = Trail(home / f"{kind.name}.jsonl")
        self._forget()
        for record in self._trail.records():
            self._remember(Effect.from_record(kind.id_name, record))
        if self.effects:
            self._series = self.effects[-1].id.split("-")[1]

    def _forget(self) -> None:
        self.effects: list[Effect] = []
        self.by_id: dict[str, Effect] = {}
        self._alike: defaultdict[Hashable, list[str]] = defaultdict(list)
        self._series = "".join(secrets.choice(LETTERS) for _ in range(4))

    def _remember(self, effect: Effect) -> None:
        self.effects.append(effect)
        self.by_id[effect.id] = effect
        for key in (_call_of(effect.origin), _request_of(effect.origin)):
            if key is not None:
                self._alike[key].append(effect.id)

    def enter(self, content: Mapping[str, Any], origin: Origin) -> Effect:
        """Make one effect happen; it is on disk when this returns. Raises OSError when the disk is full."""
        number = len(self.effects) + 1
        effect = Effect(
            self.kind.event,
            self.kind.id_name,
            f"{self.kind.prefix}-{self._series}-{number:03d}",
            datetime.now(UTC),
            origin,
            content,
        )
        self._trail.append(effect.to_record())
        self._remember(effect)
        return effect

    def repeat(self, effect: Effect) -> Repeat | None:
        """Say whether other effects came of the same call or of an equal request; the call counts first."""
        for why, key in (("call", _call_of(effect.origin)), ("request", _request_of(effect.origin))):
            ids = self._alike.get(key, []) if key is not None else []
            if len(ids) > 1:
                others = tuple(other for other in ids if other != effect.id)
                return Repeat("call" if why == "call" else "request", ids.index(effect.id) + 1, len(ids), others)
        return None

    def surplus(self) -> int:
        """Count the effects beyond the first of each call."""
        return sum(len(ids) - 1 for key, ids in self._alike.items() if isinstance(key, tuple))

    def clear(self) -> None:
        """Forget all effects, on disk too; later ids are of a new series."""
        self._trail.clear()
        self._forget()

    def close(self) -> None:
        """Let go of the file."""
        self._trail.close()


def _call_of(origin: Origin) -> Hashable | None:
    if origin.run_id is None or origin.tool_call_id is None:
        return None
    return (origin.run_id, origin.tool_call_id)


def _request_of(origin: Origin) -> Hashable | None:
    return origin.request_fingerprint
