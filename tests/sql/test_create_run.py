"""`counterfoil.create_run`: the examples of docs/sql.md as they stand, and what it shares with the API."""

import re
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy
from psycopg.rows import dict_row
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.api.resend import Asked
from tests.app.api.conftest import Site, assistant, http, made, module_database, rows, site  # noqa: F401 - fixtures
from tests.support.processes import wait_until

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "sql.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCS, re.DOTALL)
CREATE = "select counterfoil.create_run(%s, thread_id => %s, message => %s, idempotency_key => %s)"
ASSISTANT = "asst_sql"


@pytest.fixture
def caller(connection: psycopg.Connection) -> psycopg.Connection:
    """A caller's connection, with a project, an assistant, a thread, and a table of the caller's own."""
    connection.execute("insert into counterfoil.projects (id, name) values ('proj_1', 'one'), ('proj_2', 'two')")
    connection.execute(
        "insert into counterfoil.assistants (id, project_id, model, instructions, temperature, metadata) values"
        " (%s, 'proj_1', 'scripted', 'be kind', 0.5, '{\"of\": \"assistant\"}')",
        (ASSISTANT,),
    )
    connection.execute(
        "insert into counterfoil.threads (id, project_id) values ('thread_1', 'proj_1'), ('thread_2', 'proj_2')"
    )
    connection.execute("create table orders (id integer primary key, customer text, run text)")
    return connection


def create(
    caller: psycopg.Connection,
    thread: str | None = None,
    message: str | None = None,
    key: str | None = None,
    assistant: str = ASSISTANT,  # noqa: F811
) -> str:
    found = caller.execute(CREATE, (assistant, thread, message, key)).fetchone()
    assert found is not None
    return str(found[0])


def count(caller: psycopg.Connection, table: str) -> int:
    found = caller.execute(f"select count(*) from counterfoil.{table}").fetchone()
    assert found is not None
    return int(found[0])


@pytest.mark.parametrize("example", EXAMPLES, ids=["psycopg", "sqlalchemy"])
def test_the_examples_make_an_order_and_its_run_or_neither(
    caller: psycopg.Connection, database: str, example: str
) -> None:
    """As they stand in the page; then again, when the order is there already and the whole is rolled back."""
    engine = sqlalchemy.create_engine(database.replace("postgresql://", "postgresql+psycopg://", 1))
    names: dict[str, Any] = {
        "psycopg": psycopg,
        "Session": Session,
        "engine": engine,
        "text": text,
        "select": select,
        "func": func,
        "dsn": database,
        "assistant": ASSISTANT,
        "order": 17,
        "customer": "Ada",
    }
    exec(textwrap.dedent(example), names)
    orders = caller.execute("select id, customer, run from orders").fetchall()
    assert orders == [(17, "Ada", names["run"])]
    with pytest.raises((psycopg.errors.UniqueViolation, sqlalchemy.exc.IntegrityError)):
        exec(textwrap.dedent(example), names)
    assert (count(caller, "runs"), count(caller, "messages")) == (1, 1)
    engine.dispose()


def test_a_rolled_back_run_never_was(caller: psycopg.Connection) -> None:
    with caller.transaction(force_rollback=True):
        create(caller, "thread_1", "hello", "k")
    assert [count(caller, table) for table in ("runs", "messages", "api_requests")] == [0, 0, 0]


def test_a_key_gives_the_same_run_and_another_request_with_it_is_refused(caller: psycopg.Connection) -> None:
    run = create(caller, "thread_1", "hello", "k")
    assert create(caller, "thread_1", "hello", "k") == run
    assert count(caller, "messages") == 1
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="used with another request"):
        create(caller, "thread_1", "other", "k")
    assert create(caller, None, "hello", "l") != run


def test_overlapping_callers_with_one_key_make_one_run(caller: psycopg.Connection, database: str) -> None:
    def one(_: int) -> str:
        with psycopg.connect(database) as own:
            return create(own, None, "hello", "ten at once")

    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(one, range(10)))) == 1
    assert count(caller, "threads") == 3


def test_a_thread_has_one_active_run(caller: psycopg.Connection, database: str) -> None:
    def one(_: int) -> str | None:
        with psycopg.connect(database) as own:
            try:
                return create(own, "thread_1")
            except psycopg.errors.ObjectInUse:
                return None

    with ThreadPoolExecutor(10) as pool:
        runs = [run for run in pool.map(one, range(10)) if run is not None]
    assert len(runs) == 1
    with pytest.raises(psycopg.errors.ObjectInUse, match=f"Thread thread_1 already has an active run {runs[0]}."):
        create(caller, "thread_1")


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        ({"assistant": "asst_0"}, psycopg.errors.NoDataFound),
        ({"thread": "thread_0"}, psycopg.errors.NoDataFound),
        ({"thread": "thread_2"}, psycopg.errors.NoDataFound),
        ({"message": ""}, psycopg.errors.InvalidParameterValue),
        ({"message": "x" * 256_001}, psycopg.errors.InvalidParameterValue),
        ({"key": ""}, psycopg.errors.InvalidParameterValue),
        ({"key": "k" * 256}, psycopg.errors.InvalidParameterValue),
    ],
)
def test_what_cannot_be(caller: psycopg.Connection, arguments: dict[str, str], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        create(caller, **arguments)
    assert count(caller, "runs") == 0


@pytest.mark.parametrize("metadata", ["[]", '"x"', '{"a": 1}', '{"a": null}', '{"": "x"}', '{"a": "%s"}' % ("x" * 513)])
def test_metadata_are_strings(caller: psycopg.Connection, metadata: str) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        caller.execute("select counterfoil.create_run(%s, metadata => %s)", (ASSISTANT, metadata))


def test_life_and_flag(caller: psycopg.Connection) -> None:
    caller.execute("insert into counterfoil.flags (name, scope, value) values ('ledger', 'proj_1', 'observe')")
    caller.execute(
        'select counterfoil.create_run(%s, expires_in_seconds => 5, metadata => \'{"a": "b"}\')', (ASSISTANT,)
    )
    with caller.cursor(row_factory=dict_row) as cursor:
        run = cursor.execute("select *, expires_at - created_at as life from counterfoil.runs").fetchone()
    assert run is not None
    assert (run["ledger"], run["fixed_expiry"], run["metadata"]) == ("observe", True, {"a": "b"})
    assert round(run["life"].total_seconds()) == 5
    for wrong in (0, 2_592_001):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            caller.execute("select counterfoil.create_run(%s, expires_in_seconds => %s)", (ASSISTANT, wrong))


def test_another_role_needs_no_right_on_any_table(caller: psycopg.Connection) -> None:
    role = "caller_of_create_run"
    caller.execute(f"drop role if exists {role}")
    caller.execute(f"create role {role}")
    caller.execute(f"grant usage on schema counterfoil to {role}")
    with caller.transaction(force_rollback=True):
        caller.execute(f"set local role {role}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            create(caller)
    caller.execute(f"grant execute on function counterfoil.create_run to {role}")
    with caller.transaction():
        caller.execute(f"set local role {role}")
        assert create(caller).startswith("run_")
        with pytest.raises(psycopg.errors.InsufficientPrivilege), caller.transaction():
            caller.execute("select from counterfoil.runs")
    caller.execute(f"drop owned by {role}")
    caller.execute(f"drop role {role}")


def test_the_lock_is_the_apis(caller: psycopg.Connection) -> None:
    for project, key in (("proj_1", "k"), ("proj_ä", "☃" * 50)):
        found = caller.execute("select counterfoil.request_lock(%s, %s)", (project, key)).fetchone()
        assert found == (Asked("e", project, b"", 0, key, counted=True).lock,)


def test_a_run_is_the_same_as_the_apis(site: Site, assistant: str, rows: psycopg.Connection) -> None:  # noqa: F811
    """One made by HTTP, one by SQL: the wire shows the same but for ids and times; and a worker drives it."""
    client = site.http()
    thread = made(client.post("/threads", json={"messages": [{"role": "user", "content": "hello"}]}))["id"]
    path = f"/threads/{thread}/runs"
    one = made(client.post(path, json={"assistant_id": assistant}))
    made(client.post(f"{path}/{one['id']}/cancel"))
    found = rows.execute("select counterfoil.create_run(%s, %s, 'by SQL')", (assistant, thread)).fetchone()
    assert found is not None
    other = made(client.get(f"{path}/{found[0]}"))
    differing = {key for key in one if one[key] != other[key]}
    assert differing <= {"id", "created_at", "expires_at"}
    site.processes.start_worker(site.dsn)
    wait_until(lambda: made(client.get(f"{path}/{found[0]}"))["status"] == "completed", what="the run's end")
    texts = [m["content"][0]["text"]["value"] for m in made(client.get(f"/threads/{thread}/messages"))["data"]]
    assert texts == ["by SQL", "by SQL", "hello"]
    again = rows.execute("select counterfoil.create_run(%s)", (assistant,)).fetchone()
    assert again is not None
