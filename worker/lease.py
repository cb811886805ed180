"""Leases: the runs that a worker holds, kept alive and watched on a connection of its own."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from sql.queue import ClaimedRun, WatchedRun, extend_leases, hand_back, watch_runs
from sql.statement import Statement
from worker.database import Connect, OwnConnection

log = structlog.get_logger()


@dataclass
class HeldRun:
    """A run under this worker's lease. seen_wakes: `wakes` as its last decision saw it; claim: a traceparent."""

    id: str
    thread_id: str
    epoch: int
    suspect: bool = False
    seen_wakes: int = -1
    lost: bool = False
    claim: str | None = None
    news: asyncio.Event = field(default_factory=asyncio.Event)


class Leases:
    """All leases of one worker.

    lease_s: how long one lasts; a third of it passes between renewals. A run is lost when its epoch is another,
    never because a renewal skipped its locked row or the database was away.
    """

    def __init__(self, connect: Connect, *, lease_s: float) -> None:
        self.lease_s = lease_s
        self._connection = OwnConnection(connect)
        self.held: dict[str, HeldRun] = {}
        self.abandoned: dict[str, int] = {}

    def add(self, claimed: Iterable[ClaimedRun]) -> list[HeldRun]:
        """Takes claimed runs in hand; one that was held under an older epoch is lost by that."""
        taken = []
        for run in claimed:
            if run.id in self.held:
                self._lose(self.held[run.id])
            held = HeldRun(run.id, run.thread_id, run.epoch, suspect=run.fruitless_claims >= 2)
            self.held[run.id] = held
            taken.append(held)
        return taken

    def drop(self, held: HeldRun) -> None:
        """Forgets a run that was let go, ended or lost."""
        if self.held.get(held.id) is held:
            del self.held[held.id]

    def abandon(self, held: HeldRun) -> None:
        """Forgets a run that the database kept from being driven; handed back as soon as it answers again.

        Otherwise its lease would end unreleased, and count as if the run had killed its worker.
        """
        self.drop(held)
        self.abandoned[held.id] = held.epoch

    async def renew(self) -> None:
        """Extends all leases by one statement, and looks at those that were not extended."""
        epochs = {run.id: run.epoch for run in self.held.values()}
        if epochs:
            extended = await self._connection.execute(extend_leases(epochs, lease_s=self.lease_s))
            if missing := list(epochs.keys() - set(extended)):
                await self.watch(missing)

    async def watch(self, run_ids: list[str] | None = None) -> None:
        """Looks at held runs: another epoch is a lost lease, other wakes are news for its decision."""
        ids = run_ids if run_ids is not None else list(self.held)
        if not ids:
            return
        for row in await self._connection.execute(watch_runs(ids)):
            self._compare(row)

    async def tell(self, statement: Statement[None]) -> None:
        """Executes a statement on the connection of the leases, which waits for no claim."""
        await self._connection.execute(statement)

    async def hand_back(self, runs: Iterable[HeldRun]) -> None:
        """Gives up leases at once, for other workers to go on."""
        epochs = {run.id: run.epoch for run in runs}
        if epochs:
            await self._connection.execute(hand_back(epochs))

    async def close(self) -> None:
        """Closes the connection."""
        await self._connection.close()

    def _compare(self, row: WatchedRun) -> None:
        held = self.held.get(row.id)
        if held is None:
            return
        if row.epoch != held.epoch:
            self._lose(held)
        elif row.wakes != held.seen_wakes:
            held.news.set()

    def _lose(self, held: HeldRun) -> None:
        log.info("lease_lost", run=held.id, thread=held.thread_id, epoch=held.epoch)
        held.lost = True
        held.news.set()
        self.drop(held)
