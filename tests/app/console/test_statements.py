"""Every statement of the console's folders is prepared by a real Postgres, and its columns are what is read."""

import dataclasses
import inspect
from types import ModuleType
from typing import Any, get_type_hints
from uuid import UUID

import psycopg
import pytest
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer

from app.console.filters import RunFilter, count_of_runs, page_of_runs
from sql import console, users, webhooks
from sql.statement import Statement

FOLDERS = (console, users, webhooks)
SAMPLES: dict[str, Any] = {
    "ids": [UUID(int=1)],
    "events": ["run.ended"],
    "sha256": b"x",
    "most": 1,
    "life_s": 1.0,
    "before": 1,
    "up_to": 1,
    "delivered": True,
    "again_s": 1.0,
    "status": 200,
    "role": "viewer",
}
FILTERS = (
    RunFilter(),
    RunFilter(status="failed", before="run_x"),
    RunFilter(tool="create_ticket"),
    RunFilter(tool="create_ticket", status="completed", since="1h"),
    RunFilter(key="k", thread="t"),
    RunFilter(status="'; drop table counterfoil.runs; --"),
)


def wrappers(module: ModuleType) -> list[Any]:
    """The functions of a folder that make statements."""
    found = inspect.getmembers(module, inspect.isfunction)
    return [function for _, function in found if function.__module__ == module.__name__]


def row_type(function: Any) -> type | None:
    """The dataclass that a wrapper reads rows into, if it does."""
    (result,) = get_type_hints(function)["return"].__args__
    for one in (result, *getattr(result, "__args__", ())):
        if dataclasses.is_dataclass(one) and isinstance(one, type):
            return one
    return None


def prepared(connection: psycopg.Connection, statement: Statement[Any]) -> list[str]:
    """The names of its columns, as Postgres plans it."""
    query = PostgresQuery(Transformer(connection))
    query.convert(statement.text, statement.params)
    result = connection.pgconn.prepare(b"it", query.query)
    assert result.status == psycopg.pq.ExecStatus.COMMAND_OK, result.error_message.decode()
    described = connection.pgconn.describe_prepared(b"it")
    return [(described.fname(i) or b"").decode() for i in range(described.nfields)]


@pytest.mark.parametrize(
    "function",
    [one for module in FOLDERS for one in wrappers(module)],
    ids=lambda one: f"{one.__module__.removeprefix('sql.')}.{one.__name__}",
)
def test_postgres_can_prepare_it(function: Any, connection: psycopg.Connection) -> None:
    arguments = {name: SAMPLES.get(name, "x") for name in inspect.signature(function).parameters}
    columns = prepared(connection, function(**arguments))
    kind = row_type(function)
    if kind is not None:
        assert columns == [field.name for field in dataclasses.fields(kind)]


@pytest.mark.parametrize("asked", FILTERS, ids=str)
@pytest.mark.parametrize("ids", [None, ["run_x"]])
def test_filters_are_statements_too(asked: RunFilter, ids: list[str] | None, connection: psycopg.Connection) -> None:
    assert len(prepared(connection, page_of_runs(asked, ids, 10))) == 1
    counted = count_of_runs(asked, ids)
    assert "drop table" not in counted.text
