"""Errands: what is done outside for a call, and the recording of what came of it.

An errand outlives the lease that it was started under: a request on the wire is not undone by losing the right
to decide, and what it teaches is kept in any case.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from app import telemetry
from app.catalog.tool import Tool
from sql.decisions import CallRow, NewCall, RunRow
from sql.evidence import find_owners, has_equal_call
from sql.vocabulary import CallState
from worker.coordinator import telling
from worker.coordinator.learn import Sent, learnt_from
from worker.coordinator.retry import back_off_s
from worker.coordinator.rounds import SEND_BY_S, Desk
from worker.coordinator.situation import CallView
from worker.coordinator.verdict import DOUBTFUL
from worker.faults import point
from worker.gateway.client import Gateway, ToolRequest
from worker.gateway.clock import boot_now
from worker.gateway.outcome import Delivered, Found, LookupAnswer, Outcome, Refused
from worker.journal import Journal
from worker.lease import Leases
from worker.models.registry import Models
from worker.reconciler.lookup import Question, judge

log = structlog.get_logger()


@dataclass
class Office:
    """All that runs are driven with, shared by all of them. errands: requests that outlive a lost lease."""

    journal: Journal
    leases: Leases
    gateway: Gateway
    models: Models
    desk: Desk
    errands: set[asyncio.Task[None]] = field(default_factory=set)
    draining: bool = False
    on_park: Callable[[float], None] = lambda _seconds: None

    def start(self, errand: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Starts what must reach its end whatever becomes of the run that it is for."""
        task = asyncio.create_task(errand)
        self.errands.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.errands.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Its attempt stays open until its deadline, and is unknown from then on.
            log.error("errand_failed", error=type(error).__name__)


def tool_request(
    run: RunRow, tool: Tool, call: CallRow | NewCall, arguments: dict[str, Any], number: int
) -> ToolRequest:
    """One attempt of a call, as the gateway sends it."""
    return ToolRequest(
        tool=tool,
        run_id=run.id,
        thread_id=run.thread_id,
        tool_call_id=call.tool_call_id,
        correlation_id=run.correlation_id,
        attempt=number,
        fingerprint=call.fingerprint,
        effect_key=call.effect_key,
        arguments=arguments,
        traceparent=run.traceparent,
    )


async def send_and_learn(office: Office, request: ToolRequest, send_by: float) -> None:
    """Sends one attempt and records what came of it, lease or no lease."""
    started = time.monotonic()
    outcome = await _sent(office, request, send_by)
    point("after_effect")
    await _learn(office, request, outcome, request.attempt, time.monotonic() - started)


async def send_as_before(office: Office, request: ToolRequest, _send_by: float) -> None:
    """LEDGER=off, as the incident's system did it: no intent, and sent again on doubt."""
    tries = request.tool.contract.max_attempts
    started = time.monotonic()
    outcome = await _sent(office, request, boot_now() + SEND_BY_S)
    for number in range(1, tries):
        if isinstance(outcome, Delivered) or _is_final(outcome):
            break
        await asyncio.sleep(back_off_s(number))
        outcome = await _sent(office, request, boot_now() + SEND_BY_S)
    point("after_effect")
    await _learn(office, request, outcome, None, time.monotonic() - started)


async def _sent(office: Office, request: ToolRequest, send_by: float) -> Outcome:
    """Sends one request, between the line that says so and the line that says what came back."""
    with telling.sending(request, office.desk.owner) as told:
        return told.answered(await office.gateway.send(told.traced(request), send_by))


def _is_final(outcome: Outcome) -> bool:
    return isinstance(outcome, Refused) and outcome.kind == "failed"


async def _learn(office: Office, request: ToolRequest, outcome: Outcome, number: int | None, duration_s: float) -> None:
    tool = request.tool.name
    sent = Sent(request.run_id, request.tool_call_id, tool, number, office.desk.owner, duration_s)
    result = await office.journal.learn(learnt_from(sent, outcome))
    telling.tell_learnt(request, outcome, result, office.desk.owner)


async def look_up(office: Office, request: ToolRequest, call: CallView, began_at: datetime, own_id: str | None) -> None:
    """Looks a call's effect up, and records what that proves. began_at: the database's time before it."""
    with telemetry.span("counterfoil.reconcile", telling.of_call(request), parent=request.traceparent, kind="client"):
        answer = await office.gateway.look_up(request)
    lookup = call.contract.lookup
    by_fingerprint = lookup is not None and lookup.by == "fingerprint"
    # In this order: an equal call that is settled between the two reads shows by the effect that it owns then.
    crowded = by_fingerprint and await office.journal.read(has_equal_call(call.key))
    owners = await _owners(office, call.tool, answer)
    question = Question(
        run_id=call.run_id,
        tool_call_id=call.tool_call_id,
        tool=call.tool,
        source=office.desk.owner,
        began_at=began_at,
        doubtful=tuple(a.number for a in call.attempts if a.state in DOUBTFUL),
        settled=call.state == CallState.SUCCEEDED,
        own_id=own_id,
        by_fingerprint=by_fingerprint,
        crowded=crowded,
        intended_at=min((a.intended_at for a in call.attempts), default=None),
        tries=call.lookups,
    )
    await office.journal.learn(judge(question, answer, owners))
    log.info("looked_up", **telling.ids(request), answer=type(answer).__name__.lower())


async def _owners(office: Office, tool: str, answer: LookupAnswer) -> dict[str, tuple[str, str]]:
    if not isinstance(answer, Found):
        return {}
    effects = await office.journal.read(find_owners([(tool, item[0]) for item in answer.items]))
    return {effect.external_id: (effect.run_id, effect.tool_call_id) for effect in effects}
