"""Draws the timeline of one duplicate as swim lanes: inline SVG, attributes and classes only, no script."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

from app.incidents import records as k
from app.incidents.answer import Duplicate, Moment
from app.incidents.records import SOURCE_NAMES, seconds
from app.incidents.steps import clock

_LEFT: Final = 112
_WIDTH: Final = 1000
_RIGHT: Final = 24
_ROW: Final = 24
_PAD: Final = 12
_LETTER: Final = 7.5
_LONG_GAP_US: Final = 6_000_000
_KEPT_GAP_US: Final = 1_500_000


class Axis:
    """Maps corrected time to x; gaps of over six seconds are cut out and marked."""

    def __init__(self, moments: list[Moment]) -> None:
        """Lay out the moments, and the ends of their requests."""
        ends = [m.true_us + m.record.duration for m in moments if m.record and m.record.duration > 0]
        times = sorted({m.true_us for m in moments} | set(ends))
        self._stops = [(times[0], 0)]
        self.breaks: list[tuple[int, int, int]] = []
        spent = 0
        for before, after in pairwise(times):
            gap = after - before
            if gap > _LONG_GAP_US:
                self.breaks.append((before, after, gap))
                gap = _KEPT_GAP_US
            spent += gap
            self._stops.append((after, spent))
        self._whole = max(spent, 1)

    def x(self, at_us: int) -> float:
        """Return the place of a moment."""
        before = self._stops[0]
        for stop in self._stops:
            if stop[0] > at_us:
                share = (at_us - before[0]) / (stop[0] - before[0])
                return self._place(before[1] + share * (stop[1] - before[1]))
            before = stop
        return self._place(before[1])

    def _place(self, spent: float) -> float:
        return round(_LEFT + 10 + (_WIDTH - _LEFT - _RIGHT - 20) * spent / self._whole, 1)


@dataclass(frozen=True, slots=True)
class _Mark:
    """A moment with its place, its label and the row of its lane."""

    moment: Moment
    number: int
    x: float
    end: float
    label: str
    row: int
    to_left: bool


def _label(moment: Moment) -> str:
    """Return the few words that a lane has room for."""
    record = moment.record
    if record is None:
        return moment.what[:24]
    match record.kind:
        case k.POST:
            took = seconds(record.duration) if record.duration >= 0 else ""
            return f"{record.status or '?'} {took}".strip()
        case k.EFFECT:
            return (record.detail or "")[:24]
        case k.STATUS:
            return record.status or ""
        case k.DISPATCH:
            return "dispatch"
        case k.CREATE:
            return "create_run"
        case k.NORMALIZE:
            return "normalized"
        case k.SUBMIT:
            return "submitted"
        case k.DUPLICATE_EVENT:
            return "duplicate dropped" if record.status == "drop" else "duplicate event"
        case k.CONTEXT:
            return (record.status or "context")[:24]
    return moment.what[:24]


def _lay(moments: list[tuple[int, Moment]], axis: Axis) -> list[_Mark]:
    """Give each moment of a lane the first row in which its label is free."""
    marks: list[_Mark] = []
    free: list[float] = []
    for number, moment in moments:
        x = axis.x(moment.true_us)
        took = moment.record.duration if moment.record and moment.record.kind == k.POST else 0
        end = axis.x(moment.true_us + max(took, 0))
        label = _label(moment)
        room = 16 + len(label) * _LETTER
        to_left = end + room > _WIDTH - 4
        begin, finish = (x - room, end + 8) if to_left else (x - 8, end + room)
        row = next((i for i, until in enumerate(free) if until <= begin), len(free))
        free[row : row + 1] = [finish]
        marks.append(_Mark(moment, number, x, end, label, row, to_left))
    return marks


def lanes(duplicate: Duplicate) -> str:
    """Return the SVG of one duplicate, or nothing where there is no moment to draw."""
    numbered = list(enumerate(duplicate.timeline, 1))
    if not numbered:
        return ""
    axis = Axis(duplicate.timeline)
    body, y = [], 30
    effects_y, marks_of_effects = 0, []
    for source in SOURCE_NAMES:
        marks = _lay([pair for pair in numbered if pair[1].source == source], axis)
        if not marks:
            continue
        height = _PAD * 2 + _ROW * (1 + max(mark.row for mark in marks)) + (20 if source == "audit" else 0)
        body.append(_lane(source, y, height))
        body += [_draw(mark, y + _PAD + _ROW * mark.row + _ROW // 2) for mark in marks]
        if source == "audit":
            effects_y = y + height
            marks_of_effects = [m for m in marks if m.moment.record and m.moment.record.kind == k.EFFECT]
        y += height
    back = [_axis_marks(axis, duplicate.timeline, y)]
    front = [_bracket(marks_of_effects, effects_y - 8)] if len(marks_of_effects) > 1 else []
    said = f"Timeline of {', '.join(duplicate.effects)}: {duplicate.cause.value}"
    return (
        f'<svg class="lanes" viewBox="0 0 {_WIDTH} {y + 10}" role="img" aria-label="{escape(said)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(body + back + front)}</svg>'
    )


def _lane(source: str, y: int, height: int) -> str:
    return (
        f'<g class="lane {source}"><rect class="band" x="0" y="{y}" width="{_WIDTH}" height="{height}"/>'
        f'<line class="rule" x1="0" y1="{y + height}" x2="{_WIDTH}" y2="{y + height}"/>'
        f'<text class="name" x="12" y="{y + height / 2 + 4}">{source}</text></g>'
    )


def _draw(mark: _Mark, y: float) -> str:
    """Draw a bar for a request, a star for an effect, a dot for the rest, each with its words."""
    record = mark.moment.record
    kind = record.kind if record else k.OTHER
    failed = kind == k.POST and record is not None and not (record.status or "").startswith("2")
    if kind == k.POST:
        width = max(mark.end - mark.x, 6)
        name = "bar failed" if failed else "bar"
        shape = f'<rect class="{name}" x="{mark.x}" y="{y - 8}" width="{width:.1f}" height="16" rx="3"/>'
    elif kind == k.EFFECT:
        shape = f'<path class="effect" d="M{mark.x} {y - 8}l7 8-7 8-7-8z"/>'
    else:
        shape = f'<circle class="dot {kind}" cx="{mark.x}" cy="{y}" r="5"/>'
    at = mark.x - 9 if mark.to_left else max(mark.end, mark.x + 6 if kind == k.POST else mark.x) + 9
    anchor = ' text-anchor="end"' if mark.to_left else ""
    title = escape(f"{mark.number}. {clock(mark.moment.at_us)} {mark.moment.source}: {mark.moment.what}")
    return f'<g><title>{title}</title>{shape}<text x="{at:.1f}" y="{y + 4}"{anchor}>{escape(mark.label)}</text></g>'


def _axis_marks(axis: Axis, moments: list[Moment], bottom: int) -> str:
    """Draw times over the lanes where there is room, and where time was cut out."""
    parts, last = [], float("-inf")
    for moment in moments:
        x = axis.x(moment.true_us)
        if x - last > 108 and x < _WIDTH - 60:
            parts.append(f'<line class="tick" x1="{x}" y1="24" x2="{x}" y2="{bottom}"/>')
            parts.append(f'<text class="time" x="{x + 2}" y="18">{clock(moment.true_us)}</text>')
            last = x
    for before, after, gap in axis.breaks:
        left, right = axis.x(before), axis.x(after)
        middle = (left + right) / 2
        parts.append(f'<line class="break" x1="{middle}" y1="24" x2="{middle}" y2="{bottom}"/>')
        parts.append(f'<text class="gap" x="{middle}" y="{bottom + 9}">{seconds(gap // 1000000 * 1000000)}</text>')
    return "".join(parts)


def _bracket(marks: list[_Mark], y: int) -> str:
    """Join the effects that should have been one."""
    left, right = min(m.x for m in marks), max(m.x for m in marks)
    return (
        f'<path class="bracket" d="M{left} {y - 5}v6H{right}v-6"/>'
        f'<text class="bracketed" x="{(left + right) / 2:.1f}" y="{y - 5}">{len(marks)} effects, one wanted</text>'
    )
