"""Every statement of the API's folders is prepared by a real Postgres, and its columns are what is read."""

import inspect
from dataclasses import fields
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer

import sql
from sql import assistants, messages, projects, requests, runs, steps, threads
from sql.statement import Statement

FOLDERS = (assistants, threads, messages, runs, steps, requests, projects)
NUMBERS = {"count", "bound", "id:raise_retry_count", "retry_count", "lock"}
LISTS: dict[str, list[Any]] = {"ids": ["x"], "rounds": [0], "outputs": [UUID(int=1)], "messages": []}
ROWS = {
    "assistants.read_assistants": assistants.AssistantRow,
    "threads.read_thread": threads.ThreadRow,
    "threads.active_run": threads.ActiveRun,
    "messages.read_messages": messages.MessageRow,
    "runs.read_runs": runs.RunRow,
    "runs.client_calls": runs.ClientCall,
    "steps.read_steps": steps.StepRow,
    "steps.calls_of_rounds": steps.CallRow,
    "projects.find_key": projects.KeyOwner,
}


def wrappers(module: ModuleType) -> list[Any]:
    """The functions of a folder that make statements."""
    return [
        function
        for _, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
    ]


def sample(function: Any) -> Statement[Any]:
    """The function's statement for some arguments of the right kinds."""
    return function(**{name: argument(function, name) for name in inspect.signature(function).parameters})


def argument(function: Any, name: str) -> Any:
    """A value that the parameter may have."""
    if name in LISTS:
        return LISTS[name]
    if name in NUMBERS or f"{name}:{function.__name__}" in NUMBERS:
        return 1
    if name in {"ascending", "resent"}:
        return True
    if name in {"sha256", "fingerprint"}:
        return b"x"
    if name == "fields":
        return assistants.AssistantFields(model="m")
    if name == "run":
        return runs.NewRun(**dict.fromkeys((field.name for field in fields(runs.NewRun)), "1"))  # type: ignore[arg-type]
    if name == "request":
        return requests.NewRequest("p", "e", b"f", 0, None, "o")
    return "x"


@pytest.mark.parametrize("module", FOLDERS, ids=lambda module: module.__name__)
def test_each_file_has_one_wrapper_of_its_name(module: ModuleType) -> None:
    folder = Path(sql.__file__).parent / module.__name__.removeprefix("sql.")
    assert {file.stem for file in folder.glob("*.sql")} == {one.__name__ for one in wrappers(module)}


@pytest.mark.parametrize(
    "function",
    [one for module in FOLDERS for one in wrappers(module)],
    ids=lambda one: f"{one.__module__.removeprefix('sql.')}.{one.__name__}",
)
def test_postgres_can_prepare_it(function: Any, connection: psycopg.Connection) -> None:
    statement = sample(function)
    assert statement.name == f"{function.__module__.removeprefix('sql.')}.{function.__name__}"
    query = PostgresQuery(Transformer(connection))
    query.convert(statement.text, statement.params)
    result = connection.pgconn.prepare(b"it", query.query)
    assert result.status == psycopg.pq.ExecStatus.COMMAND_OK, result.error_message.decode()
    described = connection.pgconn.describe_prepared(b"it")
    if (row := ROWS.get(statement.name)) is not None:
        columns = [(described.fname(i) or b"").decode() for i in range(described.nfields)]
        assert columns == [field.name for field in fields(row)]
