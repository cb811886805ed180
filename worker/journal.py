"""The journal: everything that a worker reads and writes of runs, in batches.

Deciding writes are fenced: locked first, dropped where epoch or `wakes` are not what was seen. Evidence is
never fenced: it is kept whatever became of the lease, and delivered for as long as the database may come back.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

import psycopg
from psycopg import AsyncConnection, AsyncCursor

from sql import context, ledger
from sql import decisions as d
from sql import evidence as e
from sql.ledger import LockedRun, RunEnd
from sql.statement import Statement
from sql.vocabulary import CallState, RunStatus
from worker.batches import UNFIT, Batcher
from worker.database import CommitUncertain, Connect, answer, ask, send, transaction
from worker.faults import point
from worker.records import Applied, Learnt, LearntResult, Write, Written

T = TypeVar("T")
# A process that lost the database goes on delivering what it learnt for so long.
EVIDENCE_PATIENCE_S: Final = 300.0


@dataclass(frozen=True)
class Loaded:
    """A run, its calls and attempts, as read together; None where there is no such run."""

    run: d.RunRow
    calls: tuple[d.CallRow, ...]
    attempts: tuple[d.AttemptRow, ...]


@dataclass(frozen=True)
class Context:
    """What a model is asked with: the run's effective values, its thread's messages, and calls so far."""

    prompt: context.PromptRow
    messages: tuple[context.MessageRow, ...]
    calls: tuple[context.PastCallRow, ...]


class Journal:
    """All batches of one worker. operator_ttl_s: how long a person has, at least."""

    def __init__(self, connect: Connect, *, operator_ttl_s: float) -> None:
        self._operator_ttl_s = operator_ttl_s
        self._loads: Batcher[str, Loaded | None] = Batcher("load", self._load, connect)
        self._writes: Batcher[Write, Written] = Batcher("decide", self._write, connect, key=lambda w: w.run_id)
        self._learns: Batcher[Learnt, LearntResult] = Batcher(
            "learn", self._learn, connect, key=_call_key, patience_s=EVIDENCE_PATIENCE_S
        )
        self._contexts: Batcher[str, Context | None] = Batcher("context", self._context, connect)
        self._elders: Batcher[Sequence[d.ElderQuery], list[d.Elders]] = Batcher("elders", self._find_elders, connect)
        self._reads: Batcher[Statement[Any], Any] = Batcher("read", self._read, connect)

    async def load(self, run_id: str) -> Loaded | None:
        """A run and what a decision about it turns on."""
        return await self._loads.submit(run_id)

    async def context(self, run_id: str) -> Context | None:
        """What a run's model is asked with."""
        return await self._contexts.submit(run_id)

    async def elders(self, queries: Sequence[d.ElderQuery]) -> list[d.Elders]:
        """For each call its equals of the thread, asked for earlier."""
        return await self._elders.submit(queries) if queries else []

    async def read(self, statement: Statement[T]) -> T:
        """The rows of a statement that only reads."""
        result: T = await self._reads.submit(statement)
        return result

    async def decide(self, write: Write) -> Written:
        """Writes a decision, if it still holds. Raises `DatabaseGone` when nobody can say whether it was written."""
        return await self._writes.submit(write)

    async def learn(self, learnt: Learnt) -> LearntResult:
        """Keeps evidence, whatever became of the lease; returns once it is committed."""
        try:
            return await self._learns.submit(learnt)
        except (psycopg.DataError, psycopg.IntegrityError, psycopg.errors.ProgramLimitExceeded, *UNFIT):
            # Something in it that is only for people to read; what it proves must not be lost with that.
            return await self._learns.submit(_bare(learnt))

    async def close(self) -> None:
        """Ends all batches and their connections."""
        for batcher in (self._writes, self._learns, self._loads, self._contexts, self._elders, self._reads):
            await batcher.close()

    async def _load(self, connection: AsyncConnection[Any], ids: Sequence[str]) -> list[Loaded | None]:
        asked = list(dict.fromkeys(ids))
        statements: list[Statement[Any]] = [d.load_runs(asked), d.load_calls(asked), d.load_attempts(asked)]
        runs, calls, attempts = await self._read(connection, statements)
        calls_of, attempts_of = _grouped(calls, "run_id"), _grouped(attempts, "run_id")
        found = {run.id: Loaded(run, tuple(calls_of[run.id]), tuple(attempts_of[run.id])) for run in runs}
        return [found.get(run_id) for run_id in ids]

    async def _context(self, connection: AsyncConnection[Any], ids: Sequence[str]) -> list[Context | None]:
        asked = list(dict.fromkeys(ids))
        statements: list[Statement[Any]] = [
            context.load_prompts(asked),
            context.load_messages(asked),
            context.load_past_calls(asked),
        ]
        prompts, messages, calls = await self._read(connection, statements)
        messages_of, calls_of = _grouped(messages, "run_id"), _grouped(calls, "for_run_id")
        found = {p.run_id: Context(p, tuple(messages_of[p.run_id]), tuple(calls_of[p.run_id])) for p in prompts}
        return [found.get(run_id) for run_id in ids]

    async def _find_elders(
        self, connection: AsyncConnection[Any], asked: Sequence[Sequence[d.ElderQuery]]
    ) -> list[list[d.Elders]]:
        statement = d.find_elders([query for queries in asked for query in queries])
        found = sorted((await self._read(connection, [statement]))[0], key=lambda elders: elders.place)
        rows = iter(found)
        return [[next(rows) for _ in queries] for queries in asked]

    async def _read(self, connection: AsyncConnection[Any], statements: Sequence[Statement[Any]]) -> list[Any]:
        async with transaction(connection):
            sent = [await send(connection, statement) for statement in statements]
        return [await answer(c, s) for c, s in zip(sent, statements, strict=True)]

    async def _write(self, connection: AsyncConnection[Any], writes: Sequence[Write]) -> list[Written]:
        try:
            async with transaction(connection) as pipeline:
                lock = ledger.lock_runs([w.run_id for w in writes])
                rows, paused = await ask(connection, pipeline, lock, d.paused_tools())
                locked = {run.id: run for run in rows}
                fenced = [(w, _fence(w, locked.get(w.run_id))) for w in writes]
                held = [_without_paused(w, paused) for w, fate in fenced if fate is Applied.HELD]
                over = [RunEnd(w.run_id, RunStatus.EXPIRED) for w, fate in fenced if fate is Applied.ENDED]
                for statement in self._decided(held, over):
                    await send(connection, statement)
        except CommitUncertain:
            written = (Applied.HELD, Applied.ENDED)
            return [Written(Applied.UNCERTAIN if fate in written else fate) for _, fate in fenced]
        intended = {w.run_id: frozenset(i.tool_call_id for i in w.intents) for w in held}
        return [Written(fate, intended.get(w.run_id, frozenset())) for w, fate in fenced]

    def _decided(self, held: Sequence[Write], over: Sequence[RunEnd]) -> list[Statement[Any]]:
        """The statements of decisions that hold, each kind once, in the order of locks."""
        changes = [w.change for w in held if w.change is not None]
        ends = [w.end for w in held if w.end is not None] + list(over)
        moved = [w.run_id for w in held if w.call_moves]
        speaking = [w.run_id for w in held if w.speaks]
        spoken = [m.id for w in held for m in w.messages] + [m.id for w in held for m in w.message_moves]
        parts: list[tuple[Sequence[Any], Callable[[Any], Statement[Any]]]] = [
            (_all(w.payloads for w in held), ledger.insert_payloads),
            (changes, lambda rows: d.update_runs(rows, operator_ttl_s=self._operator_ttl_s)),
            (speaking, lambda ids: d.void_speech(ids, spoken_ids=spoken)),
            (_all(w.messages for w in held), d.insert_messages),
            (_all(w.message_moves for w in held), d.move_messages),
            (_all(w.calls for w in held), d.insert_calls),
            (_all(w.call_moves for w in held), d.move_calls),
            (_all(w.attempt_moves for w in held), e.move_attempts),
            (_all(w.intents for w in held), d.record_intents),
            (_all(w.step_moves for w in held), d.move_steps),
            (_all(w.steps for w in held), d.insert_steps),
            (moved, ledger.complete_steps),
        ]
        return [make(rows) for rows, make in parts if rows] + (ledger.ending(ends) if ends else [])

    async def _learn(self, connection: AsyncConnection[Any], learnt: Sequence[Learnt]) -> list[LearntResult]:
        runs = sorted({one.evidence.run_id for one in learnt})
        claims = [one.claim for one in learnt if one.claim is not None]
        settlements = [one.settlement for one in learnt if one.settlement is not None]
        moves, effects = _all(one.attempts for one in learnt), _all(one.effects for one in learnt)
        statements: list[Statement[Any]] = [
            ledger.insert_payloads(_all(one.payloads for one in learnt)),
            e.insert_evidence([one.evidence for one in learnt]),
            e.raise_conflicts(claims),
            e.move_attempts(moves),
            e.settle_calls(settlements),
            e.note_calls([one.note for one in learnt if one.note is not None]),
            e.own_effects(effects),
            e.contest_effects(effects),
            ledger.complete_steps(runs),
            ledger.wake_runs(runs, fruitful=True),
        ]
        point("before_record")
        cursors: list[AsyncCursor[Any]] = []
        try:
            async with transaction(connection):
                await send(connection, ledger.lock_runs(runs))
                cursors += [await send(connection, statement) for statement in statements]
        except CommitUncertain:
            pass  # kept here; a failover that loses it leaves the attempt open, which is settled as any other
        rows = [await answer(c, s) for c, s in zip(cursors, statements, strict=True)]
        point("after_record")
        against, settled = {*rows[2], *rows[7]}, set(rows[4])
        keys = [_call_key(one) for one in learnt]
        return [LearntResult(key in settled, key in against) for key in keys]


def _bare(learnt: Learnt) -> Learnt:
    """The evidence without what came from outside, but for its body, which is bytes."""
    attempts = (replace(move, reason=None, external_id=None, http_status=None) for move in learnt.attempts)
    return replace(
        learnt,
        evidence=replace(learnt.evidence, reason=None, external_id=None, http_status=None),
        attempts=tuple(attempts),
        claim=learnt.claim and replace(learnt.claim, external_id=None),
        settlement=learnt.settlement and replace(learnt.settlement, reason=None, external_id=None),
        note=learnt.note and replace(learnt.note, wait_s=None),
        effects=(),
    )


def _fence(write: Write, run: LockedRun | None) -> Applied:
    """Whether a decision still holds, now that its run is locked: the one place where a lease is lost."""
    if run is None or run.epoch != write.epoch:
        return Applied.LOST
    if run.active and run.expired:
        return Applied.ENDED
    if write.good_until is not None and run.now >= write.good_until:
        return Applied.STALE
    return Applied.HELD if write.wakes in (None, run.wakes) else Applied.STALE


def _without_paused(write: Write, paused: Iterable[str]) -> Write:
    """The write without intents for paused tools, whose calls wait as `pending`."""
    stopped = {call for call, tool in write.tools if tool in set(paused)}
    if not stopped:
        return write
    return replace(
        write,
        intents=tuple(i for i in write.intents if i.tool_call_id not in stopped),
        calls=tuple(replace(c, state=CallState.PENDING) if c.tool_call_id in stopped else c for c in write.calls),
        call_moves=tuple(m for m in write.call_moves if m.tool_call_id not in stopped),
    )


def _call_key(learnt: Learnt) -> tuple[str, str]:
    return learnt.evidence.run_id, learnt.evidence.tool_call_id


def _all(parts: Iterable[Iterable[T]]) -> list[T]:
    return [row for part in parts for row in part]


def _grouped(rows: Iterable[Any], field: str) -> dict[str, list[Any]]:
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[getattr(row, field)].append(row)
    return groups
