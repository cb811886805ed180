"""`POST /v1/tool_events`: what tools tell of calls that they finished later; signed, at least once, in any order."""

import json
import os
import uuid
from collections.abc import Mapping
from typing import Annotated, Any, Final

from flask import Blueprint, Flask, Response, current_app, request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json
from standardwebhooks import Webhook

from app import errors
from app.api.answers import answer
from app.api.bodies import explain, raw_body
from app.api.payloads import text_of
from app.api.services import services
from app.catalog import load_catalog
from app.catalog.tool import Tool
from app.correlation import AMBIGUOUS, Event, Meaning, NoSuchAttempt, id_in, meaning
from app.database import Transaction
from app.settings import Settings
from sql.decisions import CallMove, move_calls
from sql.events import find_event, grant_time, insert_event, load_output
from sql.evidence import (
    AttemptMove,
    CallNote,
    Effect,
    Evidence,
    Settlement,
    contest_effects,
    insert_evidence,
    move_attempts,
    note_calls,
    own_effects,
    raise_conflicts,
    settle_calls,
)
from sql.ledger import Payload, RunEnd, complete_steps, ending, insert_payloads, lock_runs, wake_runs
from sql.statement import Statement
from sql.tool_calls import AttemptRow, CallFacts, list_attempts, load_call
from sql.vocabulary import AttemptState, CallState, EvidenceKind, Executor, Ledger, RunStatus

routes = Blueprint("tool_events", __name__)
NAME: Final = "counterfoil_tool_events"
MOST_BYTES: Final = 1024 * 1024
LONGEST_WEBHOOK_ID: Final = 255
Word = Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[^\x00]*$")]


class EventBody(BaseModel):
    """A completion as it is sent; what else is in it is ignored."""

    model_config = ConfigDict(strict=True)

    run_id: Word
    tool_call_id: Word
    status: Annotated[str, Field(pattern="^(succeeded|failed)$")]
    output: Any = None
    external_id: Word | None = None
    attempt: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None


def register(flask_app: Flask, settings: Settings) -> None:
    """Adds the route, with the tools of the catalog that have a secret for their events."""
    tools = load_catalog(settings.config, os.environ).tools.values()
    flask_app.extensions[NAME] = {tool.name: (tool, Webhook(tool.event_secret)) for tool in tools if tool.event_secret}
    flask_app.register_blueprint(routes)


@routes.post("/v1/tool_events")
def receive() -> Response:
    """Takes one event; 200 says that it is kept, or was before."""
    raw = raw_body()
    if len(raw) > MOST_BYTES:
        raise errors.EventTooLarge
    signers = signers_of(raw, dict(request.headers))
    webhook_id = request.headers["webhook-id"]
    body = read_event(raw)
    result = services().database.write(lambda transaction: take(transaction, signers, webhook_id, body))
    services().notifier.hurry()
    return answer({"result": result})


def signers_of(raw: bytes, headers: Mapping[str, str]) -> dict[str, Tool]:
    """The tools whose secret signed these bytes a short while ago. Raises `BadSignature` when none did."""
    known: Mapping[str, tuple[Tool, Webhook]] = current_app.extensions[NAME]
    signers = {name: tool for name, (tool, webhook) in known.items() if signed_by(webhook, raw, headers)}
    if not signers or len(request.headers["webhook-id"]) > LONGEST_WEBHOOK_ID:
        raise errors.BadSignature
    return signers


def signed_by(webhook: Webhook, raw: bytes, headers: Mapping[str, str]) -> bool:
    """Whether this secret signed the bytes within the last five minutes."""
    try:
        webhook.verify(raw, dict(headers), json_parse=False)
    except Exception:  # the library meets headers and bytes that nobody foresaw
        return False
    return True


def read_event(raw: bytes) -> EventBody:
    """The event in the bytes. Raises `BadRequest`."""
    try:
        return EventBody.model_validate(from_json(raw, allow_inf_nan=False))
    except ValidationError as error:
        raise explain(error.errors(include_url=False, include_context=False)[0]) from None
    except ValueError as error:
        raise errors.BadRequest(problem=f"We could not parse the JSON body of your request: {error}.") from None


def event_of(body: EventBody, tool: Tool) -> Event:
    """The event as its call's tool means it. Raises `BadRequest` for numbers that JSON cannot hold."""
    try:
        output = json.dumps(body.output, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise errors.BadRequest(problem="A number in the output is too large.") from None
    external_id = body.external_id or id_in(tool.external_id, body.output)
    succeeded = body.status == "succeeded"
    return Event(body.run_id, body.tool_call_id, succeeded, output, external_id if succeeded else None, body.attempt)


def take(transaction: Transaction, signers: Mapping[str, Tool], webhook_id: str, body: EventBody) -> str:
    """Correlates the event under its run's lock, keeps what it proves, and answers what it was."""
    key = (body.run_id, body.tool_call_id)
    locked, call, attempts, known, before = transaction.all(
        lock_runs([body.run_id]),
        load_call(*key),
        list_attempts([key]),
        load_output(key),
        find_event(list(signers), webhook_id),
    )
    if call is None or not concerns(call, attempts, signers):
        raise errors.NoSuchCall(call=body.tool_call_id, run=body.run_id)
    if before is not None:
        return "duplicate"
    if locked[0].active and locked[0].expired:
        transaction.all(*ending([RunEnd(body.run_id, RunStatus.EXPIRED)]))
        call, attempts = transaction.all(load_call(*key), list_attempts([key]))
    event = event_of(body, signers[call.tool])
    output = text_of(known.bytes, known.key_id) if known else None
    try:
        found = meaning(call, attempts, event, output)
    except NoSuchAttempt as error:
        raise errors.InvalidValue(param="attempt", field="attempt", problem=str(error)) from None
    result = write(transaction, call, event, found)
    transaction.last(
        insert_event(
            webhook_id=webhook_id, tool=call.tool, run_id=call.run_id, tool_call_id=call.tool_call_id, result=result
        )
    )
    transaction.commit(complete_steps([call.run_id]), wake_runs([call.run_id], fruitful=True))
    return result


def concerns(call: CallFacts, attempts: list[AttemptRow], signers: Mapping[str, Tool]) -> bool:
    """Whether the call is one that a signer can know: its own, and sent to it."""
    sent = bool(attempts) or call.ledger == Ledger.OFF
    return call.tool in signers and call.executor == Executor.SERVER and sent


def write(transaction: Transaction, call: CallFacts, event: Event, found: Meaning) -> str:
    """Keeps the evidence and all that follows from it; answers accepted, late or conflict."""
    body = Payload(uuid.uuid4(), event.output.encode())
    output = body if event.succeeded else Payload(uuid.uuid4(), told(event).encode())
    effects = [Effect(call.tool, event.external_id, *event.key)] if event.external_id else []
    moves = [AttemptMove(*event.key, n, s, "event", None, _id(s, event)) for n, s in found.attempts.items()]
    statements: list[Statement[Any]] = [
        insert_payloads([body] if output is body else [body, output]),
        insert_evidence([evidence(call, event, found, body)]),
        raise_conflicts([found.claim]),
        move_attempts(moves),
        settle_calls([settlement(event, found.settles, output)] if found.settles else []),
        note_calls([] if event.succeeded or found.late else [CallNote(*event.key, output=output.id)]),
        move_calls(call_moves(event, found)),
        own_effects(effects),
        contest_effects(effects),
    ]
    if found.to_operator:
        statements.append(grant_time(call.run_id, operator_ttl_s=services().settings.operator_ttl_s))
    rows = transaction.all(*statements)
    return "conflict" if rows[2] or rows[8] else found.result


def _id(state: AttemptState, event: Event) -> str | None:
    return event.external_id if state == AttemptState.SUCCEEDED else None


def call_moves(event: Event, found: Meaning) -> list[CallMove]:
    """What the event makes of its call beside a verdict."""
    if found.to_operator:
        return [CallMove(*event.key, CallState.NEEDS_OPERATOR, AMBIGUOUS)]
    return [CallMove(*event.key, None, conflict=True)] if found.conflict else []


def settlement(event: Event, state: CallState, output: Payload) -> Settlement:
    """The verdict that the event proves."""
    return Settlement(*event.key, state, EvidenceKind.EVENT, None, output.id, event.external_id)


def evidence(call: CallFacts, event: Event, found: Meaning, body: Payload) -> Evidence:
    """The event as evidence."""
    return Evidence(
        *event.key,
        attempt=found.attempt,
        kind=EvidenceKind.EVENT,
        says="happened" if event.succeeded else "failed",
        source=call.tool,
        external_id=event.external_id,
        body=body.id,
        body_bytes=len(body.bytes),
    )


def told(event: Event) -> str:
    """What the model is told of a call that its tool says failed."""
    error = {"code": "failed", "message": "the tool reported that it failed", "output": json.loads(event.output)}
    return json.dumps({"error": error}, ensure_ascii=False)
