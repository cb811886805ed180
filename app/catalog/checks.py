"""The checks of single values: addresses, expressions, schemas, headers. Each says what is wrong, or None."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

import jmespath
import jsonschema
from jmespath.exceptions import JMESPathError
from jsonschema.exceptions import SchemaError
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from app.catalog.placeholders import PLACEHOLDERS, fill_url, unknown

TOOL_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# fmt: off
OUR_HEADERS: Final = frozenset({
    "x-run-id", "x-thread-id", "x-corr-id", "x-tool-call-id", "x-request-fingerprint", "x-attempt", "traceparent",
    "host", "content-length", "transfer-encoding", "connection", "expect", "accept-encoding", "cookie",
})
# fmt: on
SOME_MARKS: Final = dict.fromkeys(PLACEHOLDERS, "x")


def url_problem(url: str) -> str | None:
    """What is wrong with an address, placeholders allowed."""
    if wrong := unknown(url):
        return f"has {{{wrong[0]}}}; the placeholders are {', '.join(PLACEHOLDERS)}"
    if "${" in url:
        return "has ${…} elsewhere than at its head"
    if not url.isascii() or not url.isprintable() or " " in url:
        return "has a space or another character that must be percent-encoded"
    try:
        parts = urlsplit(fill_url(url, SOME_MARKS))
        return _parts_problem(parts, parts.port)
    except ValueError as error:
        return f"is no address ({error})"


def _parts_problem(parts: SplitResult, port: int | None) -> str | None:
    if parts.scheme not in ("http", "https"):
        return "does not begin with http:// or https://"
    if not parts.hostname or port == 0:
        return "names no host and port that can be called"
    if parts.username is not None or parts.password is not None:
        return "holds a login; put it in headers, by env:NAME"
    return "has a fragment (#…), which is never sent" if parts.fragment else None


def expression_problem(expression: str) -> str | None:
    """What is wrong with a JMESPath expression."""
    try:
        jmespath.compile(expression)
    except JMESPathError as error:
        return f"is no JMESPath ({' '.join(str(error).split())})"
    return None


def schema_problem(schema: Mapping[str, Any]) -> str | None:
    """What is wrong with a tool's JSON Schema (draft 2020-12)."""
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join(str(step) for step in error.absolute_path)
        return f"is no JSON Schema ({place + ': ' if place else ''}{error.message})"
    if schema.get("type", "object") != "object":
        return "does not describe an object, which the arguments of a tool always are"
    registry = Registry().with_resource("", DRAFT202012.create_resource(schema))
    for reference in _references(schema):
        try:
            registry.resolver().lookup(reference)
        except Unresolvable:
            return f"refers to {reference!r}, which is not in it (nothing is fetched)"
    return None


def header_problem(name: str, value: str) -> str | None:
    """What is wrong with a header of the catalog's."""
    if not _TOKEN.fullmatch(name):
        return "is no header name"
    if name.lower() in OUR_HEADERS:
        return "is set by the gateway itself"
    if not value.isprintable() or value != value.strip():
        return "has a value with a line break, a control character or outer spaces"
    return None


def event_secret_problem(secret: str) -> str | None:
    """What is wrong with a Standard Webhooks secret; never tells the secret."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    return None if key else "is no Standard Webhooks secret (whsec_ and base64)"


def strings_in(value: Any) -> Iterator[str]:
    """Every string in a JSON value, names left out."""
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from strings_in(item)
        case list():
            for item in value:
                yield from strings_in(item)


def _references(schema: Any) -> Iterator[str]:
    match schema:
        case Mapping():
            reference = schema.get("$ref")
            if isinstance(reference, str):
                yield reference
            for item in schema.values():
                yield from _references(item)
        case list():
            for item in schema:
                yield from _references(item)
