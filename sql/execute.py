"""Executes statements: one alone, or several in one transaction and few round trips.

No sync and async twins of statements: the same value is executed here by a thread of the web or a command, and
in `worker/database.py` by the worker.
"""

from collections.abc import Iterable
from typing import Any, Final, TypeVar

from psycopg import Connection

from sql.statement import Statement, no_rows

T = TypeVar("T")

# By `set local` in each transaction, since PgBouncer drops what a session sets. A lock timeout is retried
# by the caller; an idle transaction is a bug or a stopped process, and must not hold its locks. A process
# stopped within a pipeline does not count as idle: from Postgres 17 on the last one covers that, too.
GUARDS: Final = Statement(
    "guards",
    """select
        set_config('lock_timeout', '1s', true),
        set_config('idle_in_transaction_session_timeout', '5s', true),
        case
            when current_setting('server_version_num')::integer >= 170000
                then set_config('transaction_timeout', '15s', true)
        end""",
    {},
    no_rows,
)


def execute(connection: Connection[Any], statement: Statement[T]) -> T:
    """Executes one statement and reads its rows."""
    cursor = connection.execute(statement.text, statement.params)
    return statement.read(() if statement.read is no_rows else cursor.fetchall())


def execute_all(connection: Connection[Any], statements: Iterable[Statement[Any]]) -> list[Any]:
    """Executes statements in order, in one round trip; each sees what the ones before it did."""
    with connection.pipeline():
        sent = [(s, connection.execute(s.text, s.params)) for s in statements]
    return [s.read(() if s.read is no_rows else c.fetchall()) for s, c in sent]
