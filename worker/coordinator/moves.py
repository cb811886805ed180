"""From a plan to the write that makes it so. Pure."""

import uuid
from collections.abc import Mapping

from sql.decisions import CallMove, Elders, RunChange, RunRow
from sql.evidence import AttemptMove
from sql.ledger import Payload
from sql.vocabulary import AttemptState, CallState, Ledger, RunStatus
from worker.coordinator.decide import DEADLINE_PASSED, CallPlan, Move, Plan, Send, key_good_until
from worker.coordinator.lifecycle import SETTLED
from worker.coordinator.rounds import Desk, error_output, intent
from worker.coordinator.situation import CallView
from worker.records import Write


def write_plan(run: RunRow, calls: list[CallView], plan: Plan, desk: Desk, elders: Mapping[str, Elders]) -> Write:
    """The plan's moves and intents as one write. elders: of held calls, by id, for the output they share."""
    write_off = run.ledger == Ledger.OFF
    sends = [call for call, p in plan.calls if isinstance(p.action, Send)] if not write_off else []
    # `observe` holds no send back: a bound that has passed would make it decide again for ever.
    bounds = map(key_good_until, sends) if run.ledger == Ledger.ENFORCE else ()
    moves, payloads = [], []
    for call, call_plan in plan.calls:
        move, payload = _move(call, call_plan, elders.get(call.tool_call_id), write_off)
        moves += [move] if move is not None else []
        payloads += [payload] if payload is not None else []
    return Write(
        run_id=run.id,
        epoch=run.epoch,
        wakes=run.wakes,
        payloads=tuple(payloads),
        intents=tuple(
            intent(run, c.tool_call_id, len(c.attempts) + 1, desk.catalog.tools[c.tool].under(c.contract), desk)
            for c in sends
        ),
        tools=tuple((c.tool_call_id, c.tool) for c in sends),
        call_moves=tuple(moves),
        attempt_moves=tuple(
            AttemptMove(call.run_id, call.tool_call_id, number, AttemptState.UNKNOWN, DEADLINE_PASSED)
            for call, call_plan in plan.calls
            for number in call_plan.doubts
        ),
        change=_change(run, calls, plan, fruitful=bool(sends)),
        good_until=min(filter(None, bounds), default=None),
    )


def _move(
    call: CallView, plan: CallPlan, elders: Elders | None, write_off: bool
) -> tuple[CallMove | None, Payload | None]:
    if isinstance(plan.action, Send):
        sent = CallMove(call.run_id, call.tool_call_id, CallState.INTENDED, "sent")
        return (None if write_off else sent), None
    if plan.move is None:
        return None, None
    move = plan.move
    text = _output(call, move)
    payload = Payload(uuid.uuid4(), text.encode()) if text is not None else None
    shared = elders if move.share else None
    return CallMove(
        run_id=call.run_id,
        tool_call_id=call.tool_call_id,
        state=move.state,
        reason=move.reason,
        output=shared.holder_output if shared else payload.id if payload else None,
        external_id=shared.holder_external_id if shared else None,
        told=move.told,
        conflict=move.conflict,
    ), payload


def _output(call: CallView, move: Move) -> str | None:
    """What the model is told by a move; a refusal's own words are on the call already."""
    if move.output is not None:
        return error_output("outcome_unknown", move.output)
    if move.state == CallState.FAILED and move.reason != "refused":
        return error_output("failed", f"the call failed and did nothing: {move.reason}")
    if move.state == CallState.CANCELLED:
        return error_output("cancelled", "the run ended before this call was made")
    return None


def _change(run: RunRow, calls: list[CallView], plan: Plan, *, fruitful: bool) -> RunChange:
    moves = {call.key: p.move for call, p in plan.calls if p.move is not None}
    answered = all(call.answered or _answers(moves.get(call.key)) for call in calls)
    waiting = run.status == RunStatus.REQUIRES_ACTION and answered
    return RunChange(
        id=run.id,
        epoch=run.epoch,
        status=RunStatus.IN_PROGRESS if waiting else None,
        needs_operator=any(move.state == CallState.NEEDS_OPERATOR for move in moves.values()),
        fruitful=fruitful,
    )


def _answers(move: Move | None) -> bool:
    return move is not None and (move.told or move.state in SETTLED)
