"""Statements of a model's context: what a run asks, its thread so far, its calls and their outputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sql.statement import Statement, rows_of, statement


@dataclass(frozen=True)
class PromptRow:
    """A run's effective values for its model; settings and tools as the wire shows them."""

    run_id: str
    instructions: str | None
    tools: list[dict[str, Any]]
    settings: dict[str, Any]
    input_seq: int


@dataclass(frozen=True)
class MessageRow:
    """A message of a run's thread; written_by: the run that wrote it, if any. deleted: the run's question, since."""

    run_id: str
    id: str
    seq: int
    role: str
    content: list[dict[str, Any]]
    written_by: str | None
    round: int | None
    deleted: bool = False


@dataclass(frozen=True)
class PastCallRow:
    """A call of a run's thread, up to that run; arguments and output as stored, perhaps encrypted or scrubbed.

    answered: the model has an output, even where its bytes are no longer kept.
    """

    for_run_id: str
    run_id: str
    run_seq: int
    input_seq: int
    round: int
    index: int
    tool_call_id: str
    provider_call_id: str | None
    tool: str
    arguments: bytes | None
    arguments_key_id: str | None
    answered: bool
    output: bytes | None
    output_key_id: str | None


def load_prompts(run_ids: Sequence[str]) -> Statement[list[PromptRow]]:
    """What runs ask of their models."""
    return statement("context.load_prompts", rows_of(PromptRow), run_ids=list(run_ids))


def load_messages(run_ids: Sequence[str]) -> Statement[list[MessageRow]]:
    """The messages of runs' threads, oldest first."""
    return statement("context.load_messages", rows_of(MessageRow), run_ids=list(run_ids))


def load_past_calls(run_ids: Sequence[str]) -> Statement[list[PastCallRow]]:
    """The calls of runs and of the earlier runs of their threads, in order."""
    return statement("context.load_past_calls", rows_of(PastCallRow), run_ids=list(run_ids))
