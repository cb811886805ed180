"""Drives one claimed run as far as it goes: read this first.

plan → perform → settle: what is loaded is decided on, the decision is written under the lease, and only then
is anything done outside, with no transaction open; what is learnt is recorded whatever became of the lease.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from app import telemetry
from sql.decisions import Elders, RunChange, RunRow, load_arguments
from sql.ids import new_id
from sql.ledger import RunEnd
from sql.sealing import unseal
from sql.vocabulary import Ledger, RunStatus
from worker.batches import LOCKED, DatabaseGone
from worker.coordinator import telling, views
from worker.coordinator.decide import Look, Plan, Send, decide
from worker.coordinator.errands import Office, look_up, send_and_learn, send_as_before, tool_request
from worker.coordinator.moves import write_plan
from worker.coordinator.prompt import turn_request, used_call_ids
from worker.coordinator.retry import after, pause_s
from worker.coordinator.rounds import SEND_BY_S, Spoken, elder_queries, parsed_arguments, read_calls, store_round
from worker.coordinator.situation import CallView, RunView
from worker.coordinator.speech import Speech
from worker.faults import point
from worker.gateway.client import ToolRequest
from worker.gateway.clock import boot_now
from worker.journal import Loaded
from worker.lease import HeldRun
from worker.models import Model, ModelUnavailable, Turn
from worker.models.registry import unserved
from worker.records import Applied, Write, Written

log = structlog.get_logger()
SHORTEST_WAIT_S: Final = 0.02
SHORTEST_PARK_S: Final = 0.1
LONGEST_WAIT_S: Final = 3600.0
# No honest run decides about its calls so often without anything coming back between; a bug must not spin.
MOST_WRITES_IN_A_ROW: Final = 100
CIRCLE_PAUSE_S: Final = 60.0


@dataclass
class Seen:
    """What one look at a run has shown."""

    loaded: Loaded
    run: RunView
    calls: list[CallView]
    elders: dict[str, Elders]


class Drive:
    """One claimed stretch of one run, until it is parked, ended, handed back or lost."""

    def __init__(self, held: HeldRun, office: Office) -> None:
        self.held = held
        self.office = office
        self.busy: dict[tuple[str, str], asyncio.Task[None]] = {}
        self.written_in_a_row = 0
        self.asking: asyncio.Task[Turn | ModelUnavailable] | None = None
        self.turn: Turn | None = None
        self.speech: Speech | None = None

    async def go(self) -> None:
        """Loads, decides, writes, performs, again and again; returns when the run is somebody else's concern."""
        try:
            if not self.held.lost and (seen := await self._look()) is not None:
                with telling.stretch(seen.loaded.run, self.office.desk.owner, self.held.claim):
                    await self._go_on(seen)
        except (DatabaseGone, *LOCKED) as error:
            log.warning("run_dropped", run=self.held.id, reason=type(error).__name__)
            self.office.leases.abandon(self.held)
        finally:
            if self.asking is not None:
                self.asking.cancel()
            if self.speech is not None:
                await self.speech.close()
            self.office.leases.drop(self.held)

    async def _go_on(self, seen: Seen | None) -> None:
        while seen is not None:
            if self.office.draining:
                if not await self._let_go():
                    return
            elif not await self._step(seen, decide(seen.run, seen.calls, seen.loaded.run.now, self.busy.keys())):
                return
            seen = None if self.held.lost else await self._look()

    async def _look(self) -> Seen | None:
        """Everything that the next decision turns on; None when the lease is gone."""
        self.held.news.clear()
        loaded = await self.office.journal.load(self.held.id)
        if loaded is None or loaded.run.epoch != self.held.epoch:
            return None
        self.held.seen_wakes = loaded.run.wakes
        if (run := views.run_view(loaded.run)).expired and not run.ended:
            # Whatever else may be wrong with it, its time is over.
            return Seen(loaded, run, [], {})
        elders = await self.office.journal.elders(views.elder_queries(loaded.run, loaded.calls))
        held = [call.tool_call_id for call in views.held_calls(loaded.calls)]
        calls = views.call_views(loaded.calls, loaded.attempts, elders, self.office.desk.catalog)
        return Seen(loaded, run, calls, dict(zip(held, elders, strict=True)))

    async def _step(self, seen: Seen, plan: Plan) -> bool:
        """One thing at a time; False when the run has left our hands."""
        run = seen.loaded.run
        if plan.expire:
            return await self._end(run, RunEnd(run.id, RunStatus.EXPIRED))
        if plan.calls and self.written_in_a_row < MOST_WRITES_IN_A_ROW:
            self.written_in_a_row += 1
            return await self._perform(seen, plan)
        if plan.calls:
            log.error("run_goes_in_circles", run=run.id, calls=[call.tool_call_id for call, _ in plan.calls])
            return await self._park(run, after(run.now, CIRCLE_PAUSE_S))
        self.written_in_a_row = 0
        if plan.ask_model and self.turn is not None:
            return await self._store(run, self.turn)
        if plan.ask_model and self.asking is None:
            return await self._ask(run)
        if self.asking is not None or self.busy:
            return await self._wait(seen, plan.until)
        return await self._park(run, plan.until)

    # Deciding ---------------------------------------------------------------------------------------

    async def _perform(self, seen: Seen, plan: Plan) -> bool:
        """Writes what was decided about calls, then sends and looks up what the write allows."""
        run = seen.loaded.run
        sends = [call for call, p in plan.calls if isinstance(p.action, Send)]
        arguments = await self._arguments(sends)
        write = write_plan(run, seen.calls, plan, self.office.desk, seen.elders)
        # Counted from before the write was queued: a request that goes out is within its attempt's deadline.
        send_by = boot_now() + SEND_BY_S
        if _writes(write):
            point("before_intent")
            written = await self._decide(write)
            if written.applied is not Applied.HELD:
                return written.applied in (Applied.STALE, Applied.UNCERTAIN)
            if written.intended:
                point("after_intent")
            sends = [c for c in sends if c.tool_call_id in written.intended or run.ledger == Ledger.OFF]
        send = send_as_before if run.ledger == Ledger.OFF else send_and_learn
        for call in sends:
            request = self._request(seen, call, arguments[call.tool_call_id])
            self._start(call.key, send(self.office, request, send_by))
        for call, call_plan in plan.calls:
            if isinstance(call_plan.action, Look):
                own_id = next(c.external_id for c in seen.loaded.calls if c.tool_call_id == call.tool_call_id)
                errand = look_up(self.office, self._request(seen, call), call, run.now, own_id)
                self._start(call.key, errand)
        return True

    async def _decide(self, write: Write) -> Written:
        """Writes a decision, and counts those that were dropped under lock."""
        written = await self.office.journal.decide(write)
        if written.applied in (Applied.LOST, Applied.STALE):
            telemetry.count("fence_rejections", written.applied.value)
        return written

    async def _end(self, run: RunRow, end: RunEnd) -> bool:
        written = await self._decide(Write(run.id, run.epoch, run.wakes, end=end))
        if written.applied is Applied.HELD:
            telling.tell_status(run, RunStatus(end.status))
        return written.applied in (Applied.STALE, Applied.UNCERTAIN)

    async def _park(self, run: RunRow, until: datetime | None) -> bool:
        """Lets the run go until there is more to do; a word that came meanwhile makes it decide again."""
        until = until and max(until, after(run.now, SHORTEST_PARK_S))
        change = RunChange(run.id, run.epoch, released=True, due_at=until)
        written = await self._decide(Write(run.id, run.epoch, run.wakes, change=change))
        if written.applied is Applied.HELD and until is not None:
            self.office.on_park((until - run.now).total_seconds())
        return written.applied is Applied.STALE

    async def _let_go(self) -> bool:
        """Draining: starts nothing more, waits for what is out, then hands the run back for another to go on."""
        if self.busy:
            await asyncio.wait(self.busy.values())
            self.busy.clear()
            return True
        await self.office.leases.hand_back([self.held])
        return False

    async def _wait(self, seen: Seen, until: datetime | None) -> bool:
        """Until what is out has come back, there is news, or a moment that was waited for.

        Where the round needs all that is out anyway, one look when all is back will do.
        """
        now = seen.loaded.run.now
        timeout = LONGEST_WAIT_S if until is None else max(SHORTEST_WAIT_S, (until - now).total_seconds())
        out: list[asyncio.Task[Any]] = list(self.busy.values())
        all_out = all(call.answered or call.key in self.busy for call in seen.calls)
        how = asyncio.ALL_COMPLETED if all_out else asyncio.FIRST_COMPLETED
        everything = asyncio.ensure_future(asyncio.wait(out, return_when=how)) if out else None
        news = asyncio.create_task(self.held.news.wait())
        waits: set[Any] = {news} | ({everything} if everything else set()) | ({self.asking} if self.asking else set())
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        news.cancel()
        if everything is not None:
            everything.cancel()
        self.busy = {key: task for key, task in self.busy.items() if not task.done()}
        return await self._answered() if self.asking is not None and self.asking.done() else True

    # The model --------------------------------------------------------------------------------------

    async def _ask(self, run: RunRow) -> bool:
        """Starts asking the model for the next round."""
        model = self.office.models.provider_for(run.model)
        if model is None:
            self.turn = Turn(end=unserved(run.model))
            return True
        self.speech = Speech(run, self.office.journal)
        self.asking = asyncio.create_task(self._asked(run, model, self.speech))
        return True

    async def _asked(self, run: RunRow, model: Model, speech: Speech) -> Turn | ModelUnavailable:
        context = await self.office.journal.context(run.id)
        if context is None:
            return ModelUnavailable("the run is gone")
        request = turn_request(run, context, self.office.desk.catalog)
        try:
            with telling.asking(run, self.office.desk.catalog) as asked:
                return asked.answered(await model.ask(asked.traced(request), speech.hear))
        except ModelUnavailable as unavailable:
            return unavailable
        finally:
            await speech.close()

    async def _answered(self) -> bool:
        """Takes the model's answer in hand; it is stored only if all that was seen still holds."""
        assert self.asking is not None
        answer = self.asking.result()
        self.asking = None
        if isinstance(answer, Turn):
            self.turn = answer
            return True
        return await self._unavailable(answer)

    async def _unavailable(self, reason: ModelUnavailable) -> bool:
        """Tries the model again later, or ends the run when it has been tried often enough."""
        loaded = await self.office.journal.load(self.held.id)
        if loaded is None or loaded.run.epoch != self.held.epoch:
            return False
        run = loaded.run
        log.warning("model_unavailable", run=run.id, model=run.model, tries=run.model_tries + 1)
        if run.model_tries + 1 >= self.office.models.attempts_for(run.model):
            return await self._end(run, RunEnd(run.id, RunStatus.FAILED, reason.code, reason.reason))
        due = after(run.now, pause_s(reason.retry_after_s, run.model_tries + 1))
        change = RunChange(run.id, run.epoch, more_model_tries=1, released=True, due_at=due)
        written = await self._decide(Write(run.id, run.epoch, run.wakes, change=change))
        if written.applied is Applied.HELD:
            self.office.on_park((due - run.now).total_seconds())
        return written.applied is Applied.STALE  # uncertain: the lease may be given up, and else ends by itself

    async def _store(self, run: RunRow, turn: Turn) -> bool:
        """Stores a round whole, its intents with it, and sends what the commit allows."""
        desk, journal = self.office.desk, self.office.journal
        used = used_call_ids(await journal.context(run.id)) if turn.calls else set()
        asked = read_calls(turn, desk, used)
        elders = await journal.elders(elder_queries(run, asked)) if run.ledger == Ledger.ENFORCE else []
        write = store_round(run, turn, self._spoken(), asked, elders, desk)
        send_by = boot_now() + SEND_BY_S
        if write.intents:
            point("before_intent")
        written = await self._decide(write)
        if written.applied is Applied.UNCERTAIN:
            # It is stored here, and only its requests must not go out: the turn is spent.
            self.turn = self.speech = None
        if written.applied is not Applied.HELD:
            return written.applied in (Applied.STALE, Applied.UNCERTAIN)
        if written.intended:
            point("after_intent")
        self.turn = self.speech = None
        telling.tell_round(run, write)
        for call in asked:
            if call.tool_call_id in written.intended and call.tool is not None and call.arguments is not None:
                request = tool_request(run, call.tool, write.calls[call.index], call.arguments, 1)
                self._start((run.id, call.tool_call_id), send_and_learn(self.office, request, send_by))
        return write.end is None

    def _spoken(self) -> Spoken:
        if self.speech is None:
            return Spoken(new_id("msg"), new_id("step"))
        speech = self.speech
        return Spoken(speech.message_id, speech.step_id, tuple(speech.pieces), speech.begun)

    # Outside ----------------------------------------------------------------------------------------

    def _start(self, key: tuple[str, str], errand: Coroutine[Any, Any, None]) -> None:
        self.busy[key] = self.office.start(errand)

    async def _arguments(self, calls: list[CallView]) -> dict[str, dict[str, Any]]:
        """The arguments of calls that are to be sent again."""
        if not calls:
            return {}
        rows = await self.office.journal.read(load_arguments([call.key for call in calls]))
        return {row.tool_call_id: parsed_arguments(unseal(row.bytes, row.key_id)) for row in rows}

    def _request(self, seen: Seen, call: CallView, arguments: dict[str, Any] | None = None) -> ToolRequest:
        """The next attempt of a stored call; without arguments, the lookup of its last one."""
        row = next(c for c in seen.loaded.calls if c.tool_call_id == call.tool_call_id)
        return tool_request(
            seen.loaded.run,
            self.office.desk.catalog.tools[call.tool].under(call.contract),
            row,
            arguments or {},
            len(call.attempts) + (arguments is not None),
        )


def _writes(write: Write) -> bool:
    """Whether a plan has anything to write; a lookup alone has not."""
    return bool(write.call_moves or write.attempt_moves or write.intents)
