"""The worker's connections, and the one way to run a transaction on them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline

from sql.execute import GUARDS
from sql.statement import Statement, no_rows

T = TypeVar("T")
Connect = Callable[[], Awaitable[AsyncConnection[Any]]]
APPLICATION_NAME: Final = "counterfoil worker"
# So the server says that a wait for synchronous replication was cancelled: committed here, perhaps not there.
UNCERTAIN_COMMIT: Final = "01000"


class CommitUncertain(Exception):
    """The commit returned with a warning: it may not survive a failover, and nothing may be sent on it."""


async def connect(dsn: str) -> AsyncConnection[Any]:
    """A connection whose notices are kept, prepared statements off where a pooler stands between."""
    connection = await AsyncConnection.connect(dsn, autocommit=False, application_name=APPLICATION_NAME)
    cursor = await connection.execute("select pg_backend_pid()")
    row = await cursor.fetchone()
    await connection.rollback()
    if row is None or row[0] != connection.info.backend_pid:
        connection.prepare_threshold = None
    return connection


@asynccontextmanager
async def transaction(connection: AsyncConnection[Any]) -> AsyncIterator[AsyncPipeline]:
    """A transaction whose statements, its commit included, share round trips; read their rows after it.

    Raises `CommitUncertain` when the commit came with a warning.
    """
    warnings: list[str] = []

    def keep(notice: psycopg.errors.Diagnostic) -> None:
        if notice.sqlstate == UNCERTAIN_COMMIT:
            warnings.append(notice.message_primary or "")

    connection.add_notice_handler(keep)
    try:
        async with connection.pipeline() as pipeline:
            await send(connection, GUARDS)
            yield pipeline
            await connection.commit()
    except BaseException:
        if not connection.closed:
            await connection.rollback()
        raise
    finally:
        connection.remove_notice_handler(keep)
    if warnings:
        raise CommitUncertain(warnings[0])


async def send(connection: AsyncConnection[Any], statement: Statement[Any]) -> AsyncCursor[Any]:
    """Sends a statement within a transaction without waiting for its answer."""
    return await connection.execute(statement.text, statement.params)


async def ask(connection: AsyncConnection[Any], pipeline: AsyncPipeline, *statements: Statement[Any]) -> list[Any]:
    """Sends statements within a transaction and waits for their rows, while whatever they lock stays locked.

    The pipeline is synchronised, and not just flushed: only then does the server count the session as idle in a
    transaction, and end it if we are stopped right here. Otherwise a stopped process would keep its locks for good.
    """
    cursors = [await send(connection, statement) for statement in statements]
    await pipeline.sync()
    return [await answer(cursor, statement) for cursor, statement in zip(cursors, statements, strict=True)]


async def answer(cursor: AsyncCursor[Any], statement: Statement[T]) -> T:
    """The rows of a statement that was sent."""
    return statement.read(() if statement.read is no_rows else await cursor.fetchall())


class OwnConnection:
    """A connection for statements one at a time; made when needed, and made anew after an error."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._connection: AsyncConnection[Any] | None = None
        self._turn = asyncio.Lock()

    async def execute(self, statement: Statement[T]) -> T:
        """The rows of a statement, in a transaction of its own."""
        async with self._turn:
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await self._connect()
                return await self._asked(self._connection, statement)
            except (psycopg.Error, OSError):
                await self.close()
                raise

    async def _asked(self, connection: AsyncConnection[Any], statement: Statement[T]) -> T:
        cursors: list[AsyncCursor[Any]] = []
        try:
            async with transaction(connection):
                cursors.append(await send(connection, statement))
        except CommitUncertain:
            pass  # leases and reports: committed here, and a failover that loses one loses nothing
        return await answer(cursors[0], statement)

    async def close(self) -> None:
        """Closes the connection; the next statement makes another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
