"""Models: what a run asks in each round, and what it may answer.

A model is given a `TurnRequest` and answers one `Turn`. It never sees a database connection; whatever it
answers is stored by the coordinator, and only when the lease and all that was seen still hold.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

# Receives the pieces of a turn's text while the model speaks; what it raises ends the turn and is passed on.
OnText = Callable[[str], Awaitable[None]]


@dataclass(frozen=True)
class Usage:
    """Tokens of one turn, or of several."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class ThreadMessage:
    """A message of the thread. text: its parts joined by a newline; seq: its place in the thread."""

    id: str
    seq: int
    role: str
    text: str
    run_id: str | None = None
    round: int | None = None


@dataclass(frozen=True)
class PastCall:
    """A tool call of this or an earlier run of the thread.

    arguments: JSON text as the model gave it. output: what the model is told, None while unanswered.
    run_seq orders runs; `(run_seq, round, index)` orders calls. input_seq: the `input_seq` of the run that
    asked, which places its calls among the thread's messages; without it the place is guessed.
    """

    run_id: str
    run_seq: int
    round: int
    index: int
    tool_call_id: str
    provider_call_id: str | None
    tool: str
    arguments: str
    output: str | None
    input_seq: int | None = None


@dataclass(frozen=True)
class TurnRequest:
    """What a model is asked: turn number (from 0), the run's effective values, the thread so far.

    tools: function tools as the wire has them, catalog tools completed. settings: temperature, top_p, limits,
    `truncation_strategy`, `tool_choice`… as the wire shows them. messages: all messages of the thread, oldest
    first, not yet cut. input_seq: `seq` of the newest message when the run was made, 0 for none.
    usage: what the run's earlier turns took, counted against its token limits. deleted_question: the newest user
    message when the run was made, where it was deleted since and is no message of the thread any more.
    """

    run_id: str
    thread_id: str
    model: str
    turn: int
    instructions: str | None
    tools: tuple[dict[str, Any], ...]
    settings: dict[str, Any]
    messages: tuple[ThreadMessage, ...]
    calls: tuple[PastCall, ...]
    input_seq: int
    traceparent: str | None = None
    usage: Usage = Usage()
    deleted_question: ThreadMessage | None = None


@dataclass(frozen=True)
class AskedCall:
    """A tool call as the model asked for it; provider_id as given, perhaps empty or used before."""

    provider_id: str | None
    name: str
    arguments: str


@dataclass(frozen=True)
class Failed:
    """The turn ends the run as `failed`. code: server_error, rate_limit_exceeded or invalid_prompt."""

    code: str
    message: str


@dataclass(frozen=True)
class Incomplete:
    """The turn ends the run as `incomplete`. reason: max_completion_tokens or max_prompt_tokens."""

    reason: str


@dataclass(frozen=True)
class Turn:
    """A model's answer: perhaps a text, perhaps calls, perhaps an end; neither calls nor end completes the run."""

    text: str | None = None
    calls: tuple[AskedCall, ...] = ()
    usage: Usage = field(default_factory=Usage)
    end: Failed | Incomplete | None = None


class Model(Protocol):
    """One provider. An error that a retry cannot mend is a `Turn` with `Failed`.

    Of its own, `ask` raises only `ModelUnavailable`.
    """

    async def ask(self, request: TurnRequest, on_text: OnText | None = None) -> Turn:
        """The turn that answers the request; may be cancelled at any await, and then has no effect.

        on_text receives the text in pieces as it comes; joined they are `Turn.text`. After `ModelUnavailable`
        the pieces of that try are void.
        """
        ...

    async def close(self) -> None:
        """Ends its connections."""
        ...


class ModelUnavailable(Exception):
    """The provider did not answer this time; asking again may help."""

    def __init__(self, reason: str, retry_after_s: float | None = None, code: str = "server_error") -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.code = code
