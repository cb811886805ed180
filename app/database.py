"""The web's way to Postgres: a pool, transactions that are tried again, and a hint to workers.

A transaction costs two round trips: what it locks and reads, then what it writes with its commit.
"""

import random
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg import errors
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout

from app.errors import Unavailable
from app.logs import get_logger
from sql.execute import GUARDS
from sql.statement import Row, Statement, no_rows, scalar

T = TypeVar("T")

WAIT_S: Final = 3.0  # for a connection, and for all tries together
CONNECT_TIMEOUT_S: Final = 3
RECONNECT_S: Final = 2.0  # then the next request asks for a connection anew, instead of a back-off that grows
MAX_IDLE_S: Final = 30.0  # then what a burst of requests opened is free for others again
LONGEST_PAUSE_S: Final = 0.05
BEGIN: Final = Statement("begin", "begin", {}, no_rows)
COMMIT: Final = Statement("commit", "commit", {}, no_rows)
NOTIFY: Final = Statement("notify", "notify counterfoil", {}, no_rows)
SERVER_PID: Final = Statement("server_pid", "select pg_backend_pid()", {}, scalar)

CONTENTION: Final = (
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.LockNotAvailable,
    errors.UniqueViolation,  # ids are random: it is somebody else who was quicker, so look again
)

_log = get_logger(part="database")


class Contended(Unavailable):
    """Too many requests want the same object; try again."""


class CommitLost(Exception):
    """The connection broke during a commit: it may or may not have happened, so nobody may try again here."""


def execute_all(connection: psycopg.Connection[Any], *statements: Statement[Any]) -> list[Any]:
    """Executes statements in order in one round trip; each sees what the ones before it did."""
    with connection.pipeline():
        cursors = [connection.execute(one.text, one.params) for one in statements]
    return [one.read(rows_of(cursor)) for one, cursor in zip(statements, cursors, strict=True)]


def rows_of(cursor: psycopg.Cursor[Any]) -> list[Row]:
    """All rows, none for a statement that answers none."""
    return cursor.fetchall() if cursor.description else []


class Transaction:
    """An open transaction of one request. What `first` and `last` are given goes with another round trip."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection
        self._first: list[Statement[Any]] = [BEGIN, GUARDS]
        self._last: list[Statement[Any]] = []
        self.committing = False

    def first(self, *statements: Statement[Any]) -> None:
        """Executes these before whatever is asked next."""
        self._first += statements

    def last(self, *statements: Statement[Any]) -> None:
        """Executes these with the commit."""
        self._last += statements

    def all(self, *statements: Statement[Any]) -> list[Any]:
        """Executes in order, in one round trip, and answers what each read."""
        first, self._first = self._first, []
        return execute_all(self._connection, *first, *statements)[len(first) :]

    def one(self, statement: Statement[T]) -> T:
        """Executes one statement and answers what it read."""
        result: T = self.all(statement)[0]
        return result

    def commit(self, *statements: Statement[Any]) -> list[Any]:
        """Executes in order, commits, all in one round trip, and answers what each read."""
        last, self._last = self._last, []
        self.committing = True
        return self.all(*last, *statements, COMMIT)[len(last) : -1]


class Database:
    """A pool of connections, opened at the first use so that a forked process gets its own."""

    def __init__(self, url: str, *, size: int = 16) -> None:
        self._pool = ConnectionPool(
            url,
            min_size=1,
            max_size=size,
            open=False,
            timeout=WAIT_S,
            max_idle=MAX_IDLE_S,
            reconnect_timeout=RECONNECT_S,
            configure=configure,
            kwargs={"autocommit": True, "connect_timeout": CONNECT_TIMEOUT_S, "application_name": "counterfoil web"},
            name="web",
        )
        self._opening = threading.Lock()

    def read(self, *statements: Statement[Any]) -> list[Any]:
        """Executes statements that change nothing; a broken connection is replaced. Raises `Unavailable`."""

        def work(connection: psycopg.Connection[Any]) -> list[Any]:
            if len(statements) == 1:
                one = statements[0]
                return [one.read(rows_of(connection.execute(one.text, one.params)))]
            return execute_all(connection, *statements)

        return self._tried(work)

    def read_one(self, statement: Statement[T]) -> T:
        """Executes one statement that changes nothing."""
        result: T = self.read(statement)[0]
        return result

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Does the work in a transaction, again from the start after a conflict; `work` commits.

        An error of the work's rolls back. Raises `Unavailable` when the database does not answer in time.
        """
        return self._tried(lambda connection: in_transaction(connection, work))

    def close(self) -> None:
        """Closes all connections."""
        self._pool.close()

    def _tried(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        give_up = time.monotonic() + WAIT_S
        while True:
            try:
                with self._connection(give_up) as connection:
                    return work(connection)
            except CONTENTION as error:
                if time.monotonic() >= give_up:
                    raise Contended from error
            except (CommitLost, PoolTimeout, PoolClosed, errors.InternalError) as error:
                raise Unavailable from error
            except psycopg.OperationalError as error:
                if time.monotonic() >= give_up:  # nothing was committed, so until then it is tried again
                    raise Unavailable from error
                _log.warning("database connection lost", reason=type(error).__name__)
            time.sleep(random.uniform(0, LONGEST_PAUSE_S))

    @contextmanager
    def _connection(self, give_up: float) -> Iterator[psycopg.Connection[Any]]:
        if self._pool.closed:
            with self._opening:
                self._pool.open()
        # Not the pool's own context: it would commit once more at the end, and an error of that is no news.
        connection = self._living(give_up)
        try:
            yield connection
        except psycopg.Error:
            # After an error within a pipeline psycopg may count statements as prepared that the server never saw.
            connection.close()
            raise
        finally:
            leave(connection)
            self._pool.putconn(connection)

    def _living(self, give_up: float) -> psycopg.Connection[Any]:
        """A connection that nobody has ended. Dead ones go back at once, and the pool replaces them.

        After a crash of the server all are dead; the pool's own `check` would pause for a second after each.
        """
        while True:
            connection = self._pool.getconn(timeout=max(give_up - time.monotonic(), 0.05))
            if not is_ended(connection):
                return connection
            connection.close()
            self._pool.putconn(connection)
            if time.monotonic() >= give_up:
                raise PoolTimeout("every connection was dead")


def in_transaction(connection: psycopg.Connection[Any], work: Callable[[Transaction], T]) -> T:
    """Does the work; rolls back on any error, and tells a commit of unknown outcome from a plain failure."""
    transaction = Transaction(connection)
    try:
        return work(transaction)
    except CONTENTION:
        raise
    except psycopg.OperationalError as error:
        # The server may end the session after it committed and before it said so.
        if transaction.committing:
            raise CommitLost from error
        raise


def leave(connection: psycopg.Connection[Any]) -> None:
    """Rolls back what is open; a connection that cannot is closed, and why it cannot hides no other error."""
    if connection.closed or connection.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE:
        return
    try:
        connection.execute("rollback")
    except psycopg.Error:
        connection.close()


def configure(connection: psycopg.Connection[Any]) -> None:
    """Prepares no statements where the server is not ours alone: behind PgBouncer the next may be another."""
    seen = SERVER_PID.read(rows_of(connection.execute(SERVER_PID.text)))
    if seen != connection.info.backend_pid:
        connection.prepare_threshold = None


def is_ended(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server has said something on an idle connection: since nothing was asked, it is the end.

    One system call, no round trip. Without it a transaction after a restart could not tell whether it committed.
    """
    if connection.closed:
        return True
    heard = select.poll()
    heard.register(connection, select.POLLIN)
    return bool(heard.poll(0))


class Notifier:
    """Tells workers that something is due; only hurries them, so errors are ignored.

    At most one notice is under way and one waits: however many ask meanwhile, one is enough for all.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._wanted = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def hurry(self) -> None:
        """Asks for a notice, after the commit that it is about."""
        self._wanted.set()
        if self._thread is None or not self._thread.is_alive():
            with self._starting:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = threading.Thread(target=self._send_all, name="notifier", daemon=True)
                    self._thread.start()

    def _send_all(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            try:
                self._database.read_one(NOTIFY)
            except Exception as error:  # workers poll as well
                _log.warning("workers not notified", reason=type(error).__name__)
