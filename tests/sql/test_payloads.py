"""Payloads at rest: sealed, rotated, scrubbed when their time is over, and never before."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from sql.execute import execute
from sql.ledger import Payload, insert_payloads
from sql.payloads import erase_thread, page_sealed, plan_scrubs, reseal_payloads, scrub_payloads
from sql.sealing import current_key_id, key_id, seal, unseal, use_keys
from tests.support.processes import ROOT, Processes

OLD, NEW = b"o" * 32, b"n" * 32
STORY = """
insert into counterfoil.projects (id, name) values ('proj_a', 'a');
insert into counterfoil.threads (id, project_id) values ('thread_a', 'proj_a');
insert into counterfoil.messages (id, thread_id, role, content)
values ('msg_a', 'thread_a', 'user', '[{"type": "text", "text": {"value": "secret", "annotations": []}}]');
insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, correlation_id, model, status, started_at, ended_at, expires_at, due_at
) values (
    'run_a', 'proj_a', 'thread_a', 'asst_a', 'corr', 'scripted', 'completed', now() - interval '3 days',
    now() - interval '2 days', now(), null
);
"""


@pytest.fixture(autouse=True)
def no_keys() -> Iterator[None]:
    yield
    use_keys(())


def put(connection: psycopg.Connection, data: bytes) -> uuid.UUID:
    id = uuid.uuid4()
    execute(connection, insert_payloads([Payload(id, data)]))
    return id


def stored(connection: psycopg.Connection, id: uuid.UUID) -> tuple[bytes | None, str | None]:
    row = connection.execute("select bytes, key_id from counterfoil.payloads where id = %s", (id,)).fetchone()
    assert row is not None
    return row[0], row[1]


def call(connection: psycopg.Connection, state: str, arguments: uuid.UUID, output: uuid.UUID | None) -> None:
    settled = "now() - interval '1 day'" if state in ("succeeded", "failed") else "null"
    connection.execute(
        f"""insert into counterfoil.tool_calls (
            run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, fingerprint, effect_key,
            arguments, output, state, settled_at, in_doubt_since
        ) values (
            'run_a', 'call_a', 'thread_a', 0, 0, 'send_email', 'server', 'never', 'ab', 'eff_a', %s, %s, %s,
            {settled}, now()
        )""",
        (arguments, output, state),
    )


def test_without_a_key_payloads_are_as_they_are(connection: psycopg.Connection) -> None:
    assert stored(connection, put(connection, b"plain")) == (b"plain", None)


def test_with_a_key_no_payload_is_readable_in_the_database(connection: psycopg.Connection) -> None:
    use_keys((NEW,))
    data, name = stored(connection, put(connection, b"canary" * 9))
    assert data is not None and b"canary" not in data
    assert name == key_id(NEW) == current_key_id()
    assert unseal(data, name) == b"canary" * 9


def test_a_process_without_the_key_and_a_forged_payload_open_nothing() -> None:
    use_keys((NEW,))
    data, name = seal(b"words")
    assert unseal(data[:-1] + bytes([data[-1] ^ 1]), name) is None
    use_keys((OLD,))
    assert unseal(data, name) is None


def test_rotation_goes_on_where_it_was_stopped_and_leaves_scrubbed_ones(connection: psycopg.Connection) -> None:
    plain = put(connection, b"plain")
    use_keys((OLD,))
    old, gone = put(connection, b"old"), put(connection, b"gone")
    use_keys((NEW, OLD))
    rows = execute(connection, page_sealed(key_id=key_id(NEW), after=None, max_payloads=10))
    assert {row.id for row in rows} == {plain, old, gone}
    connection.execute("update counterfoil.payloads set bytes = null, key_id = null where id = %s", (gone,))
    opened = [unseal(row.bytes, row.key_id) or b"" for row in rows]
    sealed = [seal(data)[0] for data in opened]
    was = [row.key_id for row in rows]
    done = execute(connection, reseal_payloads([row.id for row in rows], sealed, was, key_id=key_id(NEW)))
    assert set(done) == {plain, old}
    assert stored(connection, gone) == (None, None)
    use_keys((NEW,))
    assert [unseal(*stored(connection, id)) for id in (plain, old)] == [b"plain", b"old"]


def test_the_command_rotates(database: str, connection: psycopg.Connection, processes: Processes) -> None:
    id = put(connection, b"plain")
    done = processes.counterfoil("payloads", "rotate", DATABASE_URL=database, PAYLOAD_KEY=NEW.hex())
    assert done.returncode == 0, done.stderr
    assert stored(connection, id)[1] == key_id(NEW)
    without = processes.counterfoil("payloads", "rotate", DATABASE_URL=database)
    assert without.returncode == 2 and "PAYLOAD_KEY is unset" in without.stderr


@pytest.mark.parametrize(("days", "goes"), [(0.5, True), (30, False)])
def test_payloads_go_so_long_after_the_last_of_it_all(connection: psycopg.Connection, days: float, goes: bool) -> None:
    connection.execute(STORY)
    arguments, output = put(connection, b"arguments"), put(connection, b"output")
    call(connection, "succeeded", arguments, output)
    planned = execute(connection, plan_scrubs(keep_s=days * 86400, max_runs=10))
    assert set(planned) == {arguments, output}
    assert execute(connection, plan_scrubs(keep_s=days * 86400, max_runs=10)) == [], "a run is looked at once"
    gone = set(execute(connection, scrub_payloads(max_payloads=10)))
    assert gone == ({arguments, output} if goes else set())
    assert (stored(connection, arguments)[0] is None) is goes


def test_arguments_of_a_call_in_doubt_are_kept(connection: psycopg.Connection) -> None:
    """Sending again needs them, however long the doubt lasts."""
    connection.execute(STORY)
    arguments = put(connection, b"arguments")
    call(connection, "in_doubt", arguments, None)
    assert execute(connection, plan_scrubs(keep_s=0, max_runs=10)) == []
    erased = execute(connection, erase_thread("thread_a"))
    assert erased is not None and (erased.messages, erased.payloads, erased.unsettled) == (1, 0, 1)
    assert execute(connection, scrub_payloads(max_payloads=10)) == []
    assert stored(connection, arguments)[0] == b"arguments"


def test_an_erased_thread_has_no_words_left(
    database: str, connection: psycopg.Connection, processes: Processes, tmp_path: Path
) -> None:
    connection.execute(STORY)
    arguments, output = put(connection, b"arguments"), put(connection, b"output")
    call(connection, "succeeded", arguments, output)
    done = processes.counterfoil("threads", "erase", "thread_a", "--reason", "asked to", DATABASE_URL=database)
    assert done.returncode == 0, done.stderr
    assert stored(connection, arguments) == stored(connection, output) == (None, None)
    row = connection.execute("select content::text, (select count(*) from counterfoil.audit) from counterfoil.messages")
    assert row.fetchone() == ("[]", 1)
    missing = processes.counterfoil("threads", "erase", "thread_x", "--reason", "asked to", DATABASE_URL=database)
    assert missing.returncode == 3


def test_the_worker_sweeps(database: str, connection: psycopg.Connection, processes: Processes) -> None:
    from tests.support.processes import wait_until

    connection.execute(STORY)
    arguments = put(connection, b"arguments")
    call(connection, "failed", arguments, None)
    config = os.fspath(ROOT / "counterfoil.toml")
    processes.start_worker(database, COUNTERFOIL_CONFIG=config, PAYLOAD_DAYS="0.1")
    wait_until(lambda: stored(connection, arguments)[0] is None, what="the sweep")
