"""Statements of a decision: what it is made on, and what it writes under the lock."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sql.ledger import columns
from sql.statement import Statement, column, no_rows, rows_of, statement


@dataclass(frozen=True)
class RunRow:
    """A run as a decision sees it; `now` is the database's clock when it was read."""

    id: str
    seq: int
    project_id: str
    thread_id: str
    assistant_id: str
    status: str
    ledger: str
    epoch: int
    wakes: int
    rounds: int
    model_tries: int
    expires_at: datetime
    poisoned: bool
    correlation_id: str
    traceparent: str | None
    model: str
    prompt_tokens: int
    completion_tokens: int
    now: datetime


@dataclass(frozen=True)
class CallRow:
    """A tool call as a decision sees it; contract as copied from the catalog when its round committed."""

    run_id: str
    tool_call_id: str
    round: int
    index: int
    tool: str
    executor: str
    repeat: str
    contract: dict[str, Any]
    fingerprint: str
    effect_key: str
    state: str
    reason: str | None
    external_id: str | None
    held_by_run: str | None
    held_by_call: str | None
    not_before: datetime | None
    lookups: int
    told: bool
    conflicted: bool
    paused: bool


@dataclass(frozen=True)
class AttemptRow:
    """An attempt as a decision sees it."""

    run_id: str
    tool_call_id: str
    number: int
    state: str
    intended_at: datetime
    deadline: datetime
    closed_at: datetime | None
    reason: str | None
    external_id: str | None


@dataclass(frozen=True)
class ArgumentsRow:
    """The arguments of a call, perhaps encrypted; None once scrubbed."""

    run_id: str
    tool_call_id: str
    bytes: bytes | None
    key_id: str | None


@dataclass(frozen=True)
class ElderQuery:
    """A call, perhaps not yet stored, whose equals of the thread are looked for."""

    thread_id: str
    run_id: str
    round: int
    tool: str
    fingerprint: str
    held_by_run: str | None = None
    held_by_call: str | None = None


@dataclass(frozen=True)
class Elders:
    """Equal calls asked for earlier: the newest unsettled, the newest that succeeded, and the holder.

    place: position of the query, from 1. age in seconds since it succeeded. done_since_asked: one of another
    turn has succeeded only after this turn was asked, and stands in for the holder.
    """

    place: int
    open_run_id: str | None
    open_call_id: str | None
    open_state: str | None
    done_run_id: str | None
    done_call_id: str | None
    done_output: UUID | None
    done_external_id: str | None
    done_age_s: float | None
    holder_state: str | None
    holder_output: UUID | None
    holder_external_id: str | None
    done_since_asked: bool


@dataclass(frozen=True)
class NewMessage:
    """A message that a round writes.

    content: JSON text of its parts, as the wire shows them. pieces: an array, as Postgres writes it, of the
    lengths in which it was spoken.
    """

    id: str
    thread_id: str
    run_id: str
    assistant_id: str
    round: int
    content: str
    pieces: str = "{}"
    status: str = "completed"
    incomplete_reason: str | None = None


@dataclass(frozen=True)
class MessageMove:
    """What is now known of a message that a model is speaking: all of it so far, or its end."""

    id: str
    content: str
    pieces: str
    status: str
    incomplete_reason: str | None = None


@dataclass(frozen=True)
class StepMove:
    """The end of a step; tokens of its round."""

    id: str
    status: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class NewStep:
    """A run step. type: message_creation or tool_calls; tokens of its round."""

    id: str
    run_id: str
    round: int
    type: str
    message_id: str | None
    status: str
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass(frozen=True)
class NewCall:
    """A tool call that a round asked for. contract: JSON text; arguments, output: ids of payloads."""

    run_id: str
    tool_call_id: str
    thread_id: str
    round: int
    index: int
    provider_call_id: str | None
    tool: str
    executor: str
    repeat: str
    contract: str
    fingerprint: str
    effect_key: str
    arguments: UUID
    state: str
    reason: str | None = None
    output: UUID | None = None
    external_id: str | None = None
    held_by_run: str | None = None
    held_by_call: str | None = None
    suspected_duplicate: bool = False


@dataclass(frozen=True)
class Intent:
    """An attempt to be recorded. life_s: send_by + timeout_s + slack, seconds from now to its deadline."""

    run_id: str
    tool_call_id: str
    number: int
    epoch: int
    owner: str
    life_s: float


@dataclass(frozen=True)
class CallMove:
    """What a decision makes of a call. state None leaves it; told: the model is told that it is in doubt."""

    run_id: str
    tool_call_id: str
    state: str | None
    reason: str | None = None
    output: UUID | None = None
    external_id: str | None = None
    told: bool = False
    conflict: bool = False


@dataclass(frozen=True)
class RunChange:
    """Where a decision leaves its run. released: the lease is given up, and the run is due at due_at.

    status None leaves it. needs_operator: a person has time until OPERATOR_TTL_S from now. fruitful: it
    intended something, so that the claim was no waste. Tokens of the round that it stores.
    """

    id: str
    epoch: int
    status: str | None = None
    more_rounds: int = 0
    more_model_tries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    needs_operator: bool = False
    fruitful: bool = False
    released: bool = False
    due_at: datetime | None = None


def paused_tools() -> Statement[list[str]]:
    """Names of the tools that an operator has paused."""
    return statement("decisions.paused_tools", column)


def load_runs(ids: Sequence[str]) -> Statement[list[RunRow]]:
    """Runs, to decide on; executed before the rest is read."""
    return statement("decisions.load_runs", rows_of(RunRow), ids=list(ids))


def load_calls(run_ids: Sequence[str]) -> Statement[list[CallRow]]:
    """The calls that a decision may turn on, in order of run, round and index."""
    return statement("decisions.load_calls", rows_of(CallRow), run_ids=list(run_ids))


def load_attempts(run_ids: Sequence[str]) -> Statement[list[AttemptRow]]:
    """The attempts of runs, in order."""
    return statement("decisions.load_attempts", rows_of(AttemptRow), run_ids=list(run_ids))


def load_arguments(keys: Sequence[tuple[str, str]]) -> Statement[list[ArgumentsRow]]:
    """Arguments of calls by (run, call), to be sent."""
    return statement(
        "decisions.load_arguments",
        rows_of(ArgumentsRow),
        run_ids=[run for run, _ in keys],
        tool_call_ids=[call for _, call in keys],
    )


def find_elders(queries: Sequence[ElderQuery]) -> Statement[list[Elders]]:
    """For each query its equal calls of the thread; answers carry the place of their query."""
    return statement("decisions.find_elders", rows_of(Elders), **columns(queries, ElderQuery))


def insert_messages(messages: Iterable[NewMessage]) -> Statement[None]:
    """Stores the messages that rounds wrote."""
    return statement("decisions.insert_messages", no_rows, **columns(messages, NewMessage))


def insert_steps(steps: Iterable[NewStep]) -> Statement[None]:
    """Stores run steps, in the order given."""
    return statement("decisions.insert_steps", no_rows, **columns(steps, NewStep))


def move_messages(moves: Iterable[MessageMove]) -> Statement[None]:
    """Goes on with messages that models are speaking."""
    return statement("decisions.move_messages", no_rows, **columns(moves, MessageMove))


def move_steps(moves: Iterable[StepMove]) -> Statement[None]:
    """Ends steps of messages."""
    return statement("decisions.move_steps", no_rows, **columns(moves, StepMove))


def void_speech(run_ids: Sequence[str], *, spoken_ids: Sequence[str]) -> Statement[None]:
    """Closes texts that were left unfinished, but for those that are being spoken now."""
    return statement("decisions.void_speech", no_rows, run_ids=list(run_ids), spoken_ids=list(spoken_ids))


def insert_calls(calls: Iterable[NewCall]) -> Statement[None]:
    """Stores the calls of rounds."""
    return statement("decisions.insert_calls", no_rows, **columns(calls, NewCall))


def record_intents(intents: Iterable[Intent]) -> Statement[None]:
    """Records an open attempt for each request that may go out after the commit."""
    return statement("decisions.record_intents", no_rows, **columns(intents, Intent))


def move_calls(moves: Iterable[CallMove]) -> Statement[list[tuple[str, str]]]:
    """Moves calls; answers the (run, call) of those that the machine let move."""
    return statement("decisions.move_calls", rows_of(lambda *key: key), **columns(moves, CallMove))


def update_runs(changes: Iterable[RunChange], *, operator_ttl_s: float) -> Statement[list[str]]:
    """Leaves runs where their decisions put them; only under their epoch."""
    return statement("decisions.update_runs", column, operator_ttl_s=operator_ttl_s, **columns(changes, RunChange))
