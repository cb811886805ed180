"""The processes of a drill: a Postgres, a sandbox, a web and workers of its own, which may be killed and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeVar

import psycopg
from psycopg import AsyncConnection

from app.cli.errors import CommandError
from app.cli.keys import make_key
from app.cli.ports import free_port_from, url_of
from app.cli.processes import SANDBOX, WEB, WORKER
from app.cli.supervisor import Part, Supervisor, ask, is_answered
from app.cli.throwaway import environ_in
from app.cli.up import is_registered
from app.drill.catalog import catalog_text
from sql import migrate
from sql.embedded import EmbeddedPostgres
from sql.statement import Statement

T = TypeVar("T")
Mode = Literal["off", "enforce"]
HOST: Final = "127.0.0.1"
LEASE_S: Final = 3.0
TIMES: Final = {"LEASE_S": str(LEASE_S), "POLL_S": "0.2", "CLOCK_SLACK_S": "0.2", "DRAIN_S": "0", "RUN_TTL_S": "900"}
NAME: Final = "counterfoil drill"
READ_TRIES: Final = 200


class Stage:
    """The running parts. `lives`: points where coming workers die or stop by themselves; `armed` is over at the end.

    `server_settings` and `more_environ` are for stages on other ground (tests/underneath).
    """

    server_settings: ClassVar[Mapping[str, str]] = {}

    def __init__(self, home: Path, parts: Supervisor, mode: Mode, lives: tuple[str, ...]) -> None:
        self.home, self.parts, self.mode = home, parts, mode
        self.workers: list[Part] = []
        self.armed = True
        self._lives = iter(lives)
        self._started = 0
        self._connection: AsyncConnection[Any] | None = None
        self._reading = asyncio.Lock()
        (home / "run").mkdir()
        (home / "counterfoil.toml").write_text(catalog_text())
        self.postgres = EmbeddedPostgres(home, settings=self.server_settings)
        parts.enter(self.postgres)
        parts.pass_fds = (self.postgres.share_with_child(),)
        self.dsn = self.postgres.dsn()
        migrate.migrate_up(self.dsn)
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            self.key = make_key(connection, "drill")
        self.sandbox_url = url_of(HOST, free_port_from(HOST, 0))
        self.web_url = url_of(HOST, free_port_from(HOST, 0))
        self.web: Part | None = None

    def start(self, workers: int) -> None:
        """Start everything; returns when all of it is ready."""
        port = self.sandbox_url.rpartition(":")[2]
        self._start("sandbox", [*SANDBOX, "--port", port], lambda _: is_answered(f"{self.sandbox_url}/healthz"))
        self.start_web()
        for _ in range(workers):
            self.start_worker()
        self.parts.await_ready()

    def start_web(self) -> None:
        """Start the web, at the same address as before."""
        more = {"LEDGER": self.mode, "HOST": HOST, "PORT": self.web_url.rpartition(":")[2]}
        more |= {"WEB_CONCURRENCY": "1", "WEB_THREADS": "16"}
        self.web = self._start("web", WEB, lambda _: is_answered(f"{self.web_url}/readyz"), more)

    def start_worker(self) -> None:
        """Start one more replica, with the next life of the plan."""
        self._started += 1
        life = next(self._lives, "")
        more = {"COUNTERFOIL_FAULT": life} if life and self.armed else {}
        name = f"worker-{self._started}"
        self.workers.append(self._start(name, WORKER, lambda pid: not more or is_registered(self.dsn, pid), more))

    def forget(self, part: Part) -> None:
        """A part that has ended is no part any more."""
        self.parts.parts.remove(part)
        if part in self.workers:
            self.workers.remove(part)

    async def read(self, statement: Statement[T]) -> T:
        """What a statement answers; waits for the database while it is away."""
        async with self._reading:
            for _ in range(READ_TRIES):
                try:
                    if self._connection is None:
                        self._connection = await AsyncConnection.connect(
                            self.dsn, autocommit=True, application_name=NAME
                        )
                    cursor = await self._connection.execute(statement.text, statement.params)
                    return statement.read(await cursor.fetchall())
                except psycopg.OperationalError:
                    await self._drop()
                    await asyncio.sleep(0.1)
        raise CommandError("the database did not come back")

    async def close(self) -> None:
        """Close the connection."""
        async with self._reading:
            await self._drop()

    async def _drop(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                await self._connection.close()
            self._connection = None

    def outside(self, path: str, body: object = None) -> Any:
        """A request to the sandbox."""
        return ask(self.sandbox_url + path, "none", body)

    def end(self) -> None:
        """End every process at once, stopped ones too; the database goes with its context."""
        for part in self.parts.parts:
            send(part, signal.SIGKILL)
        for part in self.parts.parts:
            if part.popen is not None:
                part.popen.wait()

    def more_environ(self, name: str) -> dict[str, str]:
        """What the environment of a part has besides."""
        return {}

    def _start(self, name: str, command: Any, is_ready: Any, more: dict[str, str] | None = None) -> Part:
        environ = environ_in(self.home, self.dsn, self.sandbox_url, TIMES, more or {}, self.more_environ(name))
        part = Part(name, command, environ, self.home / "run", is_ready)
        self.parts.start(part)
        return part


def send(part: Part, number: signal.Signals) -> None:
    """A signal to a part and all that it started."""
    if part.popen is not None and part.popen.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(part.popen.pid, number)
