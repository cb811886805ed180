"""Statements about runs that the API makes, shows and hands outputs to."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from sql.statement import Statement, no_rows, rows_of, scalar, statement


@dataclass(frozen=True)
class RunRow:
    """A run as stored; times in Unix seconds.

    overdue: active, though its time is up. The four `open_…` lists hold the calls that wait for the client,
    in call order, None when there is none; arguments are payload bytes.
    """

    id: str
    created_at: int
    thread_id: str
    assistant_id: str
    status: str
    overdue: bool
    error_code: str | None
    error_message: str | None
    incomplete_reason: str | None
    expires_at: int
    started_at: int | None
    ended_at: int | None
    model: str
    instructions: str | None
    tools: list[Any]
    metadata: dict[str, str]
    settings: dict[str, Any]
    rounds: int
    prompt_tokens: int
    completion_tokens: int
    open_ids: list[str] | None
    open_names: list[str] | None
    open_arguments: list[bytes | None] | None
    open_key_ids: list[str | None] | None


@dataclass(frozen=True)
class NewRun:
    """A run to be made. tools, metadata, settings: JSON text; ledger: the mode where no flag says otherwise."""

    id: str
    project_id: str
    thread_id: str
    assistant_id: str
    correlation_id: str
    traceparent: str | None
    ledger: str
    model: str
    instructions: str | None
    tools: str
    metadata: str
    settings: str
    ttl_s: float
    fixed_expiry: bool


@dataclass(frozen=True)
class ClientCall:
    """A call that the client answers; output bytes only if it was the client that answered."""

    tool_call_id: str
    round: int
    settled: bool
    answered: bool
    output: bytes | None
    key_id: str | None


def insert_run(run: NewRun) -> Statement[None]:
    """Makes a run that is due at once; its input is what the thread holds now."""
    return statement("runs.insert_run", no_rows, **asdict(run))


def read_runs(project_id: str | None, thread_id: str | None, ids: Sequence[str]) -> Statement[list[RunRow]]:
    """Runs of a thread by id, in no order; other projects' ones are not there. None: whichever, asked before."""
    return statement("runs.read_runs", rows_of(RunRow), project_id=project_id, thread_id=thread_id, ids=list(ids))


def page_runs(
    project_id: str, thread_id: str, *, ascending: bool, above: str | None, below: str | None, count: int
) -> Statement[list[tuple[str, int]]]:
    """Ids and places of a thread's runs between two cursors."""
    return statement(
        "runs.page_runs",
        rows_of(lambda *row: row),
        project_id=project_id,
        thread_id=thread_id,
        ascending=ascending,
        above=above,
        below=below,
        count=count,
    )


def update_run(id: str, thread_id: str, project_id: str, metadata: str | None) -> Statement[None]:
    """Replaces the metadata; None leaves them."""
    return statement(
        "runs.update_run",
        no_rows,
        id=id,
        thread_id=thread_id,
        project_id=project_id,
        metadata=metadata,
    )


def count_active(bound: int) -> Statement[int]:
    """Active runs of the whole database, counted up to `bound`."""
    return statement("runs.count_active", scalar, bound=bound)


def client_calls(run_id: str) -> Statement[list[ClientCall]]:
    """All calls of the run that its client answers, in call order."""
    return statement("runs.client_calls", rows_of(ClientCall), run_id=run_id)


def answer_calls(run_id: str, ids: Sequence[str], outputs: Sequence[UUID]) -> Statement[None]:
    """Settles open calls of the client's with payloads that are already stored."""
    return statement("runs.answer_calls", no_rows, run_id=run_id, ids=list(ids), outputs=list(outputs))


def is_newest_run(id: str) -> Statement[bool | None]:
    """Whether neither a run nor a message from outside came into its thread after it."""
    return statement("runs.is_newest_run", scalar, id=id)


def thread_of_run(id: str, project_id: str) -> Statement[str | None]:
    """The thread that a run works on."""
    return statement("runs.thread_of_run", scalar, id=id, project_id=project_id)
