"""What an outside system does with a request once it is read: check the fields, act, reply."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sandbox.effect import Origin
from sandbox.faults import Fault

LONGEST_TEXT: Final = 100_000


class BadBodyError(Exception):
    """The request is not of the form that the tool wants; the argument is the sentence for its sender."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as an action sees it: its checked fields, who sent it, and the faults that it meets."""

    fields: Mapping[str, Any]
    origin: Origin
    faults: tuple[Fault, ...] = ()

    def fault(self, kind: str) -> Fault | None:
        """Return the first fault of this kind, if the request meets one."""
        return next((fault for fault in self.faults if fault.kind == kind), None)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a system would answer were nothing to go wrong; `effects`: ids of what the request caused."""

    status: int
    body: Mapping[str, Any]
    effects: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Action:
    """One tool or lookup: `check` raises BadBodyError, `act` makes the effect, without interruption."""

    check: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    act: Callable[[Asked], Reply]


def text(body: Mapping[str, Any], name: str) -> str:
    """Return a required text that is not blank; raises BadBodyError."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip():
        raise BadBodyError(f"{name} is required and must be a text that is not empty")
    return _bounded(name, value)


def optional_text(body: Mapping[str, Any], name: str) -> str | None:
    """Return a text, or None where it is missing or null; raises BadBodyError."""
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise BadBodyError(f"{name} must be a text")
    return None if value is None else _bounded(name, value)


def _bounded(name: str, value: str) -> str:
    if len(value) > LONGEST_TEXT:
        raise BadBodyError(f"{name} is longer than {LONGEST_TEXT} characters")
    return value
