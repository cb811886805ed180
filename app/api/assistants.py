"""Assistants: what runs are made with."""

from typing import Any

from flask import Blueprint, Response

from app.api import resend
from app.api.answers import answer, deleted
from app.api.bodies import read_body, stored
from app.api.lists import asked_page, find_page, list_object
from app.api.objects import assistant_object
from app.api.paths import check_ids, is_id, missing
from app.api.services import database, project
from app.api.wire import AssistantBody, AssistantUpdate
from app.database import Transaction
from sql.assistants import (
    AssistantFields,
    AssistantRow,
    delete_assistant,
    insert_assistant,
    page_assistants,
    read_assistants,
    update_assistant,
)
from sql.ids import new_id

routes = Blueprint("assistants", __name__)


@routes.post("/assistants")
def create() -> Response:
    """Makes an assistant; its model may have any name."""
    body = read_body(AssistantBody)
    fields = fields_of(body)
    asked = resend.asked("assistants.create")

    def work(transaction: Transaction) -> AssistantRow:
        id = asked.earlier(transaction)
        if id is None:
            id = new_id("asst")
            asked.remember(transaction, id)
            transaction.last(insert_assistant(id, project(), fields))
        return found(shown(transaction, id), id)

    return answer(assistant_object(database().write(work)))


@routes.get("/assistants/<assistant_id>")
def retrieve(assistant_id: str) -> Response:
    """One assistant."""
    return answer(assistant_object(require(assistant_id)))


@routes.post("/assistants/<assistant_id>")
def update(assistant_id: str) -> Response:
    """Replaces what is given; runs keep what they were made with."""
    body = read_body(AssistantUpdate, exists=lambda: require(assistant_id))
    check_ids(assistant=assistant_id)
    fields = fields_of(body)
    asked = resend.asked("assistants.update", counted=False, exists=lambda: require(assistant_id))

    def work(transaction: Transaction) -> AssistantRow | None:
        if asked.earlier(transaction) is None:
            asked.remember(transaction, assistant_id)
            transaction.last(update_assistant(assistant_id, project(), fields))
        return shown(transaction, assistant_id)

    return answer(assistant_object(found(database().write(work), assistant_id)))


@routes.delete("/assistants/<assistant_id>")
def delete(assistant_id: str) -> Response:
    """Deletes an assistant; runs that used it go on."""
    check_ids(assistant=assistant_id)
    resent = resend.retry_count() > 0

    def work(transaction: Transaction) -> str | None:
        id: str | None = transaction.commit(delete_assistant(assistant_id, project(), resent=resent))[0]
        return id

    if database().write(work) is None:
        raise missing("assistant", assistant_id)
    return deleted(assistant_id, "assistant.deleted")


@routes.get("/assistants")
def index() -> Response:
    """The project's assistants."""
    page = asked_page()
    rows, more = find_page(
        page, page.scan(page_assistants, project()), lambda ids: read_assistants(project(), ids), lambda: None
    )
    return answer(list_object([dict(assistant_object(row)) for row in rows], more))


def fields_of(body: AssistantUpdate) -> AssistantFields:
    """What a body sets; a new assistant's tools and metadata are empty where it sets none."""
    new = isinstance(body, AssistantBody)
    return AssistantFields(
        model=body.model,
        title=body.name,
        description=body.description,
        instructions=body.instructions,
        tools=json_or(body.tools, [] if new else None),
        metadata=json_or(body.metadata, {} if new else None),
        temperature=body.temperature,
        top_p=body.top_p,
        response_format=json_or(body.response_format, None),
        reasoning_effort=body.reasoning_effort,
    )


def json_or(value: Any, default: Any) -> str | None:
    """A value, else the default, as JSON text; None stays None."""
    chosen = default if value is None else value
    return None if chosen is None else stored(chosen)


def shown(transaction: Transaction, id: str) -> AssistantRow | None:
    """Commits, and answers the assistant as it is now."""
    rows: list[AssistantRow] = transaction.commit(read_assistants(project(), [id]))[0]
    return rows[0] if rows else None


def require(assistant_id: str) -> AssistantRow:
    """The assistant, or `NotFound`."""
    rows = database().read_one(read_assistants(project(), [assistant_id])) if is_id(assistant_id) else []
    return found(rows[0] if rows else None, assistant_id)


def found(row: AssistantRow | None, id: str) -> AssistantRow:
    """The row, or `NotFound`."""
    if row is None:
        raise missing("assistant", id)
    return row
