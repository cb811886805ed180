"""Where runs are in remote services: the little of it that must outlive a worker."""

import psycopg

from sql.remote import keep_thread, thread_of
from worker.database import Connect, OwnConnection
from worker.models import ModelUnavailable


class KeptThreads:
    """The remote thread of each run, in the database."""

    def __init__(self, connect: Connect) -> None:
        self._connection = OwnConnection(connect)

    async def thread_of(self, run_id: str) -> str | None:
        """The remote thread of a run, None before there is one. Raises `ModelUnavailable` without a database."""
        try:
            return await self._connection.execute(thread_of(run_id))
        except (psycopg.Error, OSError) as error:
            raise ModelUnavailable("the database is away") from error

    async def keep(self, run_id: str, thread_id: str) -> str:
        """Keeps a run's remote thread; answers the one that is kept, which another worker may have made."""
        try:
            return await self._connection.execute(keep_thread(run_id, thread_id))
        except (psycopg.Error, OSError) as error:
            raise ModelUnavailable("the database is away") from error

    async def close(self) -> None:
        """Closes the connection; a later call makes another."""
        await self._connection.close()
