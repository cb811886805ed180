"""The model `scripted`: deterministic, without network, for demos and tests (contract of the API, section 8).

Everything follows from the `TurnRequest` alone, so that any worker can go on with a run. Provider ids are
None: the coordinator makes the ids of the calls.
"""

import asyncio
import itertools
import math
import re
from dataclasses import replace
from typing import Final

from worker.models import Failed, OnText, PastCall, Turn, TurnRequest, Usage
from worker.models.context import visible_messages
from worker.models.script import Entry, ScriptError, compact, entry_at, read_script

NO_USER_MESSAGE: Final = "[no user message]"
USED_UP: Final = "done"
SMALLEST_PIECE: Final = 16
MOST_PIECES: Final = 50
CHARACTERS_PER_TOKEN: Final = 4
PLACEHOLDER: Final = re.compile(r"\{\{(?:(outputs|all_outputs|instructions|tools|message_count)|outputs\.([0-9]+))\}\}")


class Scripted:
    """Plays the script that the newest user message holds, or echoes that message."""

    async def ask(self, request: TurnRequest, on_text: OnText | None = None) -> Turn:
        """The turn as scripted; a script that breaks its rules is a `Failed` with code invalid_prompt."""
        try:
            entry = entry_for(request)
        except ScriptError as mistake:
            entry = Entry(end=Failed("invalid_prompt", str(mistake)))
        await asyncio.sleep(entry.delay_ms / 1000)
        if entry.say is not None:
            await speak(entry.say, entry.chunk_ms, on_text)
        return Turn(entry.say, entry.calls, usage_of(request, entry), entry.end)

    async def close(self) -> None:
        """Nothing to end: it holds no connection."""


async def speak(text: str, chunk_ms: float, on_text: OnText | None) -> None:
    """Delivers the text piece by piece, with the pause between two pieces; without a listener only pauses."""
    for number, piece in enumerate(pieces(text)):
        if number and chunk_ms:
            await asyncio.sleep(chunk_ms / 1000)
        if on_text is not None:
            await on_text(piece)


def pieces(text: str) -> list[str]:
    """The text in pieces of max(16, ceil(length/50)) code points; an empty text is one empty piece."""
    size = max(SMALLEST_PIECE, math.ceil(len(text) / MOST_PIECES))
    return [text[start : start + size] for start in range(0, len(text), size)] or [""]


def entry_for(request: TurnRequest) -> Entry:
    """What this turn plays, its placeholders filled in; an echo has none. Raises `ScriptError`."""
    text = input_text(request)
    if text is None:
        return Entry(say=NO_USER_MESSAGE)
    script = read_script(text)
    if script is None:
        return Entry(say=text)
    entry = entry_at(script, request.turn) or Entry(say=USED_UP)
    return entry if entry.say is None else replace(entry, say=fill_in(entry.say, request))


def input_text(request: TurnRequest) -> str | None:
    """Text of the newest user message when the run was made, truncated, deleted or not; None without one."""
    if request.deleted_question is not None:
        return request.deleted_question.text
    for message in reversed(request.messages):
        if message.role == "user" and message.seq <= request.input_seq:
            return message.text
    return None


def fill_in(say: str, request: TurnRequest) -> str:
    """The text with its placeholders replaced, in one pass; whatever is no placeholder stays as it is."""
    return PLACEHOLDER.sub(lambda found: _replacement(found[1], found[2], request), say)


def _replacement(word: str | None, number: str | None, request: TurnRequest) -> str:
    batches = answered_batches(request)
    latest = batches[-1] if batches else []
    match word:
        case "outputs":
            return compact(latest)
        case "all_outputs":
            return compact([output for batch in batches for output in batch])
        case "instructions":
            return request.instructions or ""
        case "tools":
            return ",".join(tool["function"]["name"] for tool in request.tools)
        case "message_count":
            return str(len(visible_messages(request)))
        case _:
            return _numbered(latest, number or "")


def _numbered(outputs: list[str], number: str) -> str:
    # Compared by length first: Python refuses to read a number of thousands of digits.
    digits = number.lstrip("0") or "0"
    return outputs[int(digits)] if len(digits) < 10 and int(digits) < len(outputs) else ""


def answered_batches(request: TurnRequest) -> list[list[str]]:
    """Outputs of each batch of this run that is answered as a whole: batches by round, outputs in call order."""
    own = sorted((call for call in request.calls if call.run_id == request.run_id), key=_place)
    batches = []
    for _, batch in itertools.groupby(own, key=lambda call: call.round):
        outputs = [call.output for call in batch]
        answered = [output for output in outputs if output is not None]
        if len(answered) == len(outputs):
            batches.append(answered)
    return batches


def _place(call: PastCall) -> tuple[int, int]:
    return call.round, call.index


def usage_of(request: TurnRequest, entry: Entry) -> Usage:
    """Tokens by a rule of thumb, four characters each; always positive, and the same for the same input."""
    asked = len(request.instructions or "") + sum(len(message.text) for message in visible_messages(request))
    told = sum(len(call.arguments) + len(call.output or "") for call in request.calls)
    said = len(entry.say or "") + sum(len(call.name) + len(call.arguments) for call in entry.calls)
    return Usage(1 + (asked + told) // CHARACTERS_PER_TOKEN, 1 + said // CHARACTERS_PER_TOKEN)
