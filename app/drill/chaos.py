"""What breaks a drill's processes, when its plan says so, and mends them again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import psutil
import psycopg

from app.cli.supervisor import Part
from app.drill.clients import Clients
from app.drill.plan import Disturbance
from app.drill.stage import LEASE_S, NAME, Stage, send
from sql.operators import list_attention, list_runs
from sql.vocabulary import Attention

WATCH_S: Final = 0.1
LOOK_S: Final = 1.0
# What a person must look at before such a run goes on.
HOPELESS: Final = (Attention.NEEDS_OPERATOR, Attention.POISONED)


@dataclass
class Chaos:
    """Breaks things and counts it. A stopped worker goes on when its lease is long over."""

    stage: Stage
    clients: Clients
    kills: int = 0
    stalls: int = 0
    db_restarts: int = 0
    cuts: int = 0
    web_kills: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    stopped: dict[int, Part] = field(default_factory=dict)
    mending: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def disturb(self, one: Disturbance) -> None:
        """Perform one disturbance of the plan."""
        match one.act:
            case "kill":
                if (victim := self._victim(one.share)) is not None:
                    await self._note_lost(victim)
                    send(victim, signal.SIGKILL)
            case "stall":
                if (victim := self._victim(one.share)) is not None:
                    send(victim, signal.SIGSTOP)
                    self._start_stall(victim, one.seconds)
            case "crash":
                await self._crash(one.share)
            case "cut":
                await self._cut(one.share)
            case "kill_web":
                await self._kill_web()

    async def watch(self) -> None:
        """See workers that died or stopped, by us or at their points, and replace or wake them; for ever."""
        while True:
            await asyncio.sleep(WATCH_S)
            for part in list(self.stage.workers):
                await self._look_after(part)

    async def find_operators_cases(self) -> None:
        """Note which runs wait for a person and for nothing else; for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            found = {row.run_id for row in await self.stage.read(list_attention(stuck_after_s=3600, kinds=HOPELESS))}
            active = list(found & self.clients.active.keys())
            runs = await self.stage.read(list_runs(ids=active, most=len(active)))
            waiting = {run.id for run in runs if run.ended_at is None and not run.waits_for_client}
            for run_id, ran in self.clients.active.items():
                ran.with_operator = run_id in waiting and run_id in found

    async def heal(self) -> None:
        """Let everything go on that was stopped, and wait for what is being mended."""
        self.stage.armed = False
        await asyncio.gather(*self.tasks)

    async def _look_after(self, part: Part) -> None:
        assert part.popen is not None
        pid = part.popen.pid
        if part.popen.poll() is not None:
            self.kills += part.popen.returncode == -signal.SIGKILL
            if part.popen.returncode != -signal.SIGKILL:
                self.clients.complaints.append(f"{part.name} ended ({part.popen.returncode}): {part.last_words()}")
            await self._note_lost(part)
            self.stopped.pop(pid, None)
            self.stage.forget(part)
            async with self.mending:
                self.stage.start_worker()
        elif pid not in self.stopped and is_stopped(pid):
            self._start_stall(part, LEASE_S * 1.5)

    def _victim(self, share: float) -> Part | None:
        running = [part for part in self.stage.workers if part.popen and part.popen.pid not in self.stopped]
        return running[int(share * len(running))] if running else None

    def _start_stall(self, part: Part, seconds: float) -> None:
        assert part.popen is not None
        self.stopped[part.popen.pid] = part
        self.stalls += 1
        self.start(self._wake_later(part, seconds))

    async def _wake_later(self, part: Part, seconds: float) -> None:
        await self._note_lost(part)
        await asyncio.sleep(seconds)
        assert part.popen is not None
        send(part, signal.SIGCONT)
        self.stopped.pop(part.popen.pid, None)

    async def _note_lost(self, part: Part) -> None:
        """The runs that a worker held are touched."""
        assert part.popen is not None
        active = dict(self.clients.active)
        if not active:
            return
        for run in await self.stage.read(list_runs(ids=list(active), most=len(active))):
            if run.lease_owner is not None and run.lease_owner.split(":")[1] == str(part.popen.pid):
                active[run.id].touched = True

    async def _crash(self, share: float) -> None:
        """The database dies without a checkpoint, and is away for a while."""
        self._touch_all()
        async with self.mending:
            await asyncio.to_thread(self.stage.postgres.crash)
            await asyncio.sleep(share * 2)
            await asyncio.to_thread(self.stage.postgres.restart)
        self.db_restarts += 1
        self._touch_all()

    async def _cut(self, share: float) -> None:
        """A part of all connections to the database breaks."""
        self._touch_all()
        query = "select pg_terminate_backend(a.pid) from pg_stat_activity as a where a.application_name != %s"
        query += " and a.backend_type = 'client backend' and a.pid %% 100 <= %s"
        try:
            async with await psycopg.AsyncConnection.connect(self.stage.dsn, application_name=NAME) as connection:
                await connection.execute(query, (NAME, int(share * 100)))
        except psycopg.OperationalError:
            return
        self.cuts += 1

    async def _kill_web(self) -> None:
        """The web dies in the middle of whatever it answers, and comes back at once."""
        web = self.stage.web
        if web is None or web.popen is None:
            return
        async with self.mending:
            send(web, signal.SIGKILL)
            web.popen.wait()
            self.stage.forget(web)
            self.stage.start_web()
        self.web_kills += 1

    def _touch_all(self) -> None:
        for ran in self.clients.active.values():
            ran.touched = True

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine beside the drill; what it raises is a complaint."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.clients.complaints.append(f"{type(error).__name__}: {error}")


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped by a signal."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False
