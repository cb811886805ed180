"""Answers: JSON in UTF-8, always 200."""

from collections.abc import Mapping
from typing import Any

from flask import Response, g
from pydantic_core import to_json


def answer(value: Any, headers: Mapping[str, str] | None = None) -> Response:
    """A 200 with the value; says so when it answers a request that came before."""
    response = marked(Response(to_json(value), mimetype="application/json"))
    if headers:
        response.headers.extend(headers)
    return response


def marked(response: Response) -> Response:
    """The response, saying so when it answers a request that came before."""
    if g.get("replayed"):
        response.headers["idempotent-replayed"] = "true"
    return response


def deleted(id: str, kind: str) -> Response:
    """The answer to a deletion."""
    return answer({"id": id, "object": kind, "deleted": True})
