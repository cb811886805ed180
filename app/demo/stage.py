"""What the demo is played on: a Postgres, a ticket system, two webs and worker replicas, all its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import psycopg

from app.cli.keys import make_key
from app.cli.ports import free_port_from, url_of
from app.cli.processes import SANDBOX, WEB, WORKER
from app.cli.supervisor import Part, Supervisor, ask, is_answered
from app.cli.throwaway import environ_in
from app.cli.up import is_registered
from sql import migrate
from sql.embedded import EmbeddedPostgres
from sql.execute import execute
from sql.operators import RunRow, list_runs
from sql.statement import Statement

T = TypeVar("T")
Mode = Literal["off", "enforce"]
HOST: Final = "127.0.0.1"
LATENCY_S: Final = 2.5  # between a ticket's making and its answer: the elevated latency of that morning
LEASE_S: Final = 3
TIMEOUT_S: Final = 4
SETTLE_S: Final = 2
TIMES: Final = {"LEASE_S": str(LEASE_S), "POLL_S": "0.2", "CLOCK_SLACK_S": "0.2", "DRAIN_S": "0"}

# As counterfoil.toml has it, but for the two times: nobody wants to wait so long for a demo.
CATALOG: Final = f"""
[tools.create_ticket]
url = "${{SANDBOX_URL}}/tools/create_ticket"
description = "Open a support ticket. Returns its ticket_id."
repeat = "lookup"
timeout_s = {TIMEOUT_S}
settle_s = {SETTLE_S}
refused_statuses = [429]
body = {{ external_ref = "{{effect_key}}" }}

[tools.create_ticket.lookup]
url = "${{SANDBOX_URL}}/tickets?external_ref={{effect_key}}"
found = "tickets"
id = "ticket_id"
tries = 5

[tools.create_ticket.parameters]
type = "object"
required = ["title"]
properties.title = {{ type = "string", minLength = 1, description = "What it is about, in one line." }}
properties.body = {{ type = "string", description = "The details." }}
"""


class Stage:
    """The running parts. `workers` are those not killed yet, by process number; each has a number of its own."""

    def __init__(self, home: Path, parts: Supervisor) -> None:
        self.home = home
        self.parts = parts
        self.workers: dict[int, Part] = {}
        self.numbers: dict[int, int] = {}
        self.webs: dict[Mode, str] = {}
        server = parts.enter(EmbeddedPostgres(home))
        parts.pass_fds = (server.share_with_child(),)
        self.dsn = server.dsn()
        migrate.migrate_up(self.dsn)
        self.connection = parts.enter(psycopg.connect(self.dsn, autocommit=True))
        self.key = make_key(self.connection, "demo")
        (home / "run").mkdir()
        (home / "counterfoil.toml").write_text(CATALOG)
        self.sandbox = url_of(HOST, free_port_from(HOST, 0))

    def start(self) -> None:
        """Start everything; returns when all of it is ready."""
        port = self.sandbox.rpartition(":")[2]
        faults = f"create_ticket:latency_after={LATENCY_S}"
        self._start("sandbox", [*SANDBOX, "--port", port, "--faults", faults], lambda _: is_answered(self.sandbox))
        self.start_worker()
        self.start_worker()
        self._start_web("off")
        self._start_web("enforce")
        self.parts.await_ready()

    def start_worker(self) -> int:
        """Start another replica; returns its number, without waiting for it."""
        number = len(self.numbers) + 1
        part = self._start(f"worker-{number}", WORKER, lambda pid: is_registered(self.dsn, pid))
        assert part.popen is not None
        self.workers[part.popen.pid] = part
        self.numbers[part.popen.pid] = number
        return number

    def kill(self, pid: int) -> None:
        """SIGKILL to a worker: no goodbye, nothing handed back."""
        part = self.workers.pop(pid)
        assert part.popen is not None
        part.popen.kill()
        part.popen.wait()
        self.parts.parts.remove(part)

    def ask(self, mode: Mode, path: str, body: object = None) -> Any:
        """A request to the agent API, as any client makes it."""
        return ask(f"{self.webs[mode]}/v1{path}", self.key, body)

    def run(self, run_id: str) -> RunRow:
        """The run as operators see it."""
        return self.read(list_runs(ids=[run_id]))[0]

    def read(self, statement: Statement[T]) -> T:
        """What a statement answers."""
        return execute(self.connection, statement)

    def check(self) -> None:
        """Raise `CommandError` when a part ended that should not have."""
        for part in self.parts.parts:
            part.check()

    def outside(self, path: str) -> Any:
        """What the ticket system says."""
        return ask(self.sandbox + path, self.key)

    def number_of(self, owner: str) -> int | None:
        """The number of the worker that a lease names."""
        return self.numbers.get(int(owner.split(":")[1]))

    def _start_web(self, mode: Mode) -> None:
        port = free_port_from(HOST, 0)
        url = self.webs[mode] = url_of(HOST, port)
        more = {"LEDGER": mode, "HOST": HOST, "PORT": str(port), "WEB_CONCURRENCY": "1", "WEB_THREADS": "4"}
        self._start(f"web-{mode}", WEB, lambda _: is_answered(f"{url}/readyz"), more)

    def _start(self, name: str, command: Any, is_ready: Any, more: dict[str, str] | None = None) -> Part:
        environ = environ_in(self.home, self.dsn, self.sandbox, TIMES, more or {})
        part = Part(name, command, environ, self.home / "run", is_ready)
        self.parts.start(part)
        return part
