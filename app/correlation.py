"""What an event from a tool means for the call that it speaks of. Pure; `app.api.tool_events` writes it.

An event is evidence like any other. One that names an attempt speaks for it alone. A success that names none is
the newest attempt's of which nobody knows; a failure that names none speaks for all attempts only where a key
makes them one, or where there is but one, and never for a later one that is out right now. Whatever a settled call
is told changes nothing: the same is late, and anything else a conflict.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jmespath

from sql.evidence import Claim
from sql.tool_calls import AttemptRow, CallFacts
from sql.vocabulary import AttemptState, CallState, Ledger, Repeat

DOUBTFUL: Final = frozenset({AttemptState.OPEN, AttemptState.ACCEPTED, AttemptState.UNKNOWN})
AMBIGUOUS: Final = "event_names_no_attempt"
LONGEST_ID: Final = 512


class NoSuchAttempt(Exception):
    """The event names an attempt that was never made."""


@dataclass(frozen=True)
class Event:
    """A completion as its tool tells it. output: JSON text. external_id: as named, or as found in the output."""

    run_id: str
    tool_call_id: str
    succeeded: bool
    output: str
    external_id: str | None = None
    attempt: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """(run, call)."""
        return self.run_id, self.tool_call_id


@dataclass(frozen=True)
class Meaning:
    """What an event makes of its call.

    attempt: the one that it speaks for. attempts: number → state. claim: held against a verdict that stands.
    settles: the state that it proves, None for none. to_operator: a person has to say which attempt it meant.
    conflict: it contradicts the verdict. late: the call was settled before.
    """

    claim: Claim
    attempt: int | None = None
    attempts: Mapping[int, AttemptState] = field(default_factory=dict)
    settles: CallState | None = None
    to_operator: bool = False
    conflict: bool = False
    late: bool = False

    @property
    def result(self) -> str:
        """The answer to the sender, unless the database finds a conflict."""
        if self.conflict:
            return "conflict"
        return "late" if self.late else "accepted"


def meaning(call: CallFacts, attempts: Sequence[AttemptRow], event: Event, known_output: str | None) -> Meaning:
    """What the event means for the call as it stands; known_output: what it was settled with, if that is kept.

    Raises `NoSuchAttempt`.
    """
    if event.attempt is not None and attempts and event.attempt not in {a.number for a in attempts}:
        raise NoSuchAttempt(f"there is no attempt {event.attempt}: it has {len(attempts)}")
    if event.succeeded:
        return _succeeded(call, attempts, event, known_output)
    return _failed(call, attempts, event)


def _succeeded(call: CallFacts, attempts: Sequence[AttemptRow], event: Event, known_output: str | None) -> Meaning:
    number = _spoken_for(attempts, event)
    settled = call.settled_at is not None
    return Meaning(
        claim=Claim(*event.key, number, "happened", event.external_id),
        attempt=number,
        attempts={} if number is None else {number: AttemptState.SUCCEEDED},
        settles=None if settled else CallState.SUCCEEDED,
        conflict=settled and not _equal(call, event, known_output),
        late=settled,
    )


def _spoken_for(attempts: Sequence[AttemptRow], event: Event) -> int | None:
    """The attempt that succeeded: the one named, else the newest of which nobody knows, else the newest that did."""
    if not attempts:
        return None
    if event.attempt is not None:
        return event.attempt
    doubtful = [a.number for a in attempts if a.state in DOUBTFUL]
    succeeded = [a.number for a in attempts if a.state == AttemptState.SUCCEEDED]
    return (doubtful or succeeded or [attempts[-1].number])[-1]


def _equal(call: CallFacts, event: Event, known_output: str | None) -> bool:
    """Whether a success says what the call was settled with: the same effect, or else the same output."""
    if call.state != CallState.SUCCEEDED:
        return False
    if call.external_id is not None and event.external_id is not None:
        return call.external_id == event.external_id
    return known_output is None or _value(known_output) == _value(event.output)


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _failed(call: CallFacts, attempts: Sequence[AttemptRow], event: Event) -> Meaning:
    settled = call.settled_at is not None
    if event.attempt is not None and attempts:
        return Meaning(
            claim=Claim(*event.key, event.attempt, "nothing"),
            attempt=event.attempt,
            attempts={event.attempt: AttemptState.FAILED},
            late=settled,
        )
    claim = Claim(*event.key, None, "all_nothing")
    if call.repeat == Repeat.KEYED or len(attempts) <= 1:
        off = call.ledger == Ledger.OFF and not settled
        # One that is out right now may be a later request than the one that failed: its own answer will tell.
        told = [a for a in attempts if len(attempts) == 1 or a.state != AttemptState.OPEN]
        known = {a.number: AttemptState.FAILED for a in told if a.state in DOUBTFUL}
        return Meaning(claim, attempts=known, settles=CallState.FAILED if off else None, late=settled)
    return Meaning(claim, to_operator=not settled, late=settled)


def id_in(expression: str | None, output: Any) -> str | None:
    """The external id that an output holds where the catalog says so; None where there is none."""
    if expression is None:
        return None
    try:
        found = jmespath.search(expression, output)
    except Exception:  # the expression's functions meet values that nobody foresaw
        return None
    return as_id(found)


def as_id(value: Any) -> str | None:
    """An id that a text column can hold, or None."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    return text if 0 < len(text) <= LONGEST_ID and "\0" not in text else None
