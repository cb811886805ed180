"""From what is stored of a run to the events that a client reads. Pure (docs/api.md, streaming).

Nothing is remembered of a stream but how far it has come: the events are a function of the rows, so that a
stream which is joined late, or asked for again, tells the same story.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from app.api.objects import Run, message_object, run_object, step_object
from app.api.payloads import text_of
from sql.runs import RunRow
from sql.steps import CallRow, StepRow
from sql.streams import SpokenRow, StreamCall
from sql.vocabulary import Executor, RunStatus, StepType

Event = tuple[str, Any]
DONE: Final[Event] = ("done", "[DONE]")
# Arguments come in pieces of so many code points.
ARGUMENTS_PIECE: Final = 64
# Statuses that a run with new outputs has only once a worker took it up; or that wait for calls of the server's.
WORKED_ON: Final = frozenset(
    {
        RunStatus.IN_PROGRESS,
        RunStatus.REQUIRES_ACTION,
        RunStatus.COMPLETED,
        RunStatus.FAILED,
        RunStatus.INCOMPLETE,
    }
)


@dataclass(frozen=True)
class Seen:
    """A run as last read: its row, and from the stream's first round on its steps, messages and calls."""

    run: RunRow
    steps: Sequence[StepRow]
    messages: Mapping[str, SpokenRow]
    calls: Sequence[StreamCall]

    def calls_of(self, round: int) -> list[StreamCall]:
        """The calls of a round, in call order."""
        return [call for call in self.calls if call.call.round == round]


@dataclass
class Projection:
    """One stream's progress.

    opening: events that come before the run's own, such as `thread.created`. answered: the round whose outputs
    this stream's request handed in; None for a stream that begins with the run.
    """

    opening: Sequence[Event] = ()
    answered: int | None = None
    ended: bool = False
    _opened: bool = False
    _working: bool = False
    _answer_shown: bool = False
    _finished: set[str] = field(default_factory=set)
    _begun: set[str] = field(default_factory=set)
    _spoken: dict[str, int] = field(default_factory=dict)

    @property
    def first_round(self) -> int:
        """The first round that the stream shows."""
        return 0 if self.answered is None else self.answered

    def advance(self, seen: Seen) -> list[Event]:
        """The events that have not been told yet."""
        events: list[Event] = []
        if not self._opened:
            events += self._open(seen)
        if not self._working and self._works(seen):
            self._working = True
            events.append(("thread.run.in_progress", run_at(seen.run, "in_progress")))
        for step in seen.steps:
            if step.round == self.answered:
                events += self._answer(seen, step)
            elif step.id not in self._finished:
                events += self._tell(seen, step)
                if self.ended or step.id not in self._finished:
                    return events
        if seen.run.ended_at is not None and not self.ended:
            events += [(f"thread.run.{seen.run.status}", run_object(seen.run)), DONE]
            self.ended = True
        return events

    def _open(self, seen: Seen) -> list[Event]:
        self._opened = True
        if self.answered is None:
            queued = run_at(replace(seen.run, started_at=None), "queued")
            return [*self.opening, ("thread.run.created", queued), ("thread.run.queued", queued)]
        steps = [step for step in seen.steps if step.round == self.answered and step.status == "completed"]
        answers = [event for step in steps for event in self._answer(seen, step)]
        return [*answers, ("thread.run.queued", run_at(seen.run, "queued"))]

    def _works(self, seen: Seen) -> bool:
        """Whether a worker has taken the run up since the stream began."""
        if self.answered is not None:
            later = any(step.round > self.answered for step in seen.steps)
            return later or seen.run.status in WORKED_ON
        return seen.run.started_at is not None

    def _answer(self, seen: Seen, step: StepRow) -> list[Event]:
        """The step whose outputs were handed in, once all its calls are answered or the run has ended."""
        if self._answer_shown or step.type != StepType.TOOL_CALLS or step.status == "in_progress":
            return []
        self._answer_shown = True
        return [(f"thread.run.step.{step.status}", shown_step(seen, step))]

    def _tell(self, seen: Seen, step: StepRow) -> list[Event]:
        events = self._begin(step)
        told = self._tell_message if step.type == StepType.MESSAGE_CREATION else self._tell_calls
        return events + told(seen, step)

    def _begin(self, step: StepRow) -> list[Event]:
        if step.id in self._begun:
            return []
        self._begun.add(step.id)
        opened = step_object(replace(step, status="in_progress", ended_at=None), [])
        return [("thread.run.step.created", opened), ("thread.run.step.in_progress", opened)]

    # A message -------------------------------------------------------------------------------------

    def _tell_message(self, seen: Seen, step: StepRow) -> list[Event]:
        spoken = seen.messages.get(step.message_id or "")
        if spoken is None:
            self._finished.add(step.id)
            return []
        message = spoken.message
        events: list[Event] = []
        if message.id not in self._spoken:
            self._spoken[message.id] = 0
            opened = replace(message, status="in_progress", content=[], ended_at=None, incomplete_reason=None)
            shown = message_object(opened)
            events += [("thread.message.created", shown), ("thread.message.in_progress", shown)]
        events += self._pieces(spoken)
        if message.status == "in_progress" or step.status == "in_progress":
            return events
        self._finished.add(step.id)
        word = "completed" if message.status == "completed" else "incomplete"
        return [
            *events,
            (f"thread.message.{word}", message_object(message)),
            (f"thread.run.step.{step.status}", step_object(step, [])),
        ]

    def _pieces(self, spoken: SpokenRow) -> list[Event]:
        text = text_value(spoken)
        start = self._spoken[spoken.message.id]
        events = []
        for piece in untold_pieces(text, spoken.pieces, start, whole=spoken.message.status != "in_progress"):
            events.append(("thread.message.delta", message_delta(spoken.message.id, piece)))
            start += len(piece)
        self._spoken[spoken.message.id] = start
        return events

    # Calls -----------------------------------------------------------------------------------------

    def _tell_calls(self, seen: Seen, step: StepRow) -> list[Event]:
        calls = seen.calls_of(step.round)
        events: list[Event] = []
        if step.id not in self._spoken:
            self._spoken[step.id] = 1
            events += [event for index, call in enumerate(calls) for event in call_deltas(step.id, index, call.call)]
        waiting = [call for call in calls if call.executor == Executor.CLIENT]
        # A step that ended with its run waits for nobody: the client need not execute what nobody will ask for.
        if waiting and step.status in ("in_progress", "completed"):
            asked = run_at(seen.run, "requires_action", [call.call for call in waiting])
            self.ended = True
            return [*events, ("thread.run.requires_action", asked), DONE]
        if step.status == "in_progress":
            return events
        self._finished.add(step.id)
        return [*events, (f"thread.run.step.{step.status}", shown_step(seen, step))]


def run_at(row: RunRow, status: str, waiting: Sequence[CallRow] = ()) -> Run:
    """The run as it stood when it had that status."""
    return run_object(
        replace(
            row,
            status=status,
            ended_at=None,
            error_code=None,
            error_message=None,
            incomplete_reason=None,
            open_ids=[call.tool_call_id for call in waiting] or None,
            open_names=[call.tool for call in waiting] or None,
            open_arguments=[call.arguments for call in waiting] or None,
            open_key_ids=[call.arguments_key_id for call in waiting] or None,
        )
    )


def shown_step(seen: Seen, step: StepRow) -> Any:
    """A step with the calls of its round."""
    return step_object(step, [call.call for call in seen.calls_of(step.round)])


def text_value(spoken: SpokenRow) -> str:
    """The text of a message, so far."""
    return "".join(part["text"]["value"] for part in spoken.message.content if part.get("type") == "text")


def untold_pieces(text: str, lengths: Sequence[int], start: int, *, whole: bool) -> list[str]:
    """The pieces after `start`, by the lengths in which they were spoken; whole: the rest too, if only an empty one."""
    pieces, at = [], 0
    for length in lengths:
        end = at + length
        if end > start:
            pieces.append(text[max(at, start) : end])
        at = end
    if whole and at < len(text):
        pieces.append(text[max(at, start) :])
    if whole and start == 0 and not pieces:
        return [text]
    return pieces


def message_delta(message_id: str, piece: str) -> dict[str, Any]:
    """A piece of a message's text."""
    part = {"index": 0, "type": "text", "text": {"value": piece, "annotations": []}}
    return {"id": message_id, "object": "thread.message.delta", "delta": {"content": [part]}}


def call_deltas(step_id: str, index: int, call: CallRow) -> list[Event]:
    """A call: its id and name once, then its arguments in pieces, since clients join what they are told twice."""
    arguments = text_of(call.arguments, call.arguments_key_id) or ""
    first = {"name": call.tool, "arguments": "", "output": None}
    deltas: list[dict[str, Any]] = [{"index": index, "id": call.tool_call_id, "type": "function", "function": first}]
    for start in range(0, max(len(arguments), 1), ARGUMENTS_PIECE):
        piece = arguments[start : start + ARGUMENTS_PIECE]
        deltas.append({"index": index, "type": "function", "function": {"arguments": piece}})
    return [("thread.run.step.delta", step_delta(step_id, delta)) for delta in deltas]


def step_delta(step_id: str, delta: dict[str, Any]) -> dict[str, Any]:
    """One change of a step's calls."""
    details = {"type": "tool_calls", "tool_calls": [delta]}
    return {"id": step_id, "object": "thread.run.step.delta", "delta": {"step_details": details}}
