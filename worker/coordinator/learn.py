"""What an outcome teaches: evidence, and all that follows from it for its attempt and call. Pure (design, 5.6)."""

import uuid
from dataclasses import dataclass, replace
from typing import Final

from sql.evidence import AttemptMove, CallNote, Claim, Effect, Evidence, Settlement
from sql.ledger import Payload
from sql.vocabulary import AttemptState, CallState, EvidenceKind
from worker.coordinator.rounds import error_output
from worker.gateway.outcome import Accepted, Delivered, Outcome, Refused, Unknown
from worker.records import Learnt

# So much of a refusal's body is told to the model.
TOLD_BYTES: Final = 16 * 1024


@dataclass(frozen=True)
class Sent:
    """An attempt that went out: which one, of which tool, who sent it, and how long it took in seconds.

    number None: no attempt was recorded (the ledger is off).
    """

    run_id: str
    tool_call_id: str
    tool: str
    number: int | None
    owner: str
    duration_s: float


def learnt_from(sent: Sent, outcome: Outcome) -> Learnt:
    """Everything that the outcome of one attempt proves, to be recorded in one transaction."""
    learnt = _learnt(sent, outcome)
    return learnt if sent.number is not None else _given_up(sent, learnt)


def _learnt(sent: Sent, outcome: Outcome) -> Learnt:
    match outcome:
        case Delivered():
            return _delivered(sent, outcome)
        case Accepted():
            return _closed(sent, outcome, AttemptState.ACCEPTED, "accepted")
        case Refused(kind="failed"):
            return _failed(sent, outcome)
        case Refused():
            state = AttemptState.NOT_SENT if outcome.kind == "not_sent" else AttemptState.REFUSED
            learnt = _closed(sent, outcome, state, "nothing")
            note = CallNote(sent.run_id, sent.tool_call_id, wait_s=outcome.retry_after_s)
            return replace(learnt, note=note, claim=_did_nothing(sent))
        case Unknown():
            return _closed(sent, outcome, AttemptState.UNKNOWN, "unknown")


def _given_up(sent: Sent, learnt: Learnt) -> Learnt:
    """LEDGER=off: what was tried often enough without an answer is told to the model as failed, as it used to be."""
    if learnt.settlement is not None:
        return learnt
    output = Payload(uuid.uuid4(), error_output("failed", learnt.evidence.reason or "no answer").encode())
    settlement = Settlement(sent.run_id, sent.tool_call_id, CallState.FAILED, EvidenceKind.REPLY, None, output.id)
    return replace(learnt, payloads=(*learnt.payloads, output), settlement=settlement, note=None)


def _delivered(sent: Sent, outcome: Delivered) -> Learnt:
    body = Payload(uuid.uuid4(), outcome.body)
    # The body is the output where both are the same bytes, as nearly always.
    output = body if outcome.output == outcome.body else Payload(uuid.uuid4(), outcome.output)
    key = (sent.run_id, sent.tool_call_id)
    reason = "truncated" if outcome.truncated else None
    learnt = _closed(sent, outcome, AttemptState.SUCCEEDED, "happened", body)
    effects = (Effect(sent.tool, outcome.external_id, *key),) if outcome.external_id else ()
    return replace(
        learnt,
        payloads=(body,) if output is body else (body, output),
        claim=Claim(*key, sent.number, "happened", outcome.external_id),
        settlement=Settlement(*key, CallState.SUCCEEDED, EvidenceKind.REPLY, reason, output.id, outcome.external_id),
        effects=effects if sent.number is not None else (),
    )


def _failed(sent: Sent, outcome: Refused) -> Learnt:
    """Refused for good: what the model would be told waits on the call until all its attempts are known."""
    text = outcome.body[:TOLD_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")
    output = Payload(uuid.uuid4(), error_output("refused", outcome.reason, body=text).encode())
    learnt = _closed(sent, outcome, AttemptState.FAILED, "failed")
    note = CallNote(sent.run_id, sent.tool_call_id, output=output.id)
    learnt = replace(learnt, claim=_did_nothing(sent))
    return replace(learnt, payloads=(*learnt.payloads, output), note=note)


def _did_nothing(sent: Sent) -> Claim:
    """Held against a verdict by which this very attempt took effect, such as an operator's."""
    return Claim(sent.run_id, sent.tool_call_id, sent.number, "nothing")


def _closed(sent: Sent, outcome: Outcome, state: AttemptState, says: str, body: Payload | None = None) -> Learnt:
    kept = body or (Payload(uuid.uuid4(), outcome.body) if outcome.body else None)
    reason = None if isinstance(outcome, Delivered | Accepted) else outcome.reason.replace("\0", "")
    external_id = outcome.external_id if isinstance(outcome, Delivered | Accepted) else None
    key = (sent.run_id, sent.tool_call_id)
    moves = (
        (AttemptMove(*key, sent.number, state, _word(state, reason), outcome.status, external_id),)
        if sent.number is not None
        else ()
    )
    return Learnt(
        evidence=Evidence(
            *key,
            attempt=sent.number,
            kind=EvidenceKind.REPLY,
            says=says,
            source=sent.owner,
            reason=reason,
            http_status=outcome.status,
            external_id=external_id,
            body=kept.id if kept else None,
            body_bytes=len(outcome.body),
            duration_s=sent.duration_s,
        ),
        payloads=(kept,) if kept else (),
        attempts=moves,
    )


def _word(state: AttemptState, reason: str | None) -> str | None:
    return reason[:200] if reason and state != AttemptState.SUCCEEDED else None
