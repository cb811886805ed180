"""`counterfoil.toml` to a `Catalog`: the whole file is checked, and every mistake is reported at once."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from app.catalog import checks
from app.catalog.mistakes import CatalogErrors, Notes
from app.catalog.placeholders import PLACEHOLDERS, named, unknown
from app.catalog.section import Section
from app.catalog.tool import Catalog, Contract, Lookup, ModelEntry, Tool

METHODS: Final = ("POST", "GET", "PUT", "PATCH", "DELETE")
REPEATS: Final = ("never", "safe", "keyed", "lookup")
PROVIDERS: Final = ("chat", "assistants")


def load_catalog(path: Path, environ: Mapping[str, str]) -> Catalog:
    """The catalog in the file; empty where there is no file. Raises `CatalogErrors` with every mistake."""
    if not path.exists():
        return Catalog()
    data, notes = _parsed(path)
    catalog = Catalog(
        tools={name: _tool(notes, name, values, environ) for name, values in _tables(notes, data, "tools")},
        models=tuple(_model(notes, pattern, values, environ) for pattern, values in _tables(notes, data, "models")),
    )
    for key in data.keys() - {"tools", "models"}:
        notes.unknown_key("", key, ("tools", "models"))
    if notes.mistakes:
        raise CatalogErrors(notes.mistakes)
    return catalog


def _parsed(path: Path) -> tuple[dict[str, Any], Notes]:
    try:
        text = path.read_bytes().decode()
        return tomllib.loads(text), Notes(path, text)
    except (OSError, UnicodeDecodeError) as error:
        notes = Notes(path, "")
        notes.at_line(None, f"cannot be read ({error})", "a TOML file in UTF-8")
        raise CatalogErrors(notes.mistakes) from error
    except tomllib.TOMLDecodeError as error:
        notes = Notes(path, "")
        line = re.search(r"at line (\d+)", str(error))
        notes.at_line(int(line[1]) if line else None, f"is no TOML: {error}", "see https://toml.io")
        raise CatalogErrors(notes.mistakes) from error


def _tables(notes: Notes, data: Mapping[str, Any], kind: str) -> list[tuple[str, dict[str, Any]]]:
    tables = data.get(kind, {})
    if not isinstance(tables, dict):
        notes.add(kind, "", f"{tables!r} is not a table", f"write [{kind}.NAME]")
        return []
    for name, values in tables.items():
        if not isinstance(values, dict):
            notes.add(kind, name, f"{values!r} is not a table", f"write [{kind}.NAME]")
    return [(name, values) for name, values in tables.items() if isinstance(values, dict)]


def _tool(notes: Notes, name: str, values: Mapping[str, Any], environ: Mapping[str, str]) -> Tool:
    section = Section(notes, f"tools.{name}", values)
    if not checks.TOOL_NAME.fullmatch(name):
        section.note("", f"{name!r} is no name for a tool", "letters, digits, _ and -, at most 64")
    contract = _contract(section, environ)
    lookup = contract.lookup
    tool = Tool(
        name=name,
        url=section.take_url("url", environ, checks.url_problem),
        method=section.take_word("method", METHODS, "POST"),
        description=section.take_text("description") or "",
        parameters=_parameters(section),
        contract=contract,
        headers=_headers(section, environ),
        body=_body(section),
        key_header=_key_header(section),
        event_secret=_event_secret(section, environ),
        external_id=_expression(section, "external_id", required=False) or (lookup.id if lookup else None),
    )
    section.done()
    return tool


def _contract(section: Section, environ: Mapping[str, str]) -> Contract:
    repeat = section.take_word("repeat", REPEATS, "never")
    lookup = _lookup(section, repeat, environ)
    _promises(section, repeat)
    return Contract(
        repeat=repeat,
        timeout_s=section.take_seconds("timeout_s", 10.0, zero=False),
        settle_s=section.take_seconds("settle_s", 0.0, zero=True),
        completion_s=section.take_seconds("completion_s", None, zero=False),
        key_ttl_s=section.take_seconds("key_ttl_s", None, zero=True),
        max_attempts=section.take_count("max_attempts", 5),
        refused_statuses=section.take_statuses("refused_statuses", 400, 599),
        when_in_doubt=section.take_word("when_in_doubt", ("hold", "tell_model"), "hold"),
        same_request=section.take_word("same_request", ("send", "reuse", "hold"), "send"),
        same_request_s=section.take_seconds("same_request_s", 600.0, zero=True),
        lookup=lookup,
        approval=section.take("approval", "true or false", False),
    )


def _promises(section: Section, repeat: str) -> None:
    """What must, and must not, be said together with each contract."""
    if repeat == "lookup" and not section.given("lookup"):
        section.note(
            "lookup",
            'is missing, and repeat is "lookup"',
            "say where to look: { url = …, found = …, id = … }",
        )
    if section.given("lookup") and repeat in ("never", "safe"):
        section.note("lookup", f'is never used: repeat is "{repeat}"', 'write repeat = "lookup"')
    if (repeat == "lookup" or section.given("lookup")) and not section.given("settle_s"):
        section.note(
            "settle_s",
            "is missing, and nothing found proves nothing without it",
            "in seconds, how long after the timeout the effect may still happen or become visible",
        )
    if repeat == "keyed" and not section.given("key_ttl_s"):
        section.note(
            "key_ttl_s",
            'is missing, and repeat is "keyed"',
            "how long the tool remembers a key, in seconds; 0: for ever",
        )
    if section.given("key_ttl_s") and repeat != "keyed":
        section.note("key_ttl_s", f'means nothing: repeat is "{repeat}"', 'write repeat = "keyed", or leave it out')


def _lookup(section: Section, repeat: str, environ: Mapping[str, str]) -> Lookup | None:
    if section.take("lookup", "a table") is None:
        return None
    below = section.below("lookup")
    url = below.take_url("url", environ, checks.url_problem)
    by = _looked_up_by(url)
    if url and by is None:
        below.note(
            "url",
            "cannot tell this call's effect from another's",
            "put {effect_key} (or {run_id} and {tool_call_id}, or {fingerprint}) into it",
        )
    lookup = Lookup(
        url=url,
        found=_expression(below, "found"),
        id=_expression(below, "id"),
        tries=below.take_count("tries", 5),
        none_status=below.take_statuses("none_status", 400, 499),
        by=by or "effect_key",
        at=_expression(below, "at", required=False),
    )
    below.done()
    return lookup


def _looked_up_by(url: str) -> str | None:
    """By the call's own mark, else by what equal calls share. A call id alone may come again in another run."""
    names = named(url)
    if "effect_key" in names or {"run_id", "tool_call_id"} <= names:
        return "effect_key"
    return "fingerprint" if "fingerprint" in names else None


def _expression(section: Section, key: str, *, required: bool = True) -> str:
    why = 'a JMESPath expression, like "tickets" or "ticket_id"'
    text = section.require(key, why) if required else section.take_text(key)
    if text is not None and (problem := checks.expression_problem(text)):
        section.note(key, f"{text!r} {problem}", why)
    return text or ""


def _parameters(section: Section) -> dict[str, Any] | None:
    schema: dict[str, Any] | None = section.take("parameters", "a table")
    if schema is None:
        return None
    wanted = 'a JSON Schema like { type = "object", required = ["title"], properties = { … } }'
    try:
        json.dumps(schema)
    except TypeError:
        section.note("parameters", "has a date or time, which JSON has not", wanted)
        return None
    if problem := checks.schema_problem(schema):
        section.note("parameters", problem, wanted)
        return None
    return {"type": "object", **schema}


def _headers(section: Section, environ: Mapping[str, str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, written in section.take("headers", "a table", {}).items():
        key = f"headers.{name}"
        if not isinstance(written, str):
            section.note(key, f"{written!r} is not text", 'write text, or "env:NAME"')
            continue
        value = section.secret(key, written, environ)
        if name.lower() == str(section.values.get("key_header", "Idempotency-Key")).lower():
            section.note(key, "is where the effect key goes", "leave it out, or name another key_header")
        elif value is not None and (problem := checks.header_problem(name, value)):
            section.note(key, problem, "another name, or a plain value")
        headers[name] = value or ""
    return headers


def _key_header(section: Section) -> str:
    name = section.take_text("key_header") or "Idempotency-Key"
    if problem := checks.header_problem(name, "x"):
        section.note("key_header", f"{name!r} {problem}", 'a header name, like "Idempotency-Key"')
    return name


def _body(section: Section) -> dict[str, Any]:
    body: dict[str, Any] = section.take("body", "a table", {})
    for text in checks.strings_in(body):
        for word in unknown(text):
            section.note(
                "body",
                f"{{{word}}} is no placeholder",
                "one of " + ", ".join(f"{{{name}}}" for name in PLACEHOLDERS),
            )
    try:
        json.dumps(body)
    except TypeError:
        section.note("body", "has a date or time, which JSON has not", "write it as text")
        return {}
    return body


def _event_secret(section: Section, environ: Mapping[str, str]) -> str | None:
    secret = section.secret("event_secret", section.take_text("event_secret"), environ)
    if secret is not None and (problem := checks.event_secret_problem(secret)):
        section.note("event_secret", problem, 'write "env:NAME" and put whsec_… there')
    return secret


def _model(notes: Notes, pattern: str, values: Mapping[str, Any], environ: Mapping[str, str]) -> ModelEntry:
    section = Section(notes, f'models."{pattern}"', values)
    if not section.given("provider"):
        section.note("provider", "is missing", "one of " + ", ".join(f'"{word}"' for word in PROVIDERS))
    entry = ModelEntry(
        pattern=pattern,
        provider=section.take_word("provider", PROVIDERS, "chat"),
        base_url=section.take_url("base_url", environ, checks.url_problem),
        api_key=section.secret("api_key", section.take_text("api_key"), environ),
        model=section.take_text("model"),
        timeout_s=section.take_seconds("timeout_s", 60.0, zero=False),
        max_attempts=section.take_count("max_attempts", 3),
    )
    section.done()
    return entry
