"""Statements about messages of a thread."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sql.ledger import columns
from sql.statement import Statement, column, no_rows, rows_of, scalar, statement


@dataclass(frozen=True)
class MessageRow:
    """A message as stored; content as the wire shows it, times in Unix seconds."""

    id: str
    created_at: int
    thread_id: str
    role: str
    content: list[Any]
    status: str
    incomplete_reason: str | None
    ended_at: int | None
    assistant_id: str | None
    run_id: str | None
    metadata: dict[str, str]


@dataclass(frozen=True)
class NewMessage:
    """A message that comes in through the API; content (as the wire shows it) and metadata are JSON text."""

    id: str
    role: str
    content: str
    metadata: str


def insert_messages(thread_id: str, messages: Sequence[NewMessage]) -> Statement[list[int]]:
    """Stores messages in order, complete, and answers their places."""
    return statement("messages.insert_messages", column, thread_id=thread_id, **columns(messages, NewMessage))


def read_messages(project_id: str, thread_id: str, ids: Sequence[str]) -> Statement[list[MessageRow]]:
    """Messages by id, in no order; deleted and other projects' ones are not there."""
    return statement(
        "messages.read_messages",
        rows_of(MessageRow),
        project_id=project_id,
        thread_id=thread_id,
        ids=list(ids),
    )


def page_messages(
    project_id: str,
    thread_id: str,
    run_id: str | None,
    *,
    ascending: bool,
    above: str | None,
    below: str | None,
    count: int,
) -> Statement[list[tuple[str, int]]]:
    """Ids and places of a thread's messages between two cursors; of one run only, if it is given."""
    return statement(
        "messages.page_messages",
        rows_of(lambda *row: row),
        project_id=project_id,
        thread_id=thread_id,
        run_id=run_id,
        ascending=ascending,
        above=above,
        below=below,
        count=count,
    )


def update_message(id: str, thread_id: str, project_id: str, metadata: str | None) -> Statement[None]:
    """Replaces the metadata; None leaves them."""
    return statement(
        "messages.update_message",
        no_rows,
        id=id,
        thread_id=thread_id,
        project_id=project_id,
        metadata=metadata,
    )


def delete_message(id: str, thread_id: str, project_id: str, *, resent: bool) -> Statement[str | None]:
    """Deletes and answers the id; None when there is none. `resent` finds one deleted within 15 minutes too."""
    return statement(
        "messages.delete_message",
        scalar,
        id=id,
        thread_id=thread_id,
        project_id=project_id,
        resent=resent,
    )


def is_newest_message(id: str) -> Statement[bool | None]:
    """Whether no message came after it; None when there is no such message."""
    return statement("messages.is_newest_message", scalar, id=id)
