"""The worker's loop: claims due runs, keeps their leases, drives each, and drains when it is told to stop."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection

from app import telemetry
from app.catalog.tool import Catalog, Tool
from app.telemetry.tallies import TALLIES
from sql.metrics import add_tallies
from sql.queue import ClaimedRun, claim_due, hand_back, report_worker
from sql.statement import Statement
from sql.tools import report_tools
from worker.coordinator.drive import Drive
from worker.coordinator.errands import Office
from worker.coordinator.rounds import Desk
from worker.database import OwnConnection, connect
from worker.gateway.client import Gateway
from worker.journal import Journal
from worker.lease import HeldRun, Leases
from worker.models.registry import Models
from worker.reconciler.sweep import sweep
from worker.remote import KeptThreads

log = structlog.get_logger()
CHANNEL: Final = "counterfoil"
# A claim takes so many at once, so that replicas share a burst.
CLAIM_BATCH: Final = 200
DRAIN_SLACK_S: Final = 2.0
SWEEP_S: Final = 60.0
TALLY_S: Final = 5.0


@dataclass(frozen=True)
class Terms:
    """What a worker is started with. dsn for all work; listen_dsn for NOTIFY, None to poll only. Times in seconds."""

    dsn: str
    listen_dsn: str | None
    slots: int
    lease_s: float
    poll_s: float
    clock_slack_s: float
    operator_ttl_s: float
    drain_s: float | None = None
    fingerprint_key: bytes | None = None
    payload_days: float = 30.0


def incarnation() -> str:
    """A name for this life of this process: a host or a pid alone may come again."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Worker:
    """One worker process: its connections, its leases, its runs."""

    def __init__(self, terms: Terms, catalog: Catalog) -> None:
        self.terms = terms
        self.catalog = catalog
        self.owner = incarnation()
        self._connection = OwnConnection(self._connect)
        self._housekeeping = OwnConnection(self._connect)
        self._due = asyncio.Event()
        self._stopping = asyncio.Event()
        self._runs: set[asyncio.Task[None]] = set()
        self.leases = Leases(self._connect, lease_s=terms.lease_s)
        self.office = Office(
            journal=Journal(self._connect, operator_ttl_s=terms.operator_ttl_s),
            leases=self.leases,
            gateway=Gateway(),
            models=Models(catalog.models, KeptThreads(self._connect)),
            desk=Desk(catalog, self.owner, terms.clock_slack_s, terms.fingerprint_key),
            on_park=self._due_in,
        )

    async def run(self) -> None:
        """Works until `stop`, then drains."""
        telemetry.configure("worker")
        log.info("worker_started", owner=self.owner, slots=self.terms.slots)
        tasks = [
            asyncio.create_task(self._forever("renew", self._renew, self.terms.lease_s / 3)),
            asyncio.create_task(self._forever("watch", self.leases.watch, self.terms.poll_s)),
            asyncio.create_task(self._listen()),
            asyncio.create_task(self._forever("sweep", self._sweep, SWEEP_S)),
            asyncio.create_task(self._forever("tally", self._tally, TALLY_S)),
        ]
        await self._once("report", self._report)
        try:
            while not self._stopping.is_set():
                await self._claim()
            await self._drain()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._close()

    def stop(self) -> None:
        """Claims no more; what is out is waited for."""
        self._stopping.set()
        self._due.set()

    # Claiming ---------------------------------------------------------------------------------------

    async def _claim(self) -> None:
        """Claims what is due and starts to drive it; waits for the next poll or word when there is no more."""
        if self.leases.abandoned:
            await self._hand_back_abandoned()
            return
        free = self.terms.slots - len(self._runs)
        suspects = 0 if any(held.suspect for held in self.leases.held.values()) else 1
        claimed: list[ClaimedRun] = []
        began_ns = time.time_ns()
        self._due.clear()
        if free > 0:
            statement = claim_due(
                owner=self.owner,
                max_runs=min(free, CLAIM_BATCH),
                max_suspects=min(suspects, free),
                lease_s=self.terms.lease_s,
            )
            claimed = await self._try("claim", statement) or []
        _tell(claimed)
        claim = telemetry.moment("counterfoil.claim", began_ns, {"counterfoil.runs": len(claimed)}) if claimed else None
        for held in self.leases.add(run for run in claimed if not run.poisoned):
            held.claim = claim
            self._start(held)
        if len(claimed) < min(free, CLAIM_BATCH) or free <= 0:
            await _event_within(self._due, self.terms.poll_s)

    async def _hand_back_abandoned(self) -> None:
        """On the connection that claims: what could be claimed can be handed back, however few connections are left.

        Then it waits for a poll's time: claimed again at once, they would be dropped again at once, for as long as
        connections are short, while others may have what is lacking here.
        """
        abandoned = dict(self.leases.abandoned)
        if await self._try("hand_back", hand_back(abandoned)) is not None:
            for run_id in abandoned:
                self.leases.abandoned.pop(run_id, None)
        await _event_within(self._stopping, self.terms.poll_s)

    def _start(self, held: HeldRun) -> None:
        task = asyncio.create_task(self._drive(held), name=held.id)
        self._runs.add(task)
        task.add_done_callback(self._ended)

    async def _drive(self, held: HeldRun) -> None:
        try:
            await Drive(held, self.office).go()
        except Exception:  # a bug in one run must not take the worker with it; its lease ends by itself
            log.exception("run_failed_to_drive", run=held.id)

    def _ended(self, task: asyncio.Task[None]) -> None:
        full = len(self._runs) >= self.terms.slots
        self._runs.discard(task)
        if full or self.leases.abandoned:
            self._due.set()

    def _due_in(self, seconds: float) -> None:
        """A run was parked until then: look at that time, not a poll later."""
        if seconds < self.terms.lease_s:
            asyncio.get_running_loop().call_later(max(seconds, 0.0) + 0.005, self._due.set)

    # Background -------------------------------------------------------------------------------------

    async def _renew(self) -> None:
        await self.leases.renew()
        await self.leases.tell(report_worker(**self._who()))

    async def _sweep(self) -> None:
        await sweep(self._housekeeping, payload_days=self.terms.payload_days)

    async def _tally(self) -> None:
        """Adds what this process counted to what all have counted; kept for the next time when it cannot."""
        if own := TALLIES.drain():
            try:
                await self._housekeeping.execute(add_tallies(own))
            except BaseException:
                TALLIES.give_back(own)
                raise

    async def _report(self) -> None:
        await self._connection.execute(report_worker(**self._who()))
        if self.catalog.tools:
            definitions = {name: _public(tool) for name, tool in self.catalog.tools.items()}
            await self._connection.execute(report_tools(definitions, owner=self.owner))

    async def _listen(self) -> None:
        """Hurries claims when somebody says that a run is due; without it the polls do the same, later."""
        if self.terms.listen_dsn is None:
            return
        while True:
            try:
                async with await AsyncConnection.connect(self.terms.listen_dsn, autocommit=True) as connection:
                    await connection.execute(f"listen {CHANNEL}")
                    self._due.set()
                    async for _ in connection.notifies():
                        self._due.set()
                        if self.leases.held:
                            await self.leases.watch()
            except (psycopg.Error, OSError) as error:
                log.warning("listen_lost", error=type(error).__name__)
                await asyncio.sleep(self.terms.poll_s)

    async def _forever(self, name: str, work: Callable[[], Awaitable[None]], pause_s: float) -> None:
        while True:
            await self._once(name, work)
            await asyncio.sleep(pause_s)

    async def _once(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except (psycopg.Error, OSError) as error:
            log.warning("database_gone", task=name, error=type(error).__name__)
        except Exception:  # a bug must not end leases silently
            log.exception("background_failed", task=name)

    # Ending -----------------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Hands back what has nothing out, and waits for what is out: at most the longest timeout and a little."""
        longest = max((tool.contract.timeout_s for tool in self.catalog.tools.values()), default=0.0)
        patience_s = self.terms.drain_s if self.terms.drain_s is not None else longest + DRAIN_SLACK_S
        log.info("worker_draining", runs=len(self._runs), out=len(self.office.errands), patience_s=patience_s)
        self.office.draining = True
        for held in list(self.leases.held.values()):
            held.news.set()
        waiting = self._runs | self.office.errands
        if waiting:
            await asyncio.wait(waiting, timeout=patience_s)

    async def _close(self) -> None:
        for task in [*self._runs, *self.office.errands]:
            task.cancel()
        await asyncio.gather(*self._runs, *self.office.errands, return_exceptions=True)
        await self._once("tally", self._tally)
        await self._try("report", report_worker(**self._who(), stopped=True))
        await self.office.journal.close()
        await self.leases.close()
        await self.office.gateway.close()
        await self.office.models.close()
        await self._connection.close()
        await self._housekeeping.close()
        log.info("worker_stopped", owner=self.owner)
        await asyncio.to_thread(telemetry.shut_down)

    async def _connect(self) -> AsyncConnection[Any]:
        return await connect(self.terms.dsn)

    # The database -----------------------------------------------------------------------------------

    def _who(self) -> dict[str, Any]:
        host, pid, _ = self.owner.rsplit(":", 2)
        return {"owner": self.owner, "host": host, "pid": int(pid), "slots": self.terms.slots}

    async def _try(self, name: str, statement: Statement[Any]) -> Any:
        try:
            return await self._connection.execute(statement)
        except (psycopg.Error, OSError) as error:
            log.warning("database_gone", task=name, error=type(error).__name__)
            return None


def _tell(claimed: list[ClaimedRun]) -> None:
    """Says which of the claimed runs had been dropped."""
    for run in claimed:
        if run.dropped:
            telemetry.count("lease_expirations")
        if run.poisoned:
            log.error("run_poisoned", run=run.id, claims=run.fruitless_claims)
        elif run.dropped:
            log.warning("lease_expired", run=run.id, thread=run.thread_id, epoch=run.epoch, claims=run.fruitless_claims)


def _public(tool: Tool) -> dict[str, Any]:
    """A tool without its secrets, for the operators."""
    return {
        "url": tool.url,
        "method": tool.method,
        "description": tool.description,
        "parameters": tool.parameters,
        "contract": tool.contract.to_json(),
        "headers": sorted(tool.headers),
    }


async def _event_within(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
