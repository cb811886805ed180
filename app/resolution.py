"""What an operator's word makes of a call: pure, from the call and its attempts as they stand.

It is evidence like any other, of the attempts up to the one that was looked at; `app.operations` writes it.

    Refused
    ├── Unknown       there is no such thing
    ├── Unusable      it cannot be said of this call
    └── Overtaken     somebody was quicker, or it is too early: look again
        └── UnderWay  a request may still be under way
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from sql.tool_calls import AttemptRow, CallFacts
from sql.vocabulary import AttemptState, CallState, Executor, Ledger, Reason

# Of these attempts nobody knows whether they took effect.
DOUBTFUL: Final = frozenset({AttemptState.OPEN, AttemptState.ACCEPTED, AttemptState.UNKNOWN})
DID_NOT_HAPPEN: Final = json.dumps({"error": {"code": "failed", "message": "an operator found that it did not happen"}})


class Verdict(StrEnum):
    """What an operator may say of a call."""

    HAPPENED = "happened"
    RETRY = "retry"
    FAILED = "failed"
    LOOKUP = "lookup"
    CANCEL_RUN = "cancel-run"
    SEEN = "seen"


class Refused(Exception):
    """What an operator wants cannot be done; the text says why, in one line."""


class Unknown(Refused):
    """There is no such run, call or tool."""


class Unusable(Refused):
    """It makes no sense for this call, whoever says it and whenever."""


class Overtaken(Refused):
    """Things are no longer, or not yet, as they would have to be."""


class UnderWay(Overtaken):
    """A request may still be under way; `until` is when it can no longer be."""

    def __init__(self, until: datetime, now: datetime) -> None:
        left_s = (until - now).total_seconds()
        super().__init__(f"a request may still be under way until {shown(until)} ({left_s:.1f} s left)")
        self.until = until


@dataclass(frozen=True)
class Word:
    """An operator's word about a call.

    output: JSON text, for `happened`. attempt: it speaks for the attempts up to this number, None for all.
    version: the call's as it was looked at; another one now is refused, None takes any.
    """

    run_id: str
    tool_call_id: str
    verdict: Verdict
    output: str | None = None
    external_id: str | None = None
    attempt: int | None = None
    version: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """(run, call)."""
        return self.run_id, self.tool_call_id


@dataclass(frozen=True)
class Consequences:
    """What a word makes of its call, to preview and to write.

    state: where the call goes, None for nowhere. attempts: number → state, of those that it speaks about.
    output: what the model is told. says: what it is as evidence, None for none.
    """

    state: CallState | None = None
    reason: str | None = None
    attempts: Mapping[int, AttemptState] = field(default_factory=dict)
    output: str | None = None
    says: str | None = None
    settles: bool = False
    looks_again: bool = False


def consequences(call: CallFacts, attempts: Sequence[AttemptRow], word: Word) -> Consequences:
    """What the word would make of the call as it stands. Pure. Raises `Refused`."""
    if word.version is not None and word.version != call.version:
        raise Overtaken(f"it has changed since it was looked at: {standing(call)}")
    if word.attempt is not None and word.attempt > len(attempts):
        raise Unusable(f"there is no attempt {word.attempt}: it has {len(attempts)}")
    match word.verdict:
        case Verdict.SEEN:
            return Consequences()
        case Verdict.CANCEL_RUN:
            if call.ended:
                raise Overtaken(f"run {call.run_id} has ended: it is {call.run_status}")
            return Consequences()
    if call.settled_at is not None:
        raise Overtaken(standing(call))
    if call.ledger == Ledger.OFF and call.executor == Executor.SERVER:
        raise Unusable("the run's ledger is off: nothing is known of its requests; cancel-run is all that can be done")
    match word.verdict:
        case Verdict.HAPPENED:
            return _happened(call, attempts, word)
        case Verdict.RETRY:
            return _retry(call, attempts, word)
        case Verdict.FAILED:
            return _failed(call, attempts, word)
        case Verdict.LOOKUP:
            return _lookup(call, attempts)


def _happened(call: CallFacts, attempts: Sequence[AttemptRow], word: Word) -> Consequences:
    if word.output is None:
        raise Unusable("happened needs the output, as JSON")
    if not _is_json(word.output):
        raise Unusable("the output is no JSON that can be stored")
    doubtful = _spoken_of(call, attempts, word)
    known = {a.number: AttemptState.REFUTED for a in doubtful[:-1]}
    known |= {a.number: AttemptState.SUCCEEDED for a in doubtful[-1:]}
    return Consequences(CallState.SUCCEEDED, "operator", known, word.output, "happened", settles=True)


def _failed(call: CallFacts, attempts: Sequence[AttemptRow], word: Word) -> Consequences:
    known = _nothing_happened(call, attempts, word)
    return Consequences(CallState.FAILED, "operator", known, DID_NOT_HAPPEN, "nothing", settles=True)


def _retry(call: CallFacts, attempts: Sequence[AttemptRow], word: Word) -> Consequences:
    if call.executor == Executor.CLIENT:
        raise Unusable("its client executes it: we cannot send it again; say happened or failed, or cancel-run")
    if call.ended:
        raise Overtaken(f"run {call.run_id} has ended ({call.run_status}): ended runs send nothing")
    if call.state in (CallState.PENDING, CallState.HELD):
        raise Overtaken(f"it is {call.state} ({call.reason or 'not sent yet'}): it is sent again by itself")
    return Consequences(
        CallState.PENDING, Reason.OPERATOR_RETRY, _nothing_happened(call, attempts, word), says="nothing"
    )


def _lookup(call: CallFacts, attempts: Sequence[AttemptRow]) -> Consequences:
    if call.executor == Executor.CLIENT or not call.contract.get("lookup"):
        raise Unusable(f"nothing says how to look up what {call.tool} does; say happened, retry or failed")
    if not any(a.state in DOUBTFUL for a in attempts):
        raise Overtaken(f"no attempt of it is in doubt: it is {call.state}")
    doubt = CallState.IN_DOUBT if call.state in (CallState.NEEDS_OPERATOR, CallState.IN_DOUBT) else None
    return Consequences(doubt, Reason.OPERATOR_LOOKUP, looks_again=True)


def _nothing_happened(call: CallFacts, attempts: Sequence[AttemptRow], word: Word) -> dict[int, AttemptState]:
    """The attempts that are refuted by a word that it did not happen, unless one of them proves the contrary."""
    unseen = [a.number for a in attempts if _beyond(a, word) and a.state in DOUBTFUL | {AttemptState.SUCCEEDED}]
    if unseen:
        raise Overtaken(f"attempt {max(unseen)} has been sent since: look at it, then speak for it by --attempt")
    succeeded = [a.number for a in attempts if a.state == AttemptState.SUCCEEDED]
    if succeeded:
        raise Overtaken(f"attempt {succeeded[0]} is known to have happened")
    return {a.number: AttemptState.REFUTED for a in _spoken_of(call, attempts, word)}


def _spoken_of(call: CallFacts, attempts: Sequence[AttemptRow], word: Word) -> list[AttemptRow]:
    """The doubtful attempts that the word speaks for, oldest first; none may be under way."""
    doubtful = [a for a in attempts if not _beyond(a, word) and a.state in DOUBTFUL]
    until = max((a.over_at for a in doubtful), default=call.now)
    if until > call.now:
        raise UnderWay(until, call.now)
    return doubtful


def _beyond(attempt: AttemptRow, word: Word) -> bool:
    return word.attempt is not None and attempt.number > word.attempt


def standing(call: CallFacts) -> str:
    """How a call stands, and who brought it there, in one line."""
    if call.settled_at is None:
        return f"it is {call.state}" + (f" ({call.reason})" if call.reason else "")
    who = f"operator {call.last_operator}" if call.settled_by == "operator" else call.settled_by
    return f"it is {call.state} since {shown(call.settled_at)}, settled by {who}"


def shown(moment: datetime) -> str:
    """A moment as people read it: UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
        text.encode()
    except (ValueError, RecursionError):
        return False
    return True
