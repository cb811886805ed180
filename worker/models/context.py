"""What a model gets to see of a thread: pure functions from a `TurnRequest`.

Messages are cut by `truncation_strategy`; the calls of this and earlier runs stand where they were asked. A
batch of calls is kept or dropped as a whole, so no answer ever stands without its call, nor a call without
its answer.
"""

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker.models import PastCall, ThreadMessage, TurnRequest

# Providers reject a call without an answer; a run may have ended before one came.
UNANSWERED: Final = '{"error":"no output: the run ended before this call was answered"}'


@dataclass(frozen=True)
class Batch:
    """The calls of one round, in call order. after_seq: the message that they follow in the thread."""

    run_id: str
    run_seq: int
    round: int
    after_seq: int
    calls: tuple[PastCall, ...]


def visible_messages(request: TurnRequest) -> tuple[ThreadMessage, ...]:
    """The thread's messages that `truncation_strategy` leaves, oldest first; `auto` leaves all."""
    match request.settings.get("truncation_strategy"):
        case {"type": "last_messages", "last_messages": int(count)} if count > 0:
            return request.messages[-count:]
        case _:
            return request.messages


def visible_batches(request: TurnRequest) -> list[Batch]:
    """The batches that go with the visible messages, in order.

    Those of this run are always among them: a model that does not see what it asked for asks again.
    """
    first = next((message.seq for message in visible_messages(request)), 0)
    cut = len(visible_messages(request)) < len(request.messages)
    return [
        batch for batch in batches(request) if not cut or batch.run_id == request.run_id or batch.after_seq >= first
    ]


def batches(request: TurnRequest) -> list[Batch]:
    """All past calls of the thread by round, each batch with its place among the messages."""
    spoken: dict[str, list[ThreadMessage]] = {}
    for message in request.messages:
        if message.run_id is not None and message.round is not None:
            spoken.setdefault(message.run_id, []).append(message)
    ordered = sorted(request.calls, key=lambda call: (call.run_seq, call.round, call.index))
    found = []
    for (run_id, round), grouped in itertools.groupby(ordered, key=lambda call: (call.run_id, call.round)):
        calls = tuple(grouped)
        own = spoken.get(run_id, [])
        before = [message.seq for message in own if message.round is not None and message.round <= round]
        after_seq = max([_asked_after(calls[0], own, request), *before])
        found.append(Batch(run_id, calls[0].run_seq, round, after_seq, calls))
    return found


def _asked_after(call: PastCall, own: Sequence[ThreadMessage], request: TurnRequest) -> int:
    """`seq` of the newest message when the run of this call was made, guessed where the caller does not say.

    The guess: before the run's own messages; without any, before the newest message of the user.
    """
    if call.run_id == request.run_id:
        return request.input_seq
    if call.input_seq is not None:
        return call.input_seq
    if own:
        return own[0].seq - 1
    asked = [m.seq for m in request.messages if m.role == "user" and m.seq <= request.input_seq]
    return max(asked, default=0) - 1


def chat_messages(request: TurnRequest) -> list[dict[str, Any]]:
    """The context in the form of Chat Completions: instructions, messages, calls with their answers."""
    told = visible_batches(request)
    ids = call_ids(call for batch in told for call in batch.calls)
    context: list[dict[str, Any]] = []
    if request.instructions:
        context.append({"role": "system", "content": request.instructions})
    spoken: ThreadMessage | None = None
    for item in _interleaved(visible_messages(request), told):
        if isinstance(item, ThreadMessage):
            spoken = item
            context.append({"role": item.role, "content": item.text})
            continue
        if spoken is None or (spoken.run_id, spoken.round) != (item.run_id, item.round):
            context.append({"role": "assistant", "content": None})
        spoken = None
        _add_batch(context, item, ids)
    return [message for message in context if not _says_nothing(message)]


def _interleaved(messages: Sequence[ThreadMessage], told: Sequence[Batch]) -> list[ThreadMessage | Batch]:
    placed: list[tuple[tuple[int, int, int, int], ThreadMessage | Batch]] = []
    placed += [((message.seq, 0, 0, 0), message) for message in messages]
    placed += [((batch.after_seq, 1, batch.run_seq, batch.round), batch) for batch in told]
    return [item for _, item in sorted(placed, key=lambda pair: pair[0])]


def _add_batch(context: list[dict[str, Any]], batch: Batch, ids: Mapping[tuple[str, str], str]) -> None:
    """Gives the last message, which the model said in this round, its calls, and adds their answers."""
    context[-1]["content"] = context[-1]["content"] or None
    context[-1]["tool_calls"] = [
        {
            "id": ids[call.run_id, call.tool_call_id],
            "type": "function",
            "function": {"name": call.tool, "arguments": sendable_arguments(call.arguments)},
        }
        for call in batch.calls
    ]
    for call in batch.calls:
        answer = UNANSWERED if call.output is None else call.output
        context.append({"role": "tool", "tool_call_id": ids[call.run_id, call.tool_call_id], "content": answer})


def _says_nothing(message: Mapping[str, Any]) -> bool:
    # Some providers reject an empty message of the assistant.
    return message["role"] == "assistant" and not message["content"] and "tool_calls" not in message


def call_ids(calls: Iterable[PastCall]) -> dict[tuple[str, str], str]:
    """The id by which the provider knows each call, keyed by (run id, tool call id); no two are equal.

    The provider's own id where it is usable, else ours: providers give empty ids, and one id to several calls.
    """
    ids: dict[tuple[str, str], str] = {}
    used: set[str] = set()
    for call in calls:
        ours = itertools.chain([call.tool_call_id], (f"{call.tool_call_id}_{n}" for n in itertools.count(2)))
        wanted = itertools.chain([call.provider_call_id or call.tool_call_id], ours)
        ids[call.run_id, call.tool_call_id] = next(name for name in wanted if name not in used)
        used.add(ids[call.run_id, call.tool_call_id])
    return ids


def sendable_arguments(arguments: str) -> str:
    """Arguments as a JSON object: servers that parse the history reject a conversation with anything else in it."""
    try:
        fits = isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        fits = False
    if fits:
        return arguments
    return json.dumps({"arguments": arguments}, ensure_ascii=False) if arguments.strip() else "{}"
