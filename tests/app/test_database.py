"""The web's pool of connections, when the server ends them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from app.database import SERVER_PID, Database
from sql.statement import Statement, scalar

SIZE = 12
SLEEP = Statement("sleep", "select pg_backend_pid() from pg_sleep(0.3)", {}, scalar)


@pytest.fixture
def pool(database: str) -> Iterator[Database]:
    """A pool of the web's own kind."""
    made = Database(database, size=SIZE)
    yield made
    made.close()


def test_all_connections_ended_at_once_are_replaced_within_one_request(
    pool: Database, connection: psycopg.Connection
) -> None:
    with ThreadPoolExecutor(SIZE) as threads:
        before = set(threads.map(lambda _: pool.read_one(SLEEP), range(SIZE * 2)))
    assert len(before) > 4  # more dead ones than a request could meet with a pause of a second after each
    ended = connection.execute(
        "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    ).fetchone()
    assert ended is not None and ended[0] >= len(before)
    assert pool.read_one(SERVER_PID) not in before
