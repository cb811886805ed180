"""What a model's answer becomes: messages, steps, calls and their counterfoils. Pure (design, sections 3 and 5.4)."""

import json
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from app.catalog.tool import Catalog, Tool, check_arguments
from sql.decisions import (
    ElderQuery,
    Elders,
    Intent,
    MessageMove,
    NewCall,
    NewMessage,
    NewStep,
    RunChange,
    RunRow,
    StepMove,
)
from sql.ids import new_id
from sql.ledger import Payload, RunEnd
from sql.vocabulary import CallState, Executor, Ledger, Reason, Repeat, RunStatus, StepType
from worker.coordinator.fingerprint import effect_key, fingerprint
from worker.coordinator.lifecycle import SETTLED
from worker.models import AskedCall, Failed, Incomplete, Turn, Usage
from worker.records import Write

SEND_BY_S: Final = 2.0
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")
# Call ids are keys in the ledger; some gateways make ids of several KB.
LONGEST_CALL_ID: Final = 200
_INCOMPLETE: Final = {Failed: "run_failed", Incomplete: "max_tokens"}
UNREADABLE: Final = "the arguments are no JSON object"


@dataclass(frozen=True)
class Desk:
    """What the coordinator decides with, besides a run: its catalog, the fingerprint's key, its name, the slack."""

    catalog: Catalog
    owner: str
    clock_slack_s: float = 1.0
    fingerprint_key: bytes | None = None


@dataclass(frozen=True)
class Asked:
    """A call as the model asked for it, named and fingerprinted. arguments None: no JSON object."""

    index: int
    tool_call_id: str
    provider_call_id: str | None
    name: str
    text: str
    arguments: dict[str, Any] | None
    fingerprint: str
    tool: Tool | None

    @property
    def may_repeat(self) -> bool:
        """Whether equal calls of the thread are nobody's concern."""
        return self.tool is None or self.tool.contract.repeat == Repeat.SAFE


@dataclass(frozen=True)
class Stored:
    """How a call enters the ledger."""

    state: CallState
    reason: str | None = None
    output: str | None = None
    output_id: uuid.UUID | None = None
    external_id: str | None = None
    held_by: tuple[str, str] | None = None
    suspected: bool = False


@dataclass(frozen=True)
class Spoken:
    """How a turn's text was spoken: its pieces, and the message and step that hold it, already stored or not."""

    message_id: str
    step_id: str
    pieces: tuple[str, ...] = ()
    stored: bool = False


def read_calls(turn: Turn, desk: Desk, used: set[str]) -> list[Asked]:
    """The turn's calls, each with an id of its own: an empty one, or one used before in the run, is replaced."""
    asked = []
    for index, call in enumerate(turn.calls):
        given = call.provider_id
        usable = given and len(given) <= LONGEST_CALL_ID and given not in used and storable(given) == given
        own = given if given and usable else new_id("call")
        used.add(own)
        asked.append(_read(index, call, own, storable(given) if given and own != given else None, desk))
    return asked


def _read(index: int, call: AskedCall, own_id: str, provider_id: str | None, desk: Desk) -> Asked:
    text = storable(call.arguments)
    mark = fingerprint(call.name, text, desk.fingerprint_key)
    return Asked(
        index, own_id, provider_id, storable(call.name), text, _object(text), mark, desk.catalog.tools.get(call.name)
    )


def elder_queries(run: RunRow, asked: Sequence[Asked]) -> list[ElderQuery]:
    """What to ask of the thread before a round is stored: equals of those calls that may not repeat."""
    return [
        ElderQuery(run.thread_id, run.id, run.rounds, call.name, call.fingerprint)
        for call in asked
        if not call.may_repeat
    ]


def store_round(
    run: RunRow, turn: Turn, spoken: Spoken, asked: Sequence[Asked], elders: Sequence[Elders], desk: Desk
) -> Write:
    """The round as one write: its message, its calls, and an open attempt for each that is to be sent."""
    found = iter(elders)
    stored: dict[int, Stored] = {}
    for call in asked:
        elder = None if call.may_repeat else next(found, None)  # none are asked for where the ledger only watches
        stored[call.index] = _stored(run, call, elder, asked, desk)
    ids = {call.index: uuid.uuid4() for call in asked}
    outputs = {i: s.output_id or (uuid.uuid4() if s.output is not None else None) for i, s in stored.items()}
    payloads = [Payload(ids[call.index], call.text.encode()) for call in asked]
    payloads += [Payload(outputs[i], s.output.encode()) for i, s in stored.items() if s.output is not None]  # type: ignore[arg-type]
    calls = tuple(_row(run, c, stored[c.index], ids[c.index], outputs[c.index]) for c in asked)
    sent = [call for call in asked if stored[call.index].state == CallState.INTENDED]
    write = Write(
        run_id=run.id,
        epoch=run.epoch,
        wakes=run.wakes,
        payloads=tuple(payloads),
        steps=_calls_step(run, turn, calls),
        calls=calls,
        intents=tuple(intent(run, c.tool_call_id, 1, c.tool, desk) for c in sent if c.tool is not None),
        tools=tuple((c.tool_call_id, c.name) for c in sent),
        change=_change(run, turn, calls, fruitful=bool(sent)),
        end=_end(run, turn),
        speaks=True,
    )
    return _texts(run, turn, spoken, write)


def intent(run: RunRow, tool_call_id: str, number: int, tool: Tool, desk: Desk) -> Intent:
    """The counterfoil of one attempt, which lives for `send_by`, the tool's timeout and the slack."""
    life_s = SEND_BY_S + tool.contract.timeout_s + desk.clock_slack_s
    return Intent(run.id, tool_call_id, number, run.epoch, desk.owner, life_s)


def _stored(run: RunRow, call: Asked, elder: Elders | None, asked: Sequence[Asked], desk: Desk) -> Stored:
    if call.tool is None:
        return Stored(CallState.PENDING)
    wrong = UNREADABLE if call.arguments is None else check_arguments(call.tool, call.arguments)
    if wrong is not None:
        return Stored(CallState.FAILED, "invalid_arguments", error_output("invalid_arguments", wrong))
    if run.ledger == Ledger.OFF:
        return Stored(CallState.PENDING)
    if run.ledger == Ledger.OBSERVE or elder is None:
        return _approved(call.tool, Stored(CallState.INTENDED))
    return _approved(call.tool, _among_equals(run, call, elder, asked))


def _approved(tool: Tool, stored: Stored) -> Stored:
    if tool.contract.approval and stored.state == CallState.INTENDED:
        return replace(stored, state=CallState.NEEDS_OPERATOR, reason=Reason.APPROVAL_REQUIRED)
    return stored


def _among_equals(run: RunRow, call: Asked, elder: Elders, asked: Sequence[Asked]) -> Stored:
    """How a call enters that may have been asked for before, in this thread or in this very round."""
    assert call.tool is not None
    contract = call.tool.contract
    # The nearest, so that of three the third waits for the second, which may be sent when the first did nothing.
    twin = next((c for c in reversed(asked) if c.index < call.index and _equal(c, call)), None)
    if twin is not None and contract.same_request != "send":
        return _twin(run, twin, contract.same_request)
    if elder.open_run_id is not None and elder.open_call_id is not None:
        return Stored(CallState.HELD, "equal_call", held_by=(elder.open_run_id, elder.open_call_id))
    if elder.done_since_asked:
        return Stored(
            CallState.SUCCEEDED,
            "equal_call",
            output_id=elder.holder_output,
            external_id=elder.holder_external_id,
        )
    recent = elder.done_age_s is not None and elder.done_age_s <= contract.same_request_s
    if twin is None and not recent:
        return Stored(CallState.INTENDED)
    match contract.same_request:
        case "reuse":
            return Stored(
                CallState.SUCCEEDED,
                "same_request",
                output_id=elder.done_output,
                external_id=elder.done_external_id,
                suspected=True,
            )
        case "hold":
            return Stored(CallState.NEEDS_OPERATOR, "same_request", suspected=True)
        case _:
            return Stored(CallState.INTENDED, suspected=True)


def _twin(run: RunRow, twin: Asked, same_request: str) -> Stored:
    """An equal call in the same round: shares the first one's fate, or asks a person."""
    if same_request == "reuse":
        return Stored(CallState.HELD, "same_request", held_by=(run.id, twin.tool_call_id), suspected=True)
    return Stored(CallState.NEEDS_OPERATOR, "same_request", suspected=True)


def _equal(one: Asked, other: Asked) -> bool:
    return one.name == other.name and one.fingerprint == other.fingerprint


def _row(run: RunRow, call: Asked, stored: Stored, arguments: uuid.UUID, output: uuid.UUID | None) -> NewCall:
    contract = call.tool.contract if call.tool is not None else None
    held_by = stored.held_by or (None, None)
    return NewCall(
        run_id=run.id,
        tool_call_id=call.tool_call_id,
        thread_id=run.thread_id,
        round=run.rounds,
        index=call.index,
        provider_call_id=call.provider_call_id,
        tool=call.name,
        executor=Executor.CLIENT if contract is None else Executor.SERVER,
        repeat=Repeat.NEVER if contract is None else contract.repeat,
        contract="{}" if contract is None else json.dumps(contract.to_json()),
        fingerprint=call.fingerprint,
        effect_key=effect_key(run.id, run.rounds, call.index),
        arguments=arguments,
        state=stored.state,
        reason=stored.reason,
        output=output,
        external_id=stored.external_id,
        held_by_run=held_by[0],
        held_by_call=held_by[1],
        suspected_duplicate=stored.suspected,
    )


def _texts(run: RunRow, turn: Turn, spoken: Spoken, write: Write) -> Write:
    """The write with the round's message and its step; begun ones are ended."""
    if turn.text is None:
        return write
    text = storable(turn.text)
    pieces = spoken.pieces if "".join(spoken.pieces) == text else (text,)
    reason = _INCOMPLETE.get(type(turn.end))
    content, lengths = message_content(text), pieces_array(pieces)
    # A failure ends the step together with the run.
    step_status = "in_progress" if isinstance(turn.end, Failed) else "completed"
    tokens = (turn.usage.prompt_tokens, turn.usage.completion_tokens)
    status = "completed" if reason is None else "incomplete"
    if spoken.stored:
        message_move = MessageMove(spoken.message_id, content, lengths, status, reason)
        step_move = StepMove(spoken.step_id, step_status, *tokens)
        return replace(write, message_moves=(message_move,), step_moves=(step_move,))
    message = NewMessage(
        id=spoken.message_id,
        thread_id=run.thread_id,
        run_id=run.id,
        assistant_id=run.assistant_id,
        round=run.rounds,
        content=content,
        pieces=lengths,
        status=status,
        incomplete_reason=reason,
    )
    kind = StepType.MESSAGE_CREATION
    step = NewStep(spoken.step_id, run.id, run.rounds, kind, spoken.message_id, step_status, *tokens)
    return replace(write, messages=(message,), steps=(step, *write.steps))


def _calls_step(run: RunRow, turn: Turn, calls: Sequence[NewCall]) -> tuple[NewStep, ...]:
    """The step of a round's calls; the tokens of the round are on its first step."""
    if not calls:
        return ()
    done = all(call.state in SETTLED for call in calls)
    usage = turn.usage if turn.text is None else Usage()
    return (
        NewStep(
            id=new_id("step"),
            run_id=run.id,
            round=run.rounds,
            type=StepType.TOOL_CALLS,
            message_id=None,
            status="completed" if done else "in_progress",
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
        ),
    )


def message_content(text: str) -> str:
    """A text as the content of a message: JSON text of its one part."""
    return json.dumps([{"type": "text", "text": {"value": text, "annotations": []}}], ensure_ascii=False)


def pieces_array(pieces: Sequence[str]) -> str:
    """The lengths of pieces in code points, as Postgres writes an array."""
    return "{" + ",".join(str(len(piece)) for piece in pieces) + "}"


def _change(run: RunRow, turn: Turn, calls: Sequence[NewCall], *, fruitful: bool) -> RunChange:
    open_calls = [call for call in calls if call.state not in SETTLED]
    return RunChange(
        id=run.id,
        epoch=run.epoch,
        status=RunStatus.REQUIRES_ACTION if open_calls else RunStatus.IN_PROGRESS,
        more_rounds=1,
        prompt_tokens=turn.usage.prompt_tokens,
        completion_tokens=turn.usage.completion_tokens,
        needs_operator=any(call.state == CallState.NEEDS_OPERATOR for call in calls),
        fruitful=fruitful,
    )


def _end(run: RunRow, turn: Turn) -> RunEnd | None:
    match turn.end:
        case Failed(code, message):
            return RunEnd(run.id, RunStatus.FAILED, error_code=code, error_message=storable(message))
        case Incomplete(reason):
            return RunEnd(run.id, RunStatus.INCOMPLETE, incomplete_reason=reason)
        case None:
            return None if turn.calls else RunEnd(run.id, RunStatus.COMPLETED)


def error_output(code: str, message: str, **more: object) -> str:
    """What the model is told of a call that did nothing: JSON text."""
    return json.dumps({"error": {"code": code, "message": message, **more}}, ensure_ascii=False)


def storable(text: str) -> str:
    """The text without what Postgres cannot hold: NUL and halves of surrogate pairs become U+FFFD."""
    return (
        text.replace("\0", "\ufffd").encode("utf-8", "replace").decode() if not text.isascii() or "\0" in text else text
    )


def _object(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def parsed_arguments(stored: bytes | None) -> dict[str, Any]:
    """The arguments of a stored call, as they were checked when its round was."""
    return _object((stored or b"{}").decode()) or {}
