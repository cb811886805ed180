"""What to do next about a run: pure, from the run, its calls, their attempts and the time.

`decide` walks the calls and asks `decide_call` for each; the answers are a closed union of actions with the
move that goes with them. Nothing here reads a clock or a database: the worker's `drive` performs the plan.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from sql.vocabulary import AttemptState, CallState, Executor, Ledger, Reason, Repeat
from worker.coordinator.lifecycle import SETTLED
from worker.coordinator.retry import WATCH_S, after, back_off_s
from worker.coordinator.situation import CallView, Elder, RunView
from worker.coordinator.verdict import (
    DOUBTFUL,
    WAITING,
    AttemptView,
    Happened,
    InDoubt,
    NothingHappened,
    UnderWay,
    Unsent,
    verdict,
)

OUTCOME_UNKNOWN: Final = "outcome unknown, being checked, do not repeat"
DEADLINE_PASSED: Final = "deadline_passed"


@dataclass(frozen=True)
class Send:
    """Send it, as a new attempt."""


@dataclass(frozen=True)
class Look:
    """Look its effect up."""


@dataclass(frozen=True)
class Wait:
    """Nothing to do before this moment."""

    until: datetime


@dataclass(frozen=True)
class Rest:
    """Nothing to do until somebody brings evidence."""


Action = Send | Look | Wait | Rest


@dataclass(frozen=True)
class Move:
    """What to make of the call. state None leaves it. output: text for the model. share: takes its elder's output."""

    state: CallState | None
    reason: str | None = None
    output: str | None = None
    told: bool = False
    conflict: bool = False
    share: bool = False


@dataclass(frozen=True)
class CallPlan:
    """One call's next action, the move that goes with it, and attempts that are unknown from now on."""

    action: Action
    move: Move | None = None
    doubts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What to do about a run. until: the earliest moment at which there is more to do, None for never.

    ask_model: every call of every round is answered. expire: its time is over, and it ends now.
    """

    calls: tuple[tuple[CallView, CallPlan], ...] = ()
    until: datetime | None = None
    ask_model: bool = False
    expire: bool = False

    @property
    def idle(self) -> bool:
        """Whether there is nothing to write or perform."""
        return not self.calls and not self.ask_model and not self.expire


def decide(run: RunView, calls: Collection[CallView], now: datetime, busy: Collection[tuple[str, str]]) -> Plan:
    """What to do about a run now. busy: calls that this process is sending or looking up already."""
    if run.expired and not run.ended:
        return Plan(expire=True)
    plans = [(call, decide_call(call, run, now)) for call in calls if call.key not in busy]
    waits = [plan.action.until for _, plan in plans if isinstance(plan.action, Wait)]
    return Plan(
        calls=tuple((c, p) for c, p in plans if p.move or p.doubts or isinstance(p.action, Send | Look)),
        until=min(waits, default=None),
        ask_model=not run.ended and all(call.answered for call in calls),
    )


def decide_call(call: CallView, run: RunView, now: datetime) -> CallPlan:
    """What to do about one call now."""
    if call.executor == Executor.CLIENT:
        return CallPlan(Rest())
    aged, doubts = _aged(call, now)
    if call.state in SETTLED:
        return replace(_straggler(aged, now), doubts=doubts)
    return replace(_unsettled(aged, run, now), doubts=doubts)


def _unsettled(call: CallView, run: RunView, now: datetime) -> CallPlan:
    match verdict(call.attempts):
        case Unsent():
            return _unsent(call, run, now)
        case Happened():
            # Proof settles a call in the transaction that brings it: a call that stands here was mended by hand.
            return CallPlan(Rest(), _changed(call, _to_operator(call, run, "inconsistent")))
        case UnderWay(attempts):
            return _under_way(call, attempts, now)
        case NothingHappened(for_good):
            return _nothing_happened(call, run, now, for_good)
        case InDoubt(attempts):
            return _in_doubt(call, run, now, attempts)


def _unsent(call: CallView, run: RunView, now: datetime) -> CallPlan:
    if run.ended:
        return CallPlan(Rest(), Move(CallState.CANCELLED, "run_ended"))
    if call.sent_by_operator:
        return _send(call, now)
    if call.elder is not None:
        return _held(call, run, now)
    if call.state == CallState.NEEDS_OPERATOR:
        return CallPlan(Rest())
    return _send(call, now)


def _held(call: CallView, run: RunView, now: datetime) -> CallPlan:
    """Shares the fate of an equal call asked for earlier: the user who clicks again during the spinner."""
    elder = call.elder or Elder()
    if call.reason == Reason.APPROVAL_REQUIRED:
        return CallPlan(Rest())
    if elder.open_state == CallState.NEEDS_OPERATOR:
        if call.contract.when_in_doubt == "tell_model":
            told = Move(CallState.CANCELLED, "elder_needs_operator", OUTCOME_UNKNOWN, told=True)
            return CallPlan(Rest(), told)
        again = Wait(after(now, WATCH_S))
        return CallPlan(again, _changed(call, _to_operator(call, run, "elder_needs_operator")))
    if elder.open_state is not None:
        return CallPlan(Wait(after(now, WATCH_S)))
    if elder.holder_state == CallState.SUCCEEDED:
        return CallPlan(Rest(), Move(CallState.SUCCEEDED, "shared", share=True))
    if call.contract.approval:
        # What a person refused was the elder; this one nobody has looked at yet.
        return CallPlan(Rest(), Move(CallState.NEEDS_OPERATOR, Reason.APPROVAL_REQUIRED))
    if call.state == CallState.NEEDS_OPERATOR:
        return CallPlan(Wait(now), Move(CallState.PENDING, "elder_did_not_happen"))
    return _send(call, now)


def _send(call: CallView, now: datetime) -> CallPlan:
    if not call.sendable:
        return CallPlan(Wait(after(now, WATCH_S)))
    if call.not_before is not None and call.not_before > now:
        return CallPlan(Wait(call.not_before))
    return CallPlan(Send())


def _under_way(call: CallView, attempts: tuple[AttemptView, ...], now: datetime) -> CallPlan:
    state = CallState.INTENDED if any(a.state == AttemptState.OPEN for a in attempts) else CallState.ACCEPTED
    out = [a for a in attempts if a.state in WAITING]
    known_by = min(a.deadline if a.state == AttemptState.OPEN else _over_at(call, a) for a in out)
    move = Move(state) if state == CallState.ACCEPTED and call.state == CallState.INTENDED else None
    return CallPlan(Wait(max(known_by, now)), move)


def _nothing_happened(call: CallView, run: RunView, now: datetime, for_good: bool) -> CallPlan:
    if call.sent_by_operator and not run.ended:
        return _send(call, now)
    if call.told:
        # The model believes that it may have happened, and has gone on: a person has to mend that.
        return CallPlan(Rest(), _changed(call, Move(CallState.NEEDS_OPERATOR, "told_but_did_not_happen")))
    if for_good:
        return CallPlan(Rest(), Move(CallState.FAILED, "refused"))
    if run.ended:
        return CallPlan(Rest(), Move(CallState.CANCELLED, "run_ended"))
    if _counted(call) >= call.contract.max_attempts:
        return CallPlan(Rest(), Move(CallState.FAILED, "attempts_used_up"))
    return _again(call, now)


def _again(call: CallView, now: datetime) -> CallPlan:
    """Sends again after the back-off; until then the call waits as `pending`, with nothing under way."""
    closed = max(a.closed_at or a.deadline for a in call.attempts)
    at = max(after(closed, back_off_s(len(call.attempts))), call.not_before or closed)
    if at > now or not call.sendable:
        until = at if at > now else after(now, WATCH_S)
        return CallPlan(Wait(until), _changed(call, Move(CallState.PENDING)))
    return CallPlan(Send())


def _in_doubt(call: CallView, run: RunView, now: datetime, attempts: tuple[AttemptView, ...]) -> CallPlan:
    if call.state == CallState.NEEDS_OPERATOR:
        return CallPlan(Rest(), _tell(call, run))
    if run.ended and run.poisoned and call.reason != Reason.OPERATOR_LOOKUP:
        return CallPlan(Rest(), _to_operator(call, run, "poisoned"))
    if run.ledger == Ledger.OBSERVE and not run.ended:
        return _observed(call, run, now)
    if run.ended and call.contract.repeat == Repeat.SAFE:
        return CallPlan(Rest(), Move(CallState.CANCELLED, "run_ended"))
    asked = run.ended or call.contract.repeat == Repeat.LOOKUP or call.reason == Reason.OPERATOR_LOOKUP
    if call.contract.lookup is not None and asked:
        return _look(call, run, now, attempts)
    if run.ended:
        return CallPlan(Rest(), _to_operator(call, run, "outcome_unknown"))
    match call.contract.repeat:
        case Repeat.SAFE:
            return _safe(call, run, now)
        case Repeat.KEYED:
            return _keyed(call, run, now, attempts)
        case _:
            return CallPlan(Rest(), _to_operator(call, run, "outcome_unknown"))


def _observed(call: CallView, run: RunView, now: datetime) -> CallPlan:
    if _counted(call) >= call.contract.max_attempts:
        return CallPlan(Rest(), _to_operator(call, run, "attempts_used_up"))
    return _doubtful(call, run, _again(call, now))


def _safe(call: CallView, run: RunView, now: datetime) -> CallPlan:
    if _counted(call) >= call.contract.max_attempts:
        return CallPlan(Rest(), Move(CallState.FAILED, "attempts_used_up"))
    return _doubtful(call, run, _again(call, now))


def _keyed(call: CallView, run: RunView, now: datetime, attempts: tuple[AttemptView, ...]) -> CallPlan:
    over_at = max(_over_at(call, a) for a in attempts)
    if over_at > now:
        return _doubtful(call, run, CallPlan(Wait(over_at)))
    if _counted(call) >= call.contract.max_attempts:
        return CallPlan(Rest(), _to_operator(call, run, "attempts_used_up"))
    if not _key_holds(call, now):
        return CallPlan(Rest(), _to_operator(call, run, "key_expired"))
    return _doubtful(call, run, _again(call, now))


def _look(call: CallView, run: RunView, now: datetime, attempts: tuple[AttemptView, ...]) -> CallPlan:
    lookup = call.contract.lookup
    over_at = max(_over_at(call, a) for a in attempts)
    if over_at > now:
        return _doubtful(call, run, CallPlan(Wait(over_at)))
    if not call.known:
        # Another worker may know the tool, while catalogs are rolled out; an ended run waits for no one.
        gone = CallPlan(Rest(), _to_operator(call, run, "tool_gone"))
        return gone if run.ended else _doubtful(call, run, CallPlan(Wait(after(now, WATCH_S))))
    if call.reason in (Reason.LOOKUP_SEVERAL, Reason.LOOKUP_AMBIGUOUS):
        return CallPlan(Rest(), _to_operator(call, run, call.reason))
    if lookup is None or call.lookups >= lookup.tries:
        return CallPlan(Rest(), _to_operator(call, run, "lookup_no_answer"))
    if call.not_before is not None and call.not_before > now:
        return _doubtful(call, run, CallPlan(Wait(call.not_before)))
    return _doubtful(call, run, CallPlan(Look()))


def _straggler(call: CallView, now: datetime) -> CallPlan:
    """A settled call with attempts of which nobody knows: if one of them happened too, that is a conflict."""
    # A person may have said that it happened when only attempts had been seen that are known to have done nothing.
    happened = call.state == CallState.SUCCEEDED or isinstance(verdict(call.attempts), Happened)
    others = [a for a in call.attempts if a.state in DOUBTFUL]
    if not happened or not others or call.conflicted:
        return CallPlan(Rest())
    opens = [a.deadline for a in others if a.state == AttemptState.OPEN]
    if opens:
        return CallPlan(Wait(max(*opens, now)))
    if call.contract.repeat == Repeat.SAFE or _one_key_covers(call):
        return CallPlan(Rest())
    over_at = max([call.not_before or now, *(_over_at(call, a) for a in others)])
    if over_at > now:
        return CallPlan(Wait(over_at))
    lookup = call.contract.lookup
    if lookup is not None and call.known and call.lookups < lookup.tries:
        return CallPlan(Look())
    return CallPlan(Rest(), Move(None, conflict=True))


def _aged(call: CallView, now: datetime) -> tuple[CallView, tuple[int, ...]]:
    """The call as it stands once attempts whose time is over count as unknown, and the numbers of those."""
    late = [
        a.number
        for a in call.attempts
        if (a.state == AttemptState.OPEN and a.deadline <= now)
        or (a.state == AttemptState.ACCEPTED and _over_at(call, a) <= now)
    ]
    attempts = tuple(
        replace(a, state=AttemptState.UNKNOWN, closed_at=a.closed_at or now) if a.number in late else a
        for a in call.attempts
    )
    return replace(call, attempts=attempts), tuple(late)


def _over_at(call: CallView, attempt: AttemptView) -> datetime:
    """When the effect of an attempt can no longer come about or become visible.

    A tool that may answer 202 may have accepted a request whose answer was lost: its completion counts too.
    """
    return after(attempt.deadline, (call.contract.completion_s or 0.0) + call.contract.settle_s)


def _counted(call: CallView) -> int:
    return sum(a.state != AttemptState.NOT_SENT for a in call.attempts)


def _key_holds(call: CallView, now: datetime) -> bool:
    """Whether the tool still knows the key when another request may reach it."""
    until = key_good_until(call)
    return call.contract.key_ttl_s is not None and (until is None or until > now)


def _one_key_covers(call: CallView) -> bool:
    """Whether the tool knew the key from the first attempt to the last moment of the last one."""
    ttl_s = call.contract.key_ttl_s
    if call.contract.repeat != Repeat.KEYED or ttl_s is None:
        return False
    first = min(a.intended_at for a in call.attempts)
    return ttl_s == 0 or after(first, ttl_s) > max(_over_at(call, a) for a in call.attempts)


def key_good_until(call: CallView) -> datetime | None:
    """When another attempt under the same key must have been intended; None for no bound.

    It counts on the key only where an earlier attempt may have happened: the tool must know the key until the
    last moment at which the new request can take effect, a proxy's delay (`settle_s`) included.
    """
    ttl_s = call.contract.key_ttl_s
    if call.contract.repeat != Repeat.KEYED or not ttl_s:
        return None
    if not any(a.state in DOUBTFUL for a in call.attempts):
        return None
    first = min(a.intended_at for a in call.attempts)
    # The same allowance as an attempt's life: send_by, timeout_s and slack.
    life_s = max((a.deadline - a.intended_at).total_seconds() for a in call.attempts)
    return after(first, ttl_s - life_s - call.contract.settle_s)


def _to_operator(call: CallView, run: RunView, reason: str) -> Move:
    tell = _may_tell(call, run)
    return Move(CallState.NEEDS_OPERATOR, reason, OUTCOME_UNKNOWN if tell else None, told=tell)


def _doubtful(call: CallView, run: RunView, plan: CallPlan) -> CallPlan:
    """The plan, with the call in doubt from now on if it was not, and the model told if the tool says so."""
    if isinstance(plan.action, Send):
        return plan
    tell = _may_tell(call, run)
    if call.state == CallState.IN_DOUBT and not tell:
        return replace(plan, move=None)
    text = OUTCOME_UNKNOWN if tell else None
    return replace(plan, move=Move(CallState.IN_DOUBT, "outcome_unknown", text, told=tell))


def _tell(call: CallView, run: RunView) -> Move | None:
    return Move(None, None, OUTCOME_UNKNOWN, told=True) if _may_tell(call, run) else None


def _may_tell(call: CallView, run: RunView) -> bool:
    return call.contract.when_in_doubt == "tell_model" and not call.told and not run.ended


def _changed(call: CallView, move: Move) -> Move | None:
    """The move, or None where it would change nothing."""
    return None if move.state == call.state and not move.told else move
