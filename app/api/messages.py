"""Messages of a thread. While a run is active, only the run adds any."""

from collections.abc import Iterable, Sequence

from flask import Blueprint, Response, request

from app import errors
from app.api import resend
from app.api.answers import answer, deleted
from app.api.bodies import read_body, stored
from app.api.expiry import end_if_overdue, end_overdue
from app.api.lists import asked_page, find_page, list_object
from app.api.objects import message_object
from app.api.paths import check_ids, is_id, missing, require_thread
from app.api.services import database, project
from app.api.wire import MessageBody, MetadataBody
from app.database import Transaction
from sql.ids import new_id
from sql.messages import (
    MessageRow,
    NewMessage,
    delete_message,
    insert_messages,
    is_newest_message,
    page_messages,
    read_messages,
    update_message,
)
from sql.runs import read_runs
from sql.threads import active_run, lock_thread

routes = Blueprint("messages", __name__)


@routes.post("/threads/<thread_id>/messages")
def create(thread_id: str) -> Response:
    """Adds a message."""
    body = read_body(MessageBody, exists=lambda: require_thread(thread_id))
    check_ids(thread=thread_id)
    asked = resend.asked("messages.create", exists=lambda: require_thread(thread_id))

    def work(transaction: Transaction) -> MessageRow:
        id = asked.earlier(transaction, is_newest_message)
        if id is None:
            id = add(transaction, thread_id, body)
            asked.remember(transaction, id)
        return found(shown(transaction, thread_id, id), thread_id, id)

    return answer(message_object(database().write(work)))


def add(transaction: Transaction, thread_id: str, body: MessageBody) -> str:
    """Adds a message unless the thread is busy. Raises `NotFound`, `ThreadBusy`."""
    locked, active = transaction.all(lock_thread(thread_id, project()), active_run(thread_id))
    if locked is None:
        raise missing("thread", thread_id)
    if active is not None and not end_if_overdue(transaction, active):
        raise errors.ThreadBusy(thread_id=thread_id, run_id=active.id)
    message = new_message(body)
    transaction.last(insert_messages(thread_id, [message]))
    return message.id


def new_messages(bodies: Iterable[MessageBody]) -> list[NewMessage]:
    """Messages to store, in order."""
    return [new_message(body) for body in bodies]


def new_message(body: MessageBody) -> NewMessage:
    """A message to store; content as the wire shows it."""
    texts = [body.content] if isinstance(body.content, str) else [part.text for part in body.content]
    content = [{"type": "text", "text": {"value": text, "annotations": []}} for text in texts]
    return NewMessage(new_id("msg"), body.role, stored(content), stored(body.metadata or {}))


@routes.get("/threads/<thread_id>/messages")
def index(thread_id: str) -> Response:
    """The thread's messages, all or those of one run."""
    check_ids(thread=thread_id)
    page = asked_page(lambda: require_thread(thread_id))
    run_id = request.args.get("run_id")
    if run_id is not None and not is_id(run_id):
        run_id = "-"  # an id of no run, so that the list is empty

    def rows_of_page() -> tuple[list[MessageRow], bool]:
        return find_page(
            page,
            page.scan(page_messages, project(), thread_id, run_id),
            lambda ids: read_messages(project(), thread_id, ids),
            lambda: require_thread(thread_id),
            lambda row: run_id is None or row.run_id == run_id,
        )

    rows, more = rows_of_page()
    if end_writers(rows, thread_id):
        rows, more = rows_of_page()
    return answer(list_object([dict(message_object(row)) for row in rows], more))


@routes.get("/threads/<thread_id>/messages/<message_id>")
def retrieve(thread_id: str, message_id: str) -> Response:
    """One message."""
    row = require(thread_id, message_id)
    if end_writers([row], thread_id):
        row = require(thread_id, message_id)
    return answer(message_object(row))


def end_writers(rows: Sequence[MessageRow], thread_id: str) -> bool:
    """Ends the runs whose time is up of messages that are still being written; True when some were."""
    writers = {row.run_id for row in rows if row.status == "in_progress" and row.run_id is not None}
    if not writers:
        return False
    runs = database().read_one(read_runs(project(), thread_id, sorted(writers)))
    return end_overdue(runs)


@routes.post("/threads/<thread_id>/messages/<message_id>")
def update(thread_id: str, message_id: str) -> Response:
    """Replaces the metadata."""
    body = read_body(MetadataBody, exists=lambda: require(thread_id, message_id))
    check_ids(thread=thread_id, message=message_id)
    metadata = None if body.metadata is None else stored(body.metadata)
    asked = resend.asked("messages.update", counted=False, exists=lambda: require(thread_id, message_id))

    def work(transaction: Transaction) -> MessageRow | None:
        if asked.earlier(transaction) is None:
            asked.remember(transaction, message_id)
            transaction.last(update_message(message_id, thread_id, project(), metadata))
        return shown(transaction, thread_id, message_id)

    return answer(message_object(found(database().write(work), thread_id, message_id)))


@routes.delete("/threads/<thread_id>/messages/<message_id>")
def delete(thread_id: str, message_id: str) -> Response:
    """Deletes a message."""
    check_ids(thread=thread_id, message=message_id)
    resent = resend.retry_count() > 0

    def work(transaction: Transaction) -> str | None:
        statement = delete_message(message_id, thread_id, project(), resent=resent)
        id: str | None = transaction.commit(statement)[0]
        return id

    if database().write(work) is None:
        require_thread(thread_id)
        raise missing("message", message_id)
    return deleted(message_id, "thread.message.deleted")


def shown(transaction: Transaction, thread_id: str, id: str) -> MessageRow | None:
    """Commits, and answers the message as it is now."""
    rows: list[MessageRow] = transaction.commit(read_messages(project(), thread_id, [id]))[0]
    return rows[0] if rows else None


def require(thread_id: str, message_id: str) -> MessageRow:
    """The message, or `NotFound` for it or its thread."""
    rows: list[MessageRow] = []
    if is_id(thread_id) and is_id(message_id):
        rows = database().read_one(read_messages(project(), thread_id, [message_id]))
    return found(rows[0] if rows else None, thread_id, message_id)


def found(row: MessageRow | None, thread_id: str, id: str) -> MessageRow:
    """The row, or `NotFound` for it or its thread."""
    if row is None:
        require_thread(thread_id)
        raise missing("message", id)
    return row
