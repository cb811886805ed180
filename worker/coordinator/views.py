"""From rows to what a decision sees. Pure."""

from collections.abc import Iterable, Sequence

from app.catalog.tool import Catalog, Contract
from sql.decisions import AttemptRow, CallRow, ElderQuery, Elders, RunRow
from sql.vocabulary import AttemptState, CallState, Executor, Ledger, RunStatus
from worker.coordinator.lifecycle import ENDED, SETTLED
from worker.coordinator.situation import CallView, Elder, RunView
from worker.coordinator.verdict import AttemptView


def run_view(run: RunRow) -> RunView:
    """The run as `decide` sees it."""
    return RunView(
        ended=RunStatus(run.status) in ENDED,
        expired=run.expires_at <= run.now,
        poisoned=run.poisoned,
        ledger=Ledger(run.ledger),
    )


def held_calls(calls: Iterable[CallRow]) -> list[CallRow]:
    """The calls whose fate hangs on an equal one asked for earlier."""
    waiting = (CallState.HELD, CallState.NEEDS_OPERATOR)
    return [call for call in calls if call.held_by_call is not None and call.state in waiting]


def elder_queries(run: RunRow, calls: Iterable[CallRow]) -> list[ElderQuery]:
    """What to ask of the thread about held calls, in their order."""
    return [
        ElderQuery(run.thread_id, run.id, c.round, c.tool, c.fingerprint, c.held_by_run, c.held_by_call)
        for c in held_calls(calls)
    ]


def call_views(
    calls: Sequence[CallRow], attempts: Iterable[AttemptRow], elders: Iterable[Elders], catalog: Catalog
) -> list[CallView]:
    """The calls as `decide` sees them. elders: answers to `elder_queries`, in order."""
    of_call: dict[str, list[AttemptView]] = {}
    for attempt in attempts:
        of_call.setdefault(attempt.tool_call_id, []).append(_attempt(attempt))
    found = dict(zip((call.tool_call_id for call in held_calls(calls)), elders, strict=True))
    return [_call(call, of_call.get(call.tool_call_id, []), found.get(call.tool_call_id), catalog) for call in calls]


def _call(call: CallRow, attempts: list[AttemptView], elders: Elders | None, catalog: Catalog) -> CallView:
    return CallView(
        run_id=call.run_id,
        tool_call_id=call.tool_call_id,
        round=call.round,
        index=call.index,
        tool=call.tool,
        executor=Executor(call.executor),
        contract=Contract.from_json(call.contract),
        state=CallState(call.state),
        attempts=tuple(attempts),
        reason=call.reason,
        not_before=call.not_before,
        lookups=call.lookups,
        told=call.told,
        conflicted=call.conflicted,
        sendable=call.tool in catalog.tools and not call.paused,
        known=call.tool in catalog.tools,
        elder=_elder(elders) if elders is not None else None,
    )


def _elder(elders: Elders) -> Elder:
    """An unsettled equal call holds; so does the holder itself, which may stand in the same round."""
    holder = CallState(elders.holder_state) if elders.holder_state else None
    open_state = CallState(elders.open_state) if elders.open_state else None
    if open_state is None and holder is not None and holder not in SETTLED:
        open_state = holder
    return Elder(open_state=open_state, holder_state=holder)


def _attempt(row: AttemptRow) -> AttemptView:
    return AttemptView(
        number=row.number,
        state=AttemptState(row.state),
        intended_at=row.intended_at,
        deadline=row.deadline,
        closed_at=row.closed_at,
        reason=row.reason,
    )
