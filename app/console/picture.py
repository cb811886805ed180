"""The picture of a run: a lane for each source, from what the ledger holds. Pure; a template draws it.

Intent ◇, send ▸, answer ●, settled ★; hatched is unknown; a red bracket joins effects of one intent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from app.console import words
from app.console.timescale import Break, Scale
from sql.console import EvidenceRow
from sql.operators import EventRow, RunRow
from sql.tool_calls import AttemptRow, CallRow

LEFT: Final = 118.0
RIGHT: Final = 1072.0
WIDTH: Final = 1090
TICK_WIDTH: Final = 76.0  # of a time of day with its milliseconds
ROW: Final = 18
MOST_ROWS: Final = 10
LANES: Final = ("coordinator", "worker", "gateway", "outside audit", "submissions")
UNKNOWN: Final = frozenset({"open", "unknown", "accepted"})


@dataclass(frozen=True)
class Mark:
    """A sign at a moment, in a lane; row: which line of the lane."""

    at: datetime
    lane: str
    sign: str
    what: str
    call: str | None = None
    attempt: int | None = None
    row: int = 0
    tone: str = "busy"


@dataclass(frozen=True)
class Bar:
    """An attempt from its intent to what is known of it; hatched where that is nothing."""

    x: float
    width: float
    row: int
    tone: str
    hatched: bool
    title: str
    label: str


@dataclass(frozen=True)
class Span:
    """A stretch with a title: a lease, or a bracket."""

    x: float
    width: float
    title: str


@dataclass(frozen=True)
class Picture:
    """All that is drawn, in the drawing's units, and the same as rows of a table."""

    height: int
    lanes: list[tuple[str, int, int]]
    marks: list[tuple[Mark, float, float]]
    bars: list[Bar]
    leases: list[Span]
    brackets: list[Span]
    ticks: list[tuple[float, str, str]]
    breaks: list[Break]
    rows: list[Mark]
    left_out: int = 0
    tops: dict[str, int] = field(default_factory=dict)


def draw(
    run: RunRow,
    calls: Sequence[CallRow],
    attempts: Sequence[AttemptRow],
    evidence: Sequence[EvidenceRow],
    events: Sequence[EventRow],
) -> Picture:
    """The picture of a run."""
    rows = _rows_of(attempts)
    marks = _marks(run, calls, attempts, evidence, events, rows)
    moments = [mark.at for mark in marks] + [run.created_at]
    moments += [_over(attempt) for attempt in attempts]
    moments += [run.ended_at] if run.ended_at else []
    moments += [run.lease_until] if run.lease_until else []
    scale = Scale(moments, LEFT + 8, RIGHT - 24)
    lines = min(max(rows.values(), default=0) + 1, MOST_ROWS)
    tops, lanes, height = _lanes(lines)
    shown = [mark for mark in marks if mark.row < MOST_ROWS]
    return Picture(
        height=height,
        lanes=lanes,
        marks=_placed(shown, scale, tops),
        bars=[_bar(one, rows[_key(one)], scale) for one in attempts if rows[_key(one)] < MOST_ROWS],
        leases=_leases(run, attempts, events, scale),
        brackets=_brackets(calls, evidence, attempts, scale),
        ticks=_ticks(scale),
        breaks=scale.breaks,
        rows=sorted(marks, key=lambda mark: mark.at),
        left_out=sum(row >= MOST_ROWS for row in rows.values()),
        tops=tops,
    )


def _key(attempt: AttemptRow) -> tuple[str, int]:
    return attempt.tool_call_id, attempt.number


def _over(attempt: AttemptRow) -> datetime:
    """Until when an attempt is drawn: its close, or until which it may have been under way."""
    return max(attempt.closed_at or attempt.deadline, attempt.intended_at + timedelta(milliseconds=1))


def _rows_of(attempts: Sequence[AttemptRow]) -> dict[tuple[str, int], int]:
    """A line for each attempt: the first that is free by then."""
    free: list[datetime] = []
    rows = {}
    for attempt in sorted(attempts, key=lambda one: one.intended_at):
        row = next((i for i, until in enumerate(free) if until < attempt.intended_at), len(free))
        free[row : row + 1] = [_over(attempt)]
        rows[_key(attempt)] = row
    return rows


def _placed(marks: Sequence[Mark], scale: Scale, tops: dict[str, int]) -> list[tuple[Mark, float, float]]:
    """Where each mark stands; what would hide another one of its lane stands beside it."""
    taken: set[tuple[float, float]] = set()
    placed = []
    for mark in sorted(marks, key=lambda one: one.at):
        x, y = scale.x(mark.at), float(tops[mark.lane] + 15 + _line(mark) * ROW)
        while any(abs(x - other) < 11 and y == line for other, line in taken):
            x += 12
        taken.add((x, y))
        placed.append((mark, x, y))
    return placed


def _line(mark: Mark) -> int:
    return mark.row if mark.lane in ("worker", "gateway") else 0


def _lanes(lines: int) -> tuple[dict[str, int], list[tuple[str, int, int]], int]:
    """Where each lane begins, and its height."""
    heights = {"coordinator": 36, "worker": 30 + lines * ROW, "gateway": 14 + lines * ROW, "outside audit": 50}
    top, tops, lanes = 24, {}, []
    for lane in LANES:
        height = heights.get(lane, 36)
        tops[lane] = top
        lanes.append((lane, top, height))
        top += height
    return tops, lanes, top + 6


def _marks(
    run: RunRow,
    calls: Sequence[CallRow],
    attempts: Sequence[AttemptRow],
    evidence: Sequence[EvidenceRow],
    events: Sequence[EventRow],
    rows: dict[tuple[str, int], int],
) -> list[Mark]:
    marks = [
        Mark(event.at, "coordinator", "status", f"run {event.event[4:]}", tone=words.tone(event.event[4:]))
        for event in events
        if event.event.startswith("run.")
    ] or [Mark(run.created_at, "coordinator", "status", "run made")]
    replies = {(e.tool_call_id, e.attempt): e for e in evidence if e.kind == "reply"}
    for attempt in attempts:
        marks += _of_attempt(attempt, replies.get(_key(attempt)), rows[_key(attempt)])
    marks += [mark for one in evidence if (mark := _of_evidence(one)) is not None]
    named = {(one.tool_call_id, one.external_id) for one in evidence}
    for attempt in attempts:
        if attempt.external_id and (attempt.tool_call_id, attempt.external_id) not in named:
            at = attempt.closed_at or attempt.intended_at
            what = f"effect {attempt.external_id}, of attempt {attempt.number}"
            marks.append(Mark(at, "outside audit", "effect", what, attempt.tool_call_id, attempt.number, tone="ok"))
    for call in calls:
        marks += _of_call(call)
    return marks


def _of_attempt(attempt: AttemptRow, reply: EvidenceRow | None, row: int) -> list[Mark]:
    name = f"attempt {attempt.number}"
    place: dict[str, Any] = {"call": attempt.tool_call_id, "attempt": attempt.number}
    sent = attempt.intended_at
    if reply is not None and reply.duration_s is not None:
        sent = max(sent, reply.at - timedelta(seconds=reply.duration_s))
    marks = [Mark(attempt.intended_at, "coordinator", "intent", f"{name} intended", **place)]
    if attempt.state != "not_sent":
        marks.append(Mark(sent, "gateway", "send", f"{name} may leave from here on", row=row, **place))
    if reply is not None:
        known = reply.says not in ("unknown",)
        status = f", status {reply.http_status}" if reply.http_status else ""
        what = f"{name}: {words.says(reply.says)}{status}"
        what += f" ({words.because(reply.reason)})" if reply.reason else ""
        sign = "answer" if known else "no answer"
        marks.append(Mark(reply.at, "gateway", sign, what, row=row, tone="ok" if known else "doubt", **place))
    return marks


def _of_evidence(one: EvidenceRow) -> Mark | None:
    place: dict[str, Any] = {"call": one.tool_call_id, "attempt": one.attempt}
    id = f", {one.external_id}" if one.external_id else ""
    why = f" ({words.because(one.reason)})" if one.reason and one.kind != "operator" else ""
    match one.kind:
        case "lookup":
            found = one.says in ("found", "happened", "succeeded")
            what = f"lookup: {words.says(one.says)}{id}{why}"
            return Mark(one.at, "outside audit", "effect" if found else "lookup", what, tone=_tone(one.says), **place)
        case "event":
            return Mark(one.at, "submissions", "answer", f"tool event: {words.says(one.says)}{id}{why}", **place)
        case "operator":
            what = f"operator {one.source}: {words.says(one.says)}{id}"
            return Mark(one.at, "submissions", "answer", what, tone="busy", **place)
    if one.external_id is not None:
        return Mark(
            one.at, "outside audit", "effect", f"effect {one.external_id}, as its reply says", tone="ok", **place
        )
    return None


def _tone(says: str) -> str:
    return "ok" if says in ("found", "happened", "succeeded") else "calm" if says in ("none", "nothing") else "doubt"


def _of_call(call: CallRow) -> list[Mark]:
    marks = [Mark(call.created_at, "coordinator", "status", f"{call.tool} asked for", call.tool_call_id)]
    if call.settled_at is not None:
        what = f"{call.tool} {call.state}, by {call.settled_by or 'the run’s end'}"
        marks.append(
            Mark(call.settled_at, "coordinator", "settled", what, call.tool_call_id, tone=words.tone(call.state))
        )
        if call.settled_by == "client":
            marks.append(
                Mark(call.settled_at, "submissions", "answer", f"client's output for {call.tool}", call.tool_call_id)
            )
    for at, what in ((call.needs_operator_since, "needs an operator"), (call.conflict_at, "conflict")):
        if at is not None:
            marks.append(Mark(at, "coordinator", "alarm", f"{call.tool}: {what}", call.tool_call_id, tone="bad"))
    return marks


def _bar(attempt: AttemptRow, row: int, scale: Scale) -> Bar:
    x, until = scale.x(attempt.intended_at), scale.x(_over(attempt))
    hatched = attempt.state in UNKNOWN
    why = f", {words.because(attempt.reason)}" if attempt.reason else ""
    title = f"attempt {attempt.number} of {attempt.tool_call_id}: {attempt.state}{why}; worker {attempt.owner}"
    return Bar(x, max(until - x, 4.0), row, words.tone(attempt.state), hatched, title, f"#{attempt.number}")


def _leases(run: RunRow, attempts: Sequence[AttemptRow], events: Sequence[EventRow], scale: Scale) -> list[Span]:
    """What is known of who held the run: each epoch from the first to the last that was seen of it."""
    seen: dict[int, list[datetime]] = {}
    owners = {attempt.epoch: attempt.owner for attempt in attempts}
    for attempt in attempts:
        seen.setdefault(attempt.epoch, []).extend([attempt.intended_at, _over(attempt)])
    for event in events:
        epoch = event.data.get("epoch")
        if isinstance(epoch, int) and event.event in ("run.in_progress", "run.requires_action"):
            seen.setdefault(epoch, []).append(event.at)
    if run.lease_until is not None and run.lease_owner is not None:
        owners[run.epoch] = run.lease_owner
        seen.setdefault(run.epoch, []).append(run.lease_until)
    spans = []
    for epoch, moments in sorted(seen.items()):
        x, until = scale.x(min(moments)), scale.x(max(moments))
        spans.append(Span(x, max(until - x, 3.0), f"epoch {epoch}, worker {owners.get(epoch, 'unknown')}"))
    return spans


def _brackets(
    calls: Sequence[CallRow], evidence: Sequence[EvidenceRow], attempts: Sequence[AttemptRow], scale: Scale
) -> list[Span]:
    """Calls with more than one effect outside: from the first to the last of them."""
    spans = []
    for call in calls:
        effects = {
            e.external_id: e.at for e in reversed(evidence) if e.tool_call_id == call.tool_call_id and e.external_id
        }
        for attempt in attempts:
            if attempt.tool_call_id == call.tool_call_id and attempt.external_id:
                effects.setdefault(attempt.external_id, attempt.closed_at or attempt.intended_at)
        if len(effects) > 1:
            x, until = scale.x(min(effects.values())), scale.x(max(effects.values()))
            names = " and ".join(sorted(effects))
            spans.append(Span(x, max(until - x, 10.0), f"{names} are effects of one intent, {call.tool_call_id}"))
    return spans


def _ticks(scale: Scale) -> list[tuple[float, str, str]]:
    """Times of day above the marks, as (x, anchor, label), not closer than they can be read."""
    ticks: list[tuple[float, str, str]] = []
    free_from = 0.0
    for at in scale.points:
        x = scale.x(at)
        anchor, before = ("start", 0.0) if x <= 170 else ("end", TICK_WIDTH) if x > 1020 else ("middle", TICK_WIDTH / 2)
        if x - before >= free_from:
            ticks.append((x, anchor, f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"))
            free_from = x - before + TICK_WIDTH + 14
    return ticks
