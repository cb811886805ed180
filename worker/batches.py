"""Batches: what waits at the same time goes as one, and each caller goes on when *its* commit has returned.

There is no timer: a batch is flushed when the last one has ended, so that an idle worker waits for nothing and
a busy one shares each fsync among many runs.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import psycopg
import structlog
from psycopg import AsyncConnection

from worker.database import Connect

log = structlog.get_logger()
Item = TypeVar("Item")
Answer = TypeVar("Answer")
Perform = Callable[[AsyncConnection[Any], Sequence[Item]], Awaitable[Sequence[Answer]]]

MAX_BATCH: Final = 500
RETRIES: Final = 8
LAST_CHANCE_S: Final = 2.0
# Values that cannot even be sent, such as half of a surrogate pair.
UNFIT: Final = (ValueError, TypeError, OverflowError)
# Read-only: a failover has begun, and this server is about to be no primary any more.
AWAY: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    psycopg.errors.IdleInTransactionSessionTimeout,
)
LOCKED: Final = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


class DatabaseGone(Exception):
    """The database did not answer; whether a transaction that was under way is committed is not known."""


@dataclass
class Waiting(Generic[Item, Answer]):
    """An item on its way, and who waits for it."""

    item: Item
    answer: "asyncio.Future[Answer]"
    since: float = field(default_factory=time.monotonic)
    tries: int = 0


class Batcher(Generic[Item, Answer]):
    """One kind of transaction, one connection, one flush at a time.

    perform: executes a batch in one transaction. key: items of equal key go in different batches, since a
    statement touches one row a target. patience_s: how long to go on after the database has gone; 0 fails at once.
    """

    def __init__(
        self,
        name: str,
        perform: Perform[Item, Answer],
        connect: Connect,
        *,
        key: Callable[[Item], Hashable] | None = None,
        patience_s: float = 0.0,
    ) -> None:
        self.name = name
        self._perform = perform
        self._connect = connect
        self._key = key
        self._patience_s = patience_s
        self._queue: list[Waiting[Item, Answer]] = []
        self._wakeup = asyncio.Event()
        self._connection: AsyncConnection[Any] | None = None
        self._task = asyncio.create_task(self._run(), name=f"batch {name}")

    async def submit(self, item: Item) -> Answer:
        """The answer to an item, once its transaction is committed. Raises what the database said of it alone."""
        waiting: Waiting[Item, Answer] = Waiting(item, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._wakeup.set()
        return await waiting.answer

    async def close(self) -> None:
        """Ends the flusher and its connection; whatever still waits is told that the database is gone.

        A patient batch gets a last chance, also of what nobody waits for any more: evidence is evidence.
        """
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._patience_s and self._queue:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(LAST_CHANCE_S):
                    while batch := self._take():
                        await self._flush(batch)
        for waiting in self._queue:
            _refuse(waiting, DatabaseGone(self.name))
        await self._drop()

    async def _run(self) -> None:
        while True:
            await self._wakeup.wait()
            batch = self._take()
            if not batch:
                self._wakeup.clear()
                continue
            try:
                await self._flush(batch)
            except asyncio.CancelledError:
                self._queue.extend(batch)
                raise
            except Exception as error:  # a bug must fail its callers, not stop the flusher
                log.exception("batch_failed", batch=self.name)
                for waiting in batch:
                    _refuse(waiting, error)

    def _take(self) -> list[Waiting[Item, Answer]]:
        """The next batch: as much as fits, one item a key, in order of arrival; what was locked goes alone."""
        if not self._patience_s:
            self._queue = [waiting for waiting in self._queue if not waiting.answer.cancelled()]
        if self._queue and self._queue[0].tries:
            return [self._queue.pop(0)]
        taken: list[Waiting[Item, Answer]] = []
        left: list[Waiting[Item, Answer]] = []
        keys: set[Hashable] = set()
        for waiting in self._queue:
            key = self._key(waiting.item) if self._key else id(waiting)
            if len(taken) < MAX_BATCH and key not in keys and not waiting.tries:
                keys.add(key)
                taken.append(waiting)
            else:
                left.append(waiting)
        self._queue = left
        return taken

    async def _flush(self, batch: list[Waiting[Item, Answer]]) -> None:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = await self._connect()
            answers = await self._perform(self._connection, [waiting.item for waiting in batch])
        except LOCKED as error:
            await self._drop()
            await self._retry(batch, error)
        except (*AWAY, OSError) as error:
            await self._database_gone(batch, error)
        except (psycopg.Error, *UNFIT) as error:
            await self._drop()
            await self._split(batch, error)
        else:
            for waiting, answer in zip(batch, answers, strict=True):
                if not waiting.answer.done():
                    waiting.answer.set_result(answer)

    async def _retry(self, batch: list[Waiting[Item, Answer]], error: psycopg.Error) -> None:
        """Another transaction holds a row: what it does not concern goes on in halves, the row waits its turn."""
        log.info("batch_retried", batch=self.name, size=len(batch), error=type(error).__name__)
        for waiting in batch:
            waiting.tries += 1
        if len(batch) > 1:
            await self._halves(batch)
            return
        [alone] = batch
        if alone.tries > RETRIES and time.monotonic() - alone.since >= self._patience_s:
            _refuse(alone, error)
            return
        await asyncio.sleep(0.01)
        self._queue.append(alone)

    async def _split(self, batch: list[Waiting[Item, Answer]], error: Exception) -> None:
        """A value that the database refuses fails its own caller and nobody else."""
        if len(batch) == 1:
            log.error("batch_refused", batch=self.name, error=type(error).__name__)
            _refuse(batch[0], error)
            return
        await self._halves(batch)

    async def _halves(self, batch: list[Waiting[Item, Answer]]) -> None:
        middle = (len(batch) + 1) // 2
        for part in (batch[:middle], batch[middle:]):
            if part:
                await self._flush(part)

    async def _database_gone(self, batch: list[Waiting[Item, Answer]], error: Exception) -> None:
        log.warning("database_gone", batch=self.name, size=len(batch), error=type(error).__name__)
        await self._drop()
        now = time.monotonic()
        for waiting in batch:
            if now - waiting.since >= self._patience_s:
                _refuse(waiting, DatabaseGone(self.name))
        kept = [waiting for waiting in batch if not waiting.answer.done()]
        self._queue = kept + self._queue
        await asyncio.sleep(0.2)

    async def _drop(self) -> None:
        """Closes the connection, after an error in a pipeline too: psycopg may then count statements as prepared
        that the server never saw, and fail the next batch for it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _refuse(waiting: Waiting[Any, Any], error: Exception) -> None:
    if not waiting.answer.done():
        waiting.answer.set_exception(error)
