"""Statements about the steps of a run."""

from collections.abc import Sequence
from dataclasses import dataclass

from sql.statement import Statement, rows_of, statement


@dataclass(frozen=True)
class StepRow:
    """A step as stored, with its run's error; times in Unix seconds."""

    id: str
    created_at: int
    assistant_id: str
    thread_id: str
    run_id: str
    round: int
    type: str
    message_id: str | None
    status: str
    ended_at: int | None
    prompt_tokens: int
    completion_tokens: int
    error_code: str | None
    error_message: str | None


@dataclass(frozen=True)
class CallRow:
    """A call as a step shows it; arguments and output are payload bytes."""

    round: int
    tool_call_id: str
    tool: str
    arguments: bytes | None
    arguments_key_id: str | None
    output: bytes | None
    output_key_id: str | None


def read_steps(project_id: str, thread_id: str, run_id: str, ids: Sequence[str]) -> Statement[list[StepRow]]:
    """Steps of a run by id, in no order; other projects' ones are not there."""
    return statement(
        "steps.read_steps",
        rows_of(StepRow),
        project_id=project_id,
        thread_id=thread_id,
        run_id=run_id,
        ids=list(ids),
    )


def page_steps(
    project_id: str,
    thread_id: str,
    run_id: str,
    *,
    ascending: bool,
    above: str | None,
    below: str | None,
    count: int,
) -> Statement[list[tuple[str, int]]]:
    """Ids and places of a run's steps between two cursors."""
    return statement(
        "steps.page_steps",
        rows_of(lambda *row: row),
        project_id=project_id,
        thread_id=thread_id,
        run_id=run_id,
        ascending=ascending,
        above=above,
        below=below,
        count=count,
    )


def calls_of_rounds(run_id: str, rounds: Sequence[int]) -> Statement[list[CallRow]]:
    """The calls of some rounds of a run, in call order."""
    return statement("steps.calls_of_rounds", rows_of(CallRow), run_id=run_id, rounds=list(rounds))
