"""The API's description, made of the very types that check and show: `GET /openapi.json` and `GET /docs`."""

import re
from functools import cache
from typing import Any, Final

from flask import Blueprint, Response, current_app, render_template
from pydantic import TypeAdapter
from pydantic_core import to_json
from werkzeug.routing import Rule

from app import VERSION
from app.api import objects, wire

routes = Blueprint("reference", __name__, template_folder="templates")

# endpoint → type of the request, type of the answer
TYPES: Final[dict[str, tuple[type | None, Any]]] = {
    "assistants.create": (wire.AssistantBody, objects.Assistant),
    "assistants.index": (None, objects.ListOf[objects.Assistant]),
    "assistants.retrieve": (None, objects.Assistant),
    "assistants.update": (wire.AssistantUpdate, objects.Assistant),
    "assistants.delete": (None, objects.Deleted),
    "threads.create": (wire.ThreadBody, objects.Thread),
    "threads.retrieve": (None, objects.Thread),
    "threads.update": (wire.ThreadUpdate, objects.Thread),
    "threads.delete": (None, objects.Deleted),
    "messages.create": (wire.MessageBody, objects.Message),
    "messages.index": (None, objects.ListOf[objects.Message]),
    "messages.retrieve": (None, objects.Message),
    "messages.update": (wire.MetadataBody, objects.Message),
    "messages.delete": (None, objects.Deleted),
    "runs.create_with_thread": (wire.ThreadRunBody, objects.Run),
    "runs.create": (wire.RunBody, objects.Run),
    "runs.index": (None, objects.ListOf[objects.Run]),
    "runs.retrieve": (None, objects.Run),
    "runs.update": (wire.MetadataBody, objects.Run),
    "runs.cancel": (wire.NoBody, objects.Run),
    "submit.submit": (wire.SubmitBody, objects.Run),
    "steps.index": (None, objects.ListOf[objects.Step]),
    "steps.retrieve": (None, objects.Step),
    "models.index": (None, objects.ModelList),
    "models.retrieve": (None, objects.ModelObject),
}
PLACE: Final = re.compile(r"<(?:\w+:)?(\w+)>")
PAGING: Final[list[dict[str, Any]]] = [
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}},
    {"name": "order", "in": "query", "schema": {"type": "string", "enum": ["asc", "desc"], "default": "desc"}},
    {"name": "after", "in": "query", "schema": {"type": "string"}},
    {"name": "before", "in": "query", "schema": {"type": "string"}},
]


@routes.get("/openapi.json")
def openapi() -> Response:
    """The description as OpenAPI 3.1."""
    return Response(to_json(description()), mimetype="application/json")


@routes.get("/docs")
def docs() -> str:
    """The description as a page to read, with nothing loaded from elsewhere."""
    return render_template("reference.html", api=description(), operations=operations())


@cache
def description() -> dict[str, Any]:
    """The whole description."""
    paths: dict[str, dict[str, Any]] = {}
    for path, method, operation in operations():
        paths.setdefault(path, {})[method] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Counterfoil agent API",
            "version": VERSION,
            "description": "Threads, messages and runs on the wire of the Assistants API, version 2.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas()[1],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}],
    }


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Path, method and operation of each endpoint, by path."""
    found = []
    for rule in current_app.url_map.iter_rules():
        name = rule.endpoint.removeprefix("api.")
        if name in TYPES:
            [method] = (rule.methods or set()) - {"HEAD", "OPTIONS"}
            found.append((PLACE.sub(r"{\1}", rule.rule), method.lower(), operation_of(rule, name)))
    return sorted(found, key=lambda one: one[:2])


def operation_of(rule: Rule, name: str) -> dict[str, Any]:
    """One operation."""
    body, _ = TYPES[name]
    references = schemas()[0]
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": (current_app.view_functions[rule.endpoint].__doc__ or "").strip(),
        "parameters": [
            {"name": place, "in": "path", "required": True, "schema": {"type": "string"}}
            for place in sorted(rule.arguments)
        ],
        "responses": {
            "200": {"description": "Done.", "content": content(references[name, "answer"])},
            "default": {"description": "An error.", "content": content(references["error", "answer"])},
        },
    }
    if name.endswith(".index") and name != "models.index":
        operation["parameters"] += PAGING
    if name == "messages.index":
        operation["parameters"].append({"name": "run_id", "in": "query", "schema": {"type": "string"}})
    if body is not None:
        required = bool(getattr(body, "model_fields", {})) and "required" in TypeAdapter(body).json_schema()
        operation["requestBody"] = {"required": required, "content": content(references[name, "request"])}
    return operation


def content(schema: Any) -> dict[str, Any]:
    """JSON with this schema."""
    return {"application/json": {"schema": schema}}


@cache
def schemas() -> tuple[dict[tuple[str, str], Any], dict[str, Any]]:
    """References by (endpoint, "request" or "answer"), and the definitions that they point to."""
    adapters: list[tuple[tuple[str, str], Any, TypeAdapter[Any]]] = [
        (("error", "answer"), "serialization", TypeAdapter(objects.Envelope))
    ]
    for name, (body, shown) in TYPES.items():
        adapters.append(((name, "answer"), "serialization", TypeAdapter(shown)))
        if body is not None:
            adapters.append(((name, "request"), "validation", TypeAdapter(body)))
    found, definitions = TypeAdapter.json_schemas(adapters, ref_template="#/components/schemas/{model}")
    return {name: schema for (name, _), schema in found.items()}, definitions["$defs"]
