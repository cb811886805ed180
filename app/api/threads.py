"""Threads: what messages and runs belong to."""

from typing import Any

from flask import Blueprint, Response

from app.api import resend
from app.api.answers import answer, deleted
from app.api.bodies import read_body, stored
from app.api.messages import new_messages
from app.api.objects import thread_object
from app.api.paths import check_ids, is_id, missing
from app.api.services import database, project, services
from app.api.wire import ThreadBody, ThreadUpdate
from app.database import Transaction
from sql.ids import new_id
from sql.ledger import RunEnd, ending, lock_runs
from sql.messages import insert_messages
from sql.statement import Statement
from sql.threads import (
    ThreadRow,
    active_run,
    delete_thread,
    deleted_lately,
    insert_thread,
    lock_thread,
    read_thread,
    update_thread,
)
from sql.vocabulary import RunStatus

routes = Blueprint("threads", __name__)


@routes.post("/threads")
def create() -> Response:
    """Makes a thread, with its first messages in order, all or none."""
    body = read_body(ThreadBody)
    # Nothing in an empty body tells two clients apart, and one must not be given the other's conversation.
    asked = resend.asked("threads.create", counted=bool(body.messages or body.metadata))

    def work(transaction: Transaction) -> ThreadRow:
        id = asked.earlier(transaction)
        if id is None:
            id = new_id("thread")
            transaction.last(*making(id, body))
            asked.remember(transaction, id)
        return found(shown(transaction, id), id)

    return answer(thread_object(database().write(work)))


def making(id: str, body: ThreadBody) -> list[Statement[Any]]:
    """The statements that make a thread."""
    statements: list[Statement[Any]] = [insert_thread(id, project(), stored(body.metadata or {}))]
    if body.messages:
        statements.append(insert_messages(id, new_messages(body.messages)))
    return statements


@routes.get("/threads/<thread_id>")
def retrieve(thread_id: str) -> Response:
    """One thread."""
    return answer(thread_object(require(thread_id)))


@routes.post("/threads/<thread_id>")
def update(thread_id: str) -> Response:
    """Replaces the metadata."""
    body = read_body(ThreadUpdate, exists=lambda: require(thread_id))
    check_ids(thread=thread_id)
    metadata = None if body.metadata is None else stored(body.metadata)
    asked = resend.asked("threads.update", counted=False, exists=lambda: require(thread_id))

    def work(transaction: Transaction) -> ThreadRow | None:
        if asked.earlier(transaction) is None:
            asked.remember(transaction, thread_id)
            transaction.last(update_thread(thread_id, project(), metadata))
        return shown(transaction, thread_id)

    return answer(thread_object(found(database().write(work), thread_id)))


@routes.delete("/threads/<thread_id>")
def delete(thread_id: str) -> Response:
    """Deletes a thread; its active run is cancelled, the ledger stays."""
    check_ids(thread=thread_id)
    database().write(lambda transaction: remove(transaction, thread_id))
    services().notifier.hurry()
    return deleted(thread_id, "thread.deleted")


def remove(transaction: Transaction, thread_id: str) -> None:
    """Cancels the active run and leaves a tombstone; a resent request finds one left a short while ago."""
    locked, active = transaction.all(lock_thread(thread_id, project()), active_run(thread_id))
    if locked is None:
        if resend.retry_count() == 0 or transaction.one(deleted_lately(thread_id, project())) is None:
            raise missing("thread", thread_id)
        return
    if active is not None:
        transaction.last(lock_runs([active.id]), *ending([RunEnd(active.id, RunStatus.CANCELLED)]))
    transaction.commit(delete_thread(thread_id, project()))


def shown(transaction: Transaction, id: str) -> ThreadRow | None:
    """Commits, and answers the thread as it is now."""
    row: ThreadRow | None = transaction.commit(read_thread(id, project()))[0]
    return row


def require(thread_id: str) -> ThreadRow:
    """The thread, or `NotFound`."""
    return found(database().read_one(read_thread(thread_id, project())) if is_id(thread_id) else None, thread_id)


def found(row: ThreadRow | None, id: str) -> ThreadRow:
    """The row, or `NotFound`."""
    if row is None:
        raise missing("thread", id)
    return row
