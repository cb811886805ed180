"""Statements about assistants, each within one project."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sql.statement import Statement, no_rows, rows_of, scalar, statement


@dataclass(frozen=True)
class AssistantRow:
    """An assistant as stored; `created_at` in Unix seconds."""

    id: str
    created_at: int
    model: str
    name: str | None
    description: str | None
    instructions: str | None
    tools: list[Any]
    metadata: dict[str, str]
    temperature: float | None
    top_p: float | None
    response_format: Any
    reasoning_effort: str | None


@dataclass(frozen=True)
class AssistantFields:
    """What a request may set; None sets nothing. title: its name. JSON fields are JSON text."""

    model: str | None = None
    title: str | None = None
    description: str | None = None
    instructions: str | None = None
    tools: str | None = None
    metadata: str | None = None
    temperature: float | None = None
    top_p: float | None = None
    response_format: str | None = None
    reasoning_effort: str | None = None


def insert_assistant(id: str, project_id: str, fields: AssistantFields) -> Statement[None]:
    """Stores a new assistant; `model`, `tools` and `metadata` must be given."""
    return statement("assistants.insert_assistant", no_rows, id=id, project_id=project_id, **asdict(fields))


def read_assistants(project_id: str, ids: Sequence[str]) -> Statement[list[AssistantRow]]:
    """Assistants by id, in no order; deleted and other projects' ones are not there."""
    return statement("assistants.read_assistants", rows_of(AssistantRow), project_id=project_id, ids=list(ids))


def page_assistants(
    project_id: str, *, ascending: bool, above: str | None, below: str | None, count: int
) -> Statement[list[tuple[str, int]]]:
    """Ids and places of a project's assistants between two cursors."""
    return statement(
        "assistants.page_assistants",
        rows_of(lambda *row: row),
        project_id=project_id,
        ascending=ascending,
        above=above,
        below=below,
        count=count,
    )


def update_assistant(id: str, project_id: str, fields: AssistantFields) -> Statement[None]:
    """Replaces the fields that are given."""
    return statement("assistants.update_assistant", no_rows, id=id, project_id=project_id, **asdict(fields))


def delete_assistant(id: str, project_id: str, *, resent: bool) -> Statement[str | None]:
    """Deletes and answers the id; None when there is none. `resent` finds one deleted within 15 minutes too."""
    return statement("assistants.delete_assistant", scalar, id=id, project_id=project_id, resent=resent)
