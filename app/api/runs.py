"""Runs: made, shown, listed, cancelled; what drives them is the worker."""

import re
from collections.abc import Sequence
from typing import Any, Final

from flask import Blueprint, Response, request

from app import errors
from app.api import resend
from app.api.answers import answer
from app.api.bodies import read_body, stored
from app.api.expiry import end_if_overdue, end_overdue, expired
from app.api.lists import asked_page, find_page, list_object
from app.api.messages import new_messages
from app.api.objects import run_object, thread_object, wire_status
from app.api.paths import check_ids, is_id, missing, require_thread
from app.api.services import database, project, services
from app.api.settings_of_run import run_of
from app.api.stream.projection import Event
from app.api.stream.serve import stream_of
from app.api.threads import making
from app.api.wire import MetadataBody, NoBody, RunBody, ThreadBody, ThreadRunBody
from app.database import Transaction
from sql.assistants import AssistantRow, read_assistants
from sql.ids import new_id
from sql.ledger import RunEnd, ending, lock_runs
from sql.messages import insert_messages
from sql.runs import RunRow, insert_run, is_newest_run, page_runs, read_runs, thread_of_run, update_run
from sql.statement import Statement
from sql.threads import ThreadRow, active_run, lock_thread, read_thread
from sql.vocabulary import RunStatus

routes = Blueprint("runs", __name__)
TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@routes.post("/threads/runs")
def create_with_thread() -> Response:
    """Makes a thread and a run on it, all or nothing."""
    body = read_body(ThreadRunBody)
    asked = resend.asked("threads.runs.create")

    def work(transaction: Transaction) -> RunRow:
        if (id := asked.earlier(transaction)) is not None:
            return shown(transaction, transaction.one(thread_of_run(id, project())) or "", id)
        [assistants] = transaction.all(read_assistants(project(), known(body.assistant_id)))
        thread_id = new_id("thread")
        transaction.last(*making(thread_id, body.thread or ThreadBody()))
        return make(transaction, thread_id, body, assistants, asked)

    row = database().write(work)
    if body.stream:
        thread = database().read_one(read_thread(row.thread_id, project()))
        return streamed(row, [] if thread is None else [("thread.created", thread_object(thread))])
    return started(row)


@routes.post("/threads/<thread_id>/runs")
def create(thread_id: str) -> Response:
    """Makes a run on a thread that has no active one."""
    body = read_body(RunBody, exists=lambda: require_thread(thread_id))
    check_ids(thread=thread_id)
    asked = resend.asked("runs.create", exists=lambda: require_thread(thread_id))

    def work(transaction: Transaction) -> RunRow:
        if (id := asked.earlier(transaction, is_newest_run)) is not None:
            return shown(transaction, thread_id, id)
        locked, active, assistants = transaction.all(
            lock_thread(thread_id, project()),
            active_run(thread_id),
            read_assistants(project(), known(body.assistant_id)),
        )
        if locked is None:
            raise missing("thread", thread_id)
        if assistants and active is not None and not end_if_overdue(transaction, active):
            raise errors.ThreadHasRun(thread_id=thread_id, run_id=active.id)
        return make(transaction, thread_id, body, assistants, asked)

    row = database().write(work)
    return streamed(row) if body.stream else started(row)


def make(
    transaction: Transaction, thread_id: str, body: RunBody, assistants: list[AssistantRow], asked: resend.Asked
) -> RunRow:
    """Stores the run with its additional messages. Raises `NotFound` for the assistant."""
    if not assistants:
        raise missing("assistant", body.assistant_id)
    if body.additional_messages:
        transaction.last(insert_messages(thread_id, new_messages(body.additional_messages)))
    run = run_of(body, assistants[0], thread_id, services().settings, traceparent())
    transaction.last(insert_run(run))
    asked.remember(transaction, run.id)
    return shown(transaction, thread_id, run.id)


def started(row: RunRow) -> Response:
    """The answer to a creation: the run as it was made. Workers are told after the commit."""
    services().notifier.hurry()
    return answer(run_object(row))


def streamed(row: RunRow, opening: Sequence[Event] = ()) -> Response:
    """The answer to a creation as a stream: the run's events from the first on."""
    services().notifier.hurry()
    return stream_of(row.id, opening=opening)


def known(id: str) -> list[str]:
    """An id to look for; what cannot be one is looked for nowhere."""
    return [id] if is_id(id) else []


def traceparent() -> str | None:
    """The trace that the request belongs to, if it names a valid one."""
    text = request.headers.get("traceparent", "")
    return text if TRACEPARENT.fullmatch(text) else None


@routes.get("/threads/<thread_id>/runs/<run_id>")
def retrieve(thread_id: str, run_id: str) -> Response:
    """One run; the header says when to look again."""
    row = require(thread_id, run_id)
    return answer(run_object(row), {"openai-poll-after-ms": str(services().pace.now_ms())})


@routes.get("/threads/<thread_id>/runs")
def index(thread_id: str) -> Response:
    """The thread's runs."""
    check_ids(thread=thread_id)
    page = asked_page(lambda: require_thread(thread_id))
    places = page.scan(page_runs, project(), thread_id)

    def rows_of_page() -> tuple[list[RunRow], bool]:
        return find_page(
            page,
            places,
            lambda ids: read_runs(project(), thread_id, ids),
            lambda: require_thread(thread_id),
        )

    rows, more = rows_of_page()
    if end_overdue(rows):
        rows, more = rows_of_page()
    return answer(list_object([dict(run_object(row)) for row in rows], more))


@routes.post("/threads/<thread_id>/runs/<run_id>")
def update(thread_id: str, run_id: str) -> Response:
    """Replaces the metadata, in any status."""
    body = read_body(MetadataBody, exists=lambda: require(thread_id, run_id))
    check_ids(thread=thread_id, run=run_id)
    metadata = None if body.metadata is None else stored(body.metadata)
    asked = resend.asked("runs.update", counted=False, exists=lambda: require(thread_id, run_id))

    def work(transaction: Transaction) -> RunRow:
        if asked.earlier(transaction) is None:
            asked.remember(transaction, run_id)
            transaction.last(update_run(run_id, thread_id, project(), metadata))
        return shown(transaction, thread_id, run_id)

    return answer(run_object(database().write(work)))


@routes.post("/threads/<thread_id>/runs/<run_id>/cancel")
def cancel(thread_id: str, run_id: str) -> Response:
    """Ends an active run at once; what is already on its way is settled in the ledger afterwards."""
    read_body(NoBody, exists=lambda: require(thread_id, run_id))
    check_ids(thread=thread_id, run=run_id)
    asked = resend.asked("runs.cancel", counted=False, exists=lambda: require(thread_id, run_id))

    def work(transaction: Transaction) -> RunRow:
        if asked.earlier(transaction) is not None:
            return shown(transaction, thread_id, run_id)
        row: RunRow = locked_run(transaction, thread_id, run_id)[0]
        if row.status == RunStatus.CANCELLED and asked.retry_count > 0:
            return row
        if row.ended_at is not None:
            raise errors.RunEnded(status=wire_status(row))
        transaction.last(*ending([RunEnd(run_id, RunStatus.CANCELLED)]))
        asked.remember(transaction, run_id)
        return shown(transaction, thread_id, run_id)

    row = database().write(work)
    services().notifier.hurry()
    return answer(run_object(row))


def locked_run(transaction: Transaction, thread_id: str, run_id: str, *also: Statement[Any]) -> tuple[Any, ...]:
    """A run under its lock, ended if its time is up, so that its status is what decides; and what else was asked."""
    read = read_runs(project(), thread_id, [run_id])
    locked, rows, *found = transaction.all(lock_runs([run_id]), read, *also)
    if not rows:
        raise no_run(thread_id, run_id, transaction.one(read_thread(thread_id, project())))
    if overdue := expired(locked):
        rows, *found = transaction.all(*ending(overdue), read, *also)[-1 - len(also) :]
    return (rows[0], *found)


def shown(transaction: Transaction, thread_id: str, run_id: str) -> RunRow:
    """Commits, and answers the run as it is now. Raises `NotFound`."""
    rows: list[RunRow] = transaction.commit(read_runs(project(), thread_id, [run_id]))[0]
    if not rows:
        raise no_run(thread_id, run_id, transaction.one(read_thread(thread_id, project())))
    return rows[0]


def no_run(thread_id: str, run_id: str, thread: ThreadRow | None) -> errors.NotFound:
    """The error for a run that is not there: it names the thread where that is not there either."""
    return missing("thread", thread_id) if thread is None else missing("run", run_id)


def require(thread_id: str, run_id: str) -> RunRow:
    """The run as it is now, ended if its time is up; or `NotFound` for it or its thread."""
    rows: list[RunRow] = []
    if is_id(thread_id) and is_id(run_id):
        statement = read_runs(project(), thread_id, [run_id])
        rows = database().read_one(statement)
        if end_overdue(rows):
            rows = database().read_one(statement)
    if not rows:
        require_thread(thread_id)
        raise missing("run", run_id)
    return rows[0]
