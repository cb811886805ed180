"""Every statement is prepared by a real Postgres, and its types are those that its wrapper says.

Arguments are made from the wrapper's annotations; what Postgres says of parameters is held against them, and
what it says of columns against what the wrapper answers.
"""

import importlib
import inspect
import typing
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final
from uuid import UUID

import psycopg
import pytest
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer
from psycopg.pq.abc import PGresult

import sql
from sql.embedded import EmbeddedPostgres
from sql.statement import Statement

FOLDERS: Final = sorted(path.parent.name for path in Path(sql.__file__).parent.glob("*/__init__.py"))
TYPES: Final[dict[str, type]] = {
    "text": str,
    "int4": int,
    "int8": int,
    "float8": float,
    "bool": bool,
    "timestamptz": datetime,
    "uuid": UUID,
    "bytea": bytes,
    "json": object,
    "jsonb": object,
}
SAMPLES: Final[dict[Any, Any]] = {
    str: "x",
    int: 1,
    float: 1.5,
    bool: True,
    bytes: b"x",
    datetime: datetime(2026, 3, 12, tzinfo=UTC),
    UUID: UUID(int=1),
    Any: "x",
    object: "x",
}
# What these answer is put together from several columns, by hand.
COMPOSED: Final = ("requests.find_resent", "streams.read_calls", "streams.read_messages")
RENAMED: Final = {("keys.list_keys", "name"): "project"}
MANY: Final = (list, Sequence, Iterable, Collection)


def wrappers() -> list[Any]:
    """The function of every SQL file."""
    found = []
    for folder in FOLDERS:
        module = importlib.import_module(f"sql.{folder}")
        found += [getattr(module, file.stem) for file in sorted(Path(str(module.__file__)).parent.glob("*.sql"))]
    return found


def without_none(hint: Any) -> Any:
    """What a hint says besides None."""
    if typing.get_origin(hint) in (typing.Union, UnionType):
        return next(one for one in typing.get_args(hint) if one is not NoneType)
    return hint


def sample(hint: Any) -> Any:
    """A value of the hinted type."""
    hint = without_none(hint)
    origin, of = typing.get_origin(hint), typing.get_args(hint)
    if origin in MANY:
        return [sample(of[0])]
    if origin is tuple:
        return tuple(sample(one) for one in of if one is not Ellipsis)
    if origin in (dict, Mapping):
        return {sample(of[0]): sample(of[1])}
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return hint(**{field.name: sample(hints[field.name]) for field in fields(hint)})  # type: ignore[operator]
    if inspect.isclass(hint) and issubclass(hint, Enum):
        return next(iter(hint))
    return SAMPLES[hint]


def statement_of(function: Any) -> Statement[Any]:
    """The function's statement for arguments of the types that it names."""
    hints = typing.get_type_hints(function)
    made: Statement[Any] = function(**{name: sample(hints[name]) for name in inspect.signature(function).parameters})
    return made


def row_types(function: Any) -> list[tuple[str | None, Any]] | None:
    """(field, type) of a row's columns, as the function's answer says; None where it reads no rows."""
    [answer] = typing.get_args(typing.get_type_hints(function)["return"])
    if answer in (None, NoneType):
        return None
    kind = without_none(answer)
    if typing.get_origin(kind) is list:
        kind = typing.get_args(kind)[0]
    if typing.get_origin(kind) is tuple:
        return [(None, hint) for hint in typing.get_args(kind)]
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return [(field.name, hints[field.name]) for field in fields(kind)]
    return [(None, kind)]


def prepared(connection: psycopg.Connection, statement: Statement[Any]) -> tuple[list[str], PGresult]:
    """The statement's parameters in order, and what Postgres says of it."""
    query = PostgresQuery(Transformer(connection))
    query.convert(statement.text, statement.params)
    result = connection.pgconn.prepare(b"", query.query)
    assert result.status == psycopg.pq.ExecStatus.COMMAND_OK, result.error_message.decode()
    return list(query._order or []), connection.pgconn.describe_prepared(b"")


def assert_type(said: Any, oid: int, what: str) -> None:
    """What we say of a value is what Postgres says of it. said: a hint, or a value's type."""
    info = psycopg.adapters.types.get(oid)
    assert info is not None, f"{what}: a type that we never use ({oid})"
    said = without_none(said)
    if typing.get_origin(said) in MANY and oid == info.array_oid:
        said = without_none(typing.get_args(said)[0])
    wanted = TYPES.get(info.name, str)
    if wanted is object or said in (Any, object):
        return
    assert inspect.isclass(said) and issubclass(said, wanted), f"{what}: {said} here, {info.name} in Postgres"


def value_type(value: Any) -> Any:
    """The type of a parameter's value, with its elements'."""
    return list[type(value[0])] if isinstance(value, list) and value else type(value)  # type: ignore[misc]


def name_of(function: Any) -> str:
    """`folder.file`, as the statement is called."""
    return f"{function.__module__.removeprefix('sql.')}.{function.__name__}"


@pytest.fixture(scope="module")
def at_head(server: EmbeddedPostgres, template: str) -> Iterator[psycopg.Connection]:
    """A connection to a database that nothing is written to."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute(f"create database {name} template {template}")
        with psycopg.connect(server.dsn(name), autocommit=True) as opened:
            yield opened
        admin.execute(f"drop database {name} with (force)")


@pytest.mark.parametrize("function", wrappers(), ids=name_of)
def test_a_statement_is_what_its_wrapper_says(function: Any, at_head: psycopg.Connection) -> None:
    statement = statement_of(function)
    assert statement.name == name_of(function)
    names, described = prepared(at_head, statement)
    assert set(names) == set(statement.params), "each parameter is used"
    for place, name in enumerate(names):
        said = value_type(statement.params[name])
        if NoneType not in (said, *typing.get_args(said)):
            assert_type(said, described.param_type(place), f"parameter {name}")
    if (columns := row_types(function)) is not None and statement.name not in COMPOSED:
        assert_columns(columns, described, statement.name)


def assert_columns(columns: list[tuple[str | None, Any]], described: PGresult, statement: str) -> None:
    """Rows are read by place: a column that changes places with another of its type would go unnoticed."""
    found = [(described.fname(n) or b"").decode() for n in range(described.nfields)]
    assert len(found) == len(columns), f"columns {found}"
    for place, (name, (field, hint)) in enumerate(zip(found, columns, strict=True)):
        assert field in (None, RENAMED.get((statement, name), name)), f"column {name} is read as {field}"
        assert_type(hint, described.ftype(place), f"column {name}")
