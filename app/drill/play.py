"""One drill from its plan to its result."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from app.cli.errors import CommandError
from app.cli.supervisor import Supervisor
from app.cli.throwaway import temporary_home
from app.drill.chaos import Chaos
from app.drill.clients import Clients, Ran, make_clients, make_session
from app.drill.compare import (
    ACTIVE,
    UNSETTLED,
    Books,
    Violation,
    by_tool,
    compare,
    open_books,
    p95,
    turn_seconds,
)
from app.drill.plan import Plan, Turn, lookup_faults
from app.drill.stage import Mode, Stage
from sql.operators import list_runs
from sql.tool_calls import list_calls

SLOTS_A_WORKER: Final = 16
WAVE: Final = 400  # the sandbox looks through its rules one by one
GRACE_S: Final = 90.0
Progress = Callable[[int, str], None]  # runs that are over, and what is broken so far


@dataclass(frozen=True)
class Result:
    """What a drill found. figures: the keys of the contract; more: what else a reader may want to know."""

    figures: Mapping[str, Any]
    violations: tuple[Violation, ...]
    more: Mapping[str, Any]

    @property
    def clean(self) -> bool:
        """Whether nothing happened twice, was lost, or was told wrong."""
        return not any(self.figures[key] for key in ("duplicates", "lost", "wrong_output"))


def drill(
    plan: Plan,
    *,
    workers: int,
    mode: Mode,
    progress: Progress,
    lying: bool = False,
    keep: Path | None = None,
    stage_kind: type[Stage] = Stage,
) -> Result:
    """Play the plan on processes of its own, and compare; all is ended when this returns, however."""
    started = time.monotonic()
    with temporary_home("counterfoil-drill-") as home, Supervisor() as parts:
        stage = stage_kind(home, parts, mode, plan.lives)
        try:
            stage.start(workers)
            ticket = stage.outside("/tools/create_ticket", {"title": "there before"})["ticket_id"]
            stage.outside("/faults", {"spec": lookup_faults(plan.seed, lying=lying)})
            result = asyncio.run(_play(stage, plan, workers, ticket, progress, started))
        finally:
            stage.end()
            if keep is not None:
                keep_traces(home, keep)
    if keep is not None:
        (keep / "result.json").write_text(json.dumps({**result.figures, **result.more}, indent=1))
    return result


async def _play(stage: Stage, plan: Plan, workers: int, ticket: str, progress: Progress, started: float) -> Result:
    async with make_session(stage.key) as session:
        clients = await make_clients(session, stage.web_url, ticket)
        chaos = Chaos(stage, clients)
        watch = [asyncio.create_task(chaos.watch()), asyncio.create_task(chaos.find_operators_cases())]
        try:
            playing = await _all_turns(stage, plan, clients, chaos, workers * SLOTS_A_WORKER, progress)
            progress(len(plan.turns), "settling")
            await chaos.heal()
            await _settle(stage)
            clients.closing = True
            await asyncio.gather(*playing)
            books = await open_books(stage, clients.ran)
        finally:
            for task in [*watch, *chaos.tasks]:
                task.cancel()
            await asyncio.gather(*watch, *chaos.tasks, return_exceptions=True)
            await stage.close()
    return _result(plan, books, clients, chaos, time.monotonic() - started)


async def _all_turns(
    stage: Stage, plan: Plan, clients: Clients, chaos: Chaos, at_once: int, progress: Progress
) -> set[asyncio.Task[None]]:
    """All turns, so many at once, and what is broken between them; those that wait for a person are left running."""
    free = asyncio.Semaphore(at_once)
    coming = list(plan.disturbances)
    playing: set[asyncio.Task[None]] = set()
    over: set[int] = set()

    def let_go(turn: Turn) -> None:
        if turn.number not in over:
            over.add(turn.number)
            free.release()
            progress(len(over), f"{chaos.kills} kills, {chaos.stalls} stalls, {chaos.db_restarts} database crashes")

    async def one(turn: Turn) -> None:
        try:
            await clients.play(turn)
        except Exception as error:
            clients.complaints.append(f"turn {turn.number}: {type(error).__name__}: {error}")
        finally:
            let_go(turn)

    clients.parked = let_go
    for turn in plan.turns:
        if turn.number % WAVE == 0:
            await asyncio.to_thread(stage.outside, "/faults", {"rules": _rules(plan, turn.number)})
        await free.acquire()
        while coming and coming[0].after <= turn.number:
            chaos.start(chaos.disturb(coming.pop(0)))
        playing.add(task := asyncio.create_task(one(turn)))
        task.add_done_callback(playing.discard)
    for _ in range(at_once):
        await free.acquire()
    return playing


def _rules(plan: Plan, start: int) -> list[Mapping[str, Any]]:
    """The faults of a wave of turns, and of the one before, whose last turns still run."""
    return [
        rule for turn in plan.turns[max(0, start - WAVE) : start + WAVE] for call in turn.calls for rule in call.rules
    ]


async def _settle(stage: Stage) -> None:
    """Until nothing is left that settles by itself; gives up after a while, and the books tell."""
    give_up = time.monotonic() + GRACE_S
    while time.monotonic() < give_up:
        open_calls = [c for state in UNSETTLED for c in await stage.read(list_calls(state=state))]
        waiting = {c.run_id for c in await stage.read(list_calls(state="needs_operator", most=100_000))}
        runs = [run for status in ACTIVE for run in await stage.read(list_runs(status=status, most=100_000))]
        poisoned = {run.id for run in runs if run.poisoned_at is not None}
        left = {run.id for run in runs} | {call.run_id for call in open_calls if call.executor == "server"}
        if left <= (waiting | poisoned) and not [c for c in open_calls if c.executor == "server"]:
            return
        await asyncio.sleep(0.3)


def _result(plan: Plan, books: Books, clients: Clients, chaos: Chaos, seconds: float) -> Result:
    ran = clients.ran
    faulted = {turn.number for turn in plan.turns if any(call.rules for call in turn.calls)}
    for one in ran:
        one.touched = one.touched or one.turn.number in faulted
    violations = compare(books, ran)
    lost_turns = [f for f in clients.complaints if f.startswith("turn ")]
    violations += [Violation("lost", complaint, "") for complaint in lost_turns]
    counts = {kind: sum(v.kind == kind for v in violations) for kind in ("duplicate", "lost", "wrong_output")}
    figures = {
        "runs": len(ran),
        "completed": sum(run.status == "completed" for run in books.runs.values()),
        "needs_operator": books.needs_operator,
        "duplicates": counts["duplicate"],
        "lost": counts["lost"],
        "wrong_output": counts["wrong_output"],
        "kills": chaos.kills,
        "stalls": chaos.stalls,
        "db_restarts": chaos.db_restarts,
        "unknown_outcomes": books.unknown,
        "turn_p95_s_untouched": p95(turn_seconds(books, ran, touched=False)),
        "turn_p95_s_touched": p95(turn_seconds(books, ran, touched=True)),
        "seconds": round(seconds, 1),
        "seed": plan.seed,
    }
    return Result(figures, tuple(violations), _more(books, ran, clients, chaos, violations))


def _more(
    books: Books, ran: list[Ran], clients: Clients, chaos: Chaos, violations: list[Violation]
) -> Mapping[str, Any]:
    statuses = [run.status for run in books.runs.values()]
    return {
        "cancelled": statuses.count("cancelled"),
        "effects": sum(len(lines) for lines in books.effects.values()),
        "calls": sum(len(calls) for calls in books.calls.values()),
        "needs_operator_by_tool": by_tool(books),
        "conflicts": sum(c.conflict_at is not None for calls in books.calls.values() for c in calls),
        "poisoned": sum(run.poisoned_at is not None for run in books.runs.values()),
        "web_kills": chaos.web_kills,
        "connections_cut": chaos.cuts,
        "resent_by_clients": clients.resent,
        "touched": sum(one.touched for one in ran),
        "complaints": clients.complaints,
        "violations": [asdict(violation) for violation in violations],
    }


def keep_traces(home: Path, folder: Path) -> None:
    """Copy logs and trails, which `counterfoil investigate` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in (home / "run", home / "sandbox"):
        if source.exists():
            shutil.copytree(source, folder / source.name, dirs_exist_ok=True)
    if not any(folder.iterdir()):
        raise CommandError(f"nothing to keep in {folder}")
