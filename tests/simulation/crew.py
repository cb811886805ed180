"""Logical workers: the phases of the worker's own drive, one at a time, each as a function.

What `worker/coordinator/drive.py` does in one stretch is cut where a process can die or stand still: look, write,
send, learn. All that a process would hold in memory is here, and is gone when it crashes.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sql.decisions import RunChange, load_arguments
from sql.evidence import find_owners
from sql.execute import execute
from sql.ids import new_id
from sql.ledger import RunEnd
from sql.queue import claim_due, extend_leases
from sql.vocabulary import RunStatus
from tests.simulation.world import CATALOG, SEND_BY_S, SLACK_S, Fate, World
from worker.coordinator import views
from worker.coordinator.decide import Look, Plan, Send, decide
from worker.coordinator.drive import Seen
from worker.coordinator.errands import tool_request
from worker.coordinator.learn import Sent, learnt_from
from worker.coordinator.moves import write_plan
from worker.coordinator.prompt import used_call_ids
from worker.coordinator.rounds import Desk, Spoken, elder_queries, parsed_arguments, read_calls, store_round
from worker.coordinator.verdict import DOUBTFUL
from worker.gateway.client import ToolRequest
from worker.gateway.outcome import Found, Outcome, Refused
from worker.journal import Journal
from worker.models import AskedCall, Turn
from worker.reconciler.lookup import Question, judge
from worker.records import Applied, Learnt, Write

LEASE_S: Final = 5.0
Rounds = Sequence[Sequence[tuple[str, str]]]  # of a run: rounds of (tool, text)


@dataclass
class Outgoing:
    """A request that may go out, until `send_by`."""

    request: ToolRequest
    send_by: float


@dataclass
class Looking:
    """A lookup that was decided on, and what it was decided on."""

    request: ToolRequest
    call: Any
    began_at: Any
    own_id: str | None


@dataclass
class Logical:
    """One incarnation of a worker process, with all that dies with it. seen: looked at, and not yet acted on."""

    owner: str
    held: dict[str, int] = field(default_factory=dict)
    seen: dict[str, tuple[Seen, Plan]] = field(default_factory=dict)
    out: list[Outgoing] = field(default_factory=list)
    looking: list[Looking] = field(default_factory=list)
    mail: list[tuple[tuple[str, str], Learnt]] = field(default_factory=list)

    @property
    def busy(self) -> set[tuple[str, str]]:
        """Calls that this process is sending, looking up, or has the outcome of."""
        out = [o.request for o in self.out] + [o.request for o in self.looking]
        return {(r.run_id, r.tool_call_id) for r in out} | {key for key, _ in self.mail}


class Crew:
    """All workers, on one journal. plans: what each run's model asks for, round by round."""

    def __init__(self, runner: asyncio.Runner, journal: Journal, connection: Any, world: World) -> None:
        self.runner, self.journal, self.connection, self.world = runner, journal, connection, world
        self.plans: dict[str, Rounds] = {}
        self.made = 0

    def new_worker(self) -> Logical:
        """A worker that has just been started."""
        self.made += 1
        return Logical(f"worker:{self.made}:x")

    def desk(self, worker: Logical) -> Desk:
        """What it decides with."""
        return Desk(CATALOG, worker.owner, SLACK_S)

    # Phases -----------------------------------------------------------------------------------------

    def claim(self, worker: Logical) -> None:
        """Claim what is due."""
        claimed = execute(self.connection, claim_due(owner=worker.owner, max_runs=5, max_suspects=1, lease_s=LEASE_S))
        worker.held |= {run.id: run.epoch for run in claimed if not run.poisoned}
        for run in claimed:
            worker.seen.pop(run.id, None)

    def renew(self, worker: Logical) -> None:
        """Renew all leases; a lost one is noticed at the next look."""
        if worker.held:
            execute(self.connection, extend_leases(worker.held, lease_s=LEASE_S))

    def look(self, worker: Logical, run_id: str) -> None:
        """Load a held run and decide."""
        found = self.runner.run(self._look(worker, run_id))
        if found is None:
            worker.held.pop(run_id, None)
            worker.seen.pop(run_id, None)
        else:
            worker.seen[run_id] = found

    async def _look(self, worker: Logical, run_id: str) -> tuple[Seen, Plan] | None:
        loaded = await self.journal.load(run_id)
        if loaded is None or loaded.run.epoch != worker.held[run_id]:
            return None
        run = views.run_view(loaded.run)
        if run.expired and not run.ended:
            return Seen(loaded, run, [], {}), Plan(expire=True)
        elders = await self.journal.elders(views.elder_queries(loaded.run, loaded.calls))
        held = [call.tool_call_id for call in views.held_calls(loaded.calls)]
        calls = views.call_views(loaded.calls, loaded.attempts, elders, CATALOG)
        seen = Seen(loaded, run, calls, dict(zip(held, elders, strict=True)))
        return seen, decide(run, calls, loaded.run.now, worker.busy)

    def act(self, worker: Logical, run_id: str) -> None:
        """Write what was decided, however long ago that was, and take in hand what the write allows."""
        seen, plan = worker.seen.pop(run_id)
        if not self.runner.run(self._act(worker, seen, plan)):
            worker.held.pop(run_id, None)

    async def _act(self, worker: Logical, seen: Seen, plan: Plan) -> bool:
        run = seen.loaded.run
        if plan.expire:
            return await self._write(Write(run.id, run.epoch, run.wakes, end=RunEnd(run.id, RunStatus.EXPIRED)))
        if plan.calls:
            return await self._perform(worker, seen, plan)
        if plan.ask_model:
            return await self._store(worker, seen)
        if any(key[0] == run.id for key in worker.busy):
            return True
        change = RunChange(run.id, run.epoch, released=True, due_at=plan.until)
        written = await self.journal.decide(Write(run.id, run.epoch, run.wakes, change=change))
        return written.applied is Applied.STALE

    async def _write(self, write: Write) -> bool:
        return (await self.journal.decide(write)).applied is Applied.STALE

    async def _perform(self, worker: Logical, seen: Seen, plan: Plan) -> bool:
        run, desk = seen.loaded.run, self.desk(worker)
        sends = [call for call, p in plan.calls if isinstance(p.action, Send)]
        write = write_plan(run, seen.calls, plan, desk, seen.elders)
        send_by = self.world.now + SEND_BY_S
        if write.call_moves or write.attempt_moves or write.intents:
            written = await self.journal.decide(write)
            if written.applied is not Applied.HELD:
                return written.applied is Applied.STALE
            sends = [call for call in sends if call.tool_call_id in written.intended]
        arguments = {}
        if sends:
            rows = await self.journal.read(load_arguments([call.key for call in sends]))
            arguments = {row.tool_call_id: parsed_arguments(row.bytes) for row in rows}
        for call in sends:
            request = self._request(seen, call, len(call.attempts) + 1, arguments[call.tool_call_id])
            worker.out.append(Outgoing(request, send_by))
        for call, call_plan in plan.calls:
            if isinstance(call_plan.action, Look):
                own_id = next(c.external_id for c in seen.loaded.calls if c.tool_call_id == call.tool_call_id)
                request = self._request(seen, call, len(call.attempts), {})
                worker.looking.append(Looking(request, call, run.now, own_id))
        return True

    def _request(self, seen: Seen, call: Any, number: int, arguments: dict[str, Any]) -> ToolRequest:
        row = next(c for c in seen.loaded.calls if c.tool_call_id == call.tool_call_id)
        return tool_request(seen.loaded.run, CATALOG.tools[call.tool].under(call.contract), row, arguments, number)

    async def _store(self, worker: Logical, seen: Seen) -> bool:
        """The model answers, and its round is stored with its intents."""
        run, desk = seen.loaded.run, self.desk(worker)
        rounds = self.plans[run.id]
        asked_now = rounds[run.rounds] if run.rounds < len(rounds) else ()
        turn = Turn(
            text=None if asked_now else "done",
            calls=tuple(AskedCall(None, tool, json.dumps({"text": text})) for tool, text in asked_now),
        )
        asked = read_calls(turn, desk, used_call_ids(await self.journal.context(run.id)))
        elders = await self.journal.elders(elder_queries(run, asked))
        write = store_round(run, turn, Spoken(new_id("msg"), new_id("step")), asked, elders, desk)
        send_by = self.world.now + SEND_BY_S
        written = await self.journal.decide(write)
        if written.applied is not Applied.HELD:
            return written.applied is Applied.STALE
        for call in asked:
            if call.tool_call_id in written.intended and call.tool is not None and call.arguments is not None:
                request = tool_request(run, call.tool, write.calls[call.index], call.arguments, 1)
                worker.out.append(Outgoing(request, send_by))
        return write.end is None

    def transmit(self, worker: Logical, index: int, fate: Fate, late_s: float) -> None:
        """Send a request, unless it is too late for that; what came of it waits to be recorded."""
        going = worker.out.pop(index)
        outcome: Outcome
        if self.world.now > going.send_by:
            outcome = Refused("not_sent", "past send_by")
        else:
            outcome = self.world.receive(going.request, fate, late_s)
        request = going.request
        sent = Sent(
            request.run_id, request.tool_call_id, request.tool.name, request.attempt, worker.owner, duration_s=0.1
        )
        worker.mail.append(((request.run_id, request.tool_call_id), learnt_from(sent, outcome)))

    def inquire(self, worker: Logical, index: int, *, down: bool) -> None:
        """Look an effect up; what that proves waits to be recorded."""
        looking = worker.looking.pop(index)
        call = looking.call
        answer = self.world.look(looking.request.effect_key, down=down)
        items = answer.items if isinstance(answer, Found) else ()
        rows = execute(self.connection, find_owners([(call.tool, item[0]) for item in items])) if items else []
        owners = {row.external_id: (row.run_id, row.tool_call_id) for row in rows}
        question = Question(
            run_id=call.run_id,
            tool_call_id=call.tool_call_id,
            tool=call.tool,
            source=worker.owner,
            began_at=looking.began_at,
            doubtful=tuple(a.number for a in call.attempts if a.state in DOUBTFUL),
            settled=call.state == "succeeded",
            own_id=looking.own_id,
            intended_at=min((a.intended_at for a in call.attempts), default=None),
            tries=call.lookups,
        )
        worker.mail.append((call.key, judge(question, answer, owners)))

    def learn(self, worker: Logical, index: int, *, keep: bool) -> None:
        """Record what was learnt; kept, it will be recorded once more."""
        _, learnt = worker.mail[index] if keep else worker.mail.pop(index)
        self.runner.run(self.journal.learn(learnt))
