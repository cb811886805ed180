"""Reads a request's body: size, JSON, characters that Postgres cannot store, types; each mistake is a 400."""

import json
from collections.abc import Callable
from typing import IO, Any, Final, TypeVar

from flask import g, request
from pydantic import ValidationError
from pydantic_core import ErrorDetails, from_json

from app import errors
from app.api.wire import UNION_TAGS, Body

B = TypeVar("B", bound=Body)

MOST_BYTES: Final = 8 * 1024 * 1024
MOST_DRAINED: Final = 64 * 1024 * 1024
NUL: Final = "\x00"

KINDS: Final[dict[str, type[errors.BadRequest]]] = {
    "string_too_long": errors.TooLong,
    "too_long": errors.TooMany,
    "greater_than_equal": errors.TooSmall,
    "less_than_equal": errors.TooLarge,
    "unsupported_tool": errors.UnsupportedTool,
    "unsupported_content_type": errors.UnsupportedContent,
}


def raw_body() -> bytes:
    """The body's bytes, read once. Raises `BodyTooLarge`."""
    if "raw_body" not in g:
        g.raw_body = receive()
    body: bytes = g.raw_body
    return body


def receive() -> bytes:
    """Reads the body off the connection, whether its length was announced or it comes in chunks."""
    stream = request.environ["wsgi.input"]
    announced = request.content_length
    if announced is None and not request.environ.get("wsgi.input_terminated"):
        return b""
    try:
        body: bytes = stream.read(MOST_BYTES + 1 if announced is None else min(announced, MOST_BYTES + 1))
    except Exception:  # whatever the server's parser says of chunks that are none
        raise errors.BadRequest(problem="The request's body broke off.") from None
    if len(body) > MOST_BYTES:
        drain(stream, MOST_DRAINED if announced is None else announced - len(body))
        raise errors.BodyTooLarge
    if announced is not None and len(body) < announced:
        raise errors.BadRequest(problem="The request's body broke off.")
    return body


def drain(stream: IO[bytes], left: int) -> None:
    """Reads on for a while: a client that is still sending when the connection closes misses the answer."""
    left = min(left, MOST_DRAINED)
    while left > 0 and (chunk := stream.read(min(left, 65536))):
        left -= len(chunk)


def read_body(kind: type[B], *, exists: Callable[[], object] | None = None) -> B:
    """The body as its type. `exists` raises when the path names what is not there: that comes first."""
    try:
        return parse(kind, raw_body())
    except errors.ApiError:
        if exists is not None:
            exists()
        raise


def parse(kind: type[B], raw: bytes) -> B:
    """Bytes as a type of requests; an empty body is an empty object. Raises `BadRequest`."""
    value = decode(raw)
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise explain(error.errors(include_url=False, include_context=False)[0]) from None


def decode(raw: bytes) -> Any:
    """JSON without what Postgres cannot store."""
    if not raw:
        return {}
    try:
        value = from_json(raw, allow_inf_nan=False)
    except ValueError as error:
        problem = f"We could not parse the JSON body of your request: {error}."
        raise errors.BadRequest(problem=problem) from None
    if b"\\u0000" in raw and has_nul(value):
        raise errors.BadRequest(problem="The body must not contain the character U+0000.")
    return value


def has_nul(value: Any) -> bool:
    """Whether U+0000 stands anywhere, keys included; decoding bounds the depth."""
    if isinstance(value, str):
        return NUL in value
    if isinstance(value, dict):
        return any(has_nul(key) or has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(has_nul(item) for item in value)


def explain(error: ErrorDetails) -> errors.BadRequest:
    """The first mistake as the envelope tells it; `param` is the field of the body that it lies in."""
    located = list(zip(("", *error["loc"]), error["loc"], strict=False))
    # A union's tag stands behind the name of a field; behind a number in a list stands a field of that name.
    places = [p for before, p in located if p != "[key]" and (p not in UNION_TAGS or isinstance(before, int))]
    param = "metadata" if "metadata" in places else str(places[0]) if places else None
    field = "".join(f"[{place}]" if isinstance(place, int) else f".{place}" for place in places).lstrip(".")
    problem = error["msg"][:1].lower() + error["msg"][1:]
    kind = kind_of(error)
    return kind(param=param, field=field or "body", problem=problem)


def kind_of(error: ErrorDetails) -> type[errors.BadRequest]:
    """Which error a mistake is."""
    name, value = error["type"], error["input"]
    if name == "missing":
        return errors.MissingParameter
    if name.endswith("_type") and name not in KINDS:
        return errors.InvalidType
    if name in {"literal_error", "union_tag_invalid"} and not isinstance(value, str):
        return errors.InvalidType
    numeric = name in {"greater_than_equal", "less_than_equal"}
    if (numeric and isinstance(value, float)) or (name == "too_long" and isinstance(value, dict)):
        return errors.InvalidValue
    return KINDS.get(name, errors.InvalidValue)


def stored(value: Any) -> str:
    """A value as JSON text for the database. Raises `InvalidValue` for numbers that JSON cannot hold."""
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except ValueError:
        raise errors.InvalidValue(field="body", problem="a number in it is too large") from None
