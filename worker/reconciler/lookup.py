"""What a lookup proves of a call's attempts. Pure (design, section 3, "A lookup's answers").

An effect that the ledger holds for another call does not count. A lookup refutes only attempts whose effect could
no longer come about when it began; decide looks no earlier, and the numbers are handed on to here.
"""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sql.evidence import AttemptMove, CallNote, Claim, Effect, Evidence, Settlement
from sql.ledger import Payload
from sql.vocabulary import AttemptState, CallState, EvidenceKind, Reason
from worker.coordinator.retry import after, back_off_s
from worker.gateway.outcome import Found, LookupAnswer, NoAnswer, NoneFound
from worker.records import Learnt

# An effect so much older than our intent is certainly not ours, whatever the clocks say.
BEFORE_S: Final = 300.0


@dataclass(frozen=True)
class Question:
    """What was looked up, and for which attempts.

    began_at: the database's time before it began. doubtful: numbers of the attempts that it may refute.
    settled: the call has succeeded already, and the question is whether it happened once more. own_id: the
    effect that the call is known to own. by_fingerprint: only what equal calls share can be looked up. crowded:
    an equal call is out or in doubt too. intended_at: when the first attempt was intended. tries: lookups before.
    """

    run_id: str
    tool_call_id: str
    tool: str
    source: str
    began_at: datetime
    doubtful: tuple[int, ...]
    settled: bool = False
    own_id: str | None = None
    by_fingerprint: bool = False
    crowded: bool = False
    intended_at: datetime | None = None
    tries: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """(run, call)."""
        return self.run_id, self.tool_call_id


def judge(question: Question, answer: LookupAnswer, owners: Mapping[str, tuple[str, str]]) -> Learnt:
    """What the answer proves. owners: external id → (run, call) of those effects that the ledger holds already."""
    match answer:
        case NoAnswer(reason):
            return _no_answer(question, reason)
        case NoneFound():
            return _none(question)
        case Found(items):
            own = [item for item in items if owners.get(item[0], question.key) == question.key]
            if question.by_fingerprint:
                return _by_fingerprint(question, own, answer.times)
            return _among(question, own)


def _by_fingerprint(question: Question, items: Sequence[tuple[str, bytes]], times: Mapping[str, datetime]) -> Learnt:
    """Whose an effect is that only looks right: ours if it came after our intent, and nobody else may have made it."""
    first = question.intended_at or question.began_at
    near = [item for item in items if times.get(item[0], first) >= after(first, -BEFORE_S)]
    unclear = [item for item in near if item[0] not in times or times[item[0]] < first]
    if near and (unclear or question.crowded):
        return _ambiguous(question, Reason.LOOKUP_AMBIGUOUS, len(near))
    return _among(question, near)


def _among(question: Question, items: Sequence[tuple[str, bytes]]) -> Learnt:
    if question.settled:
        return _beside_success(question, items)
    if not items:
        return _none(question)
    if len(items) > 1:
        return _ambiguous(question, Reason.LOOKUP_SEVERAL, len(items))
    return _one(question, *items[0])


def _one(question: Question, external_id: str, body: bytes) -> Learnt:
    """Exactly one: it happened, and of several doubtful attempts the first did it."""
    output = Payload(uuid.uuid4(), body)
    first, *others = question.doubtful or (None,)
    moves = [] if first is None else [_move(question, first, AttemptState.SUCCEEDED, external_id)]
    moves += [_move(question, n, AttemptState.REFUTED) for n in others if n is not None]
    evidence = replace(
        _evidence(question, "found"), external_id=external_id, body=output.id, body_bytes=len(body), attempt=first
    )
    return Learnt(
        evidence=evidence,
        payloads=(output,),
        attempts=tuple(moves),
        claim=Claim(*question.key, first, "happened", external_id),
        settlement=Settlement(*question.key, CallState.SUCCEEDED, EvidenceKind.LOOKUP, "found", output.id, external_id),
        effects=(Effect(question.tool, external_id, *question.key),),
    )


def _none(question: Question) -> Learnt:
    if question.settled:
        return _beside_success(question, ())
    return Learnt(_evidence(question, "none"), attempts=_refuted(question, question.doubtful))


def _beside_success(question: Question, items: Sequence[tuple[str, bytes]]) -> Learnt:
    """The call has its effect; one more that nobody else owns is that of another attempt, and a conflict."""
    others = [item for item in items if item[0] != question.own_id]
    if question.own_id is None:
        others = others[1:]
    if not others:
        return Learnt(_evidence(question, "none"), attempts=_refuted(question, question.doubtful))
    external_id, body = others[0]
    kept = Payload(uuid.uuid4(), body)
    number = question.doubtful[0] if question.doubtful else None
    moves = () if number is None else (_move(question, number, AttemptState.SUCCEEDED, external_id),)
    return Learnt(
        replace(_evidence(question, "found"), external_id=external_id, body=kept.id, attempt=number),
        payloads=(kept,),
        attempts=moves,
        claim=Claim(*question.key, number, "happened", external_id),
        effects=(Effect(question.tool, external_id, *question.key),),
    )


def _ambiguous(question: Question, reason: str, found: int) -> Learnt:
    note = CallNote(*question.key, more_lookups=1, reason=reason)
    return Learnt(replace(_evidence(question, "several"), reason=f"{found} found"), note=note)


def _no_answer(question: Question, reason: str) -> Learnt:
    note = CallNote(*question.key, more_lookups=1, wait_s=back_off_s(question.tries + 2))
    return Learnt(replace(_evidence(question, "no_answer"), reason=reason[:200]), note=note)


def _refuted(question: Question, numbers: Collection[int]) -> tuple[AttemptMove, ...]:
    return tuple(_move(question, number, AttemptState.REFUTED) for number in numbers)


def _move(question: Question, number: int, state: AttemptState, external_id: str | None = None) -> AttemptMove:
    return AttemptMove(*question.key, number, state, "lookup", external_id=external_id)


def _evidence(question: Question, says: str) -> Evidence:
    return Evidence(
        *question.key,
        attempt=None,
        kind=EvidenceKind.LOOKUP,
        says=says,
        source=question.source,
        at=question.began_at,
    )
