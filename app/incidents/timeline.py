"""Lists what the sources say of a case, in the order in which it happened."""

from __future__ import annotations

from typing import Final

from app.incidents import records as k
from app.incidents.answer import Moment
from app.incidents.duplicates import Case
from app.incidents.kept import Kept
from app.incidents.model import SECOND
from app.incidents.records import Record, what

_AROUND_US: Final = 60 * SECOND
_LONGEST: Final = 400


def timeline(case: Case, kept: Kept) -> list[Moment]:
    """Return the moments of a case: its runs, its requests, its effects, and what the context says around them."""
    records = [post.rec for post in case.posts if not post.pseudo]
    records += [effect.rec for effect in case.effects if effect.rec.detail is not None]
    calls = set(case.call_ids)
    for run in case.runs:
        records += [r for r in run.records if r.call is None or r.call in calls or not calls]
        records += [p.rec for p in run.posts if not p.pseudo and p.call in calls]
    moments = {(r.source, r.line, r.kind, r.at): _moment(r, kept) for r in records}
    if moments:
        first = min(m.true_us for m in moments.values()) - _AROUND_US
        last = max(m.true_us for m in moments.values()) + _AROUND_US
        for record in kept.context:
            if first <= kept.matcher.true(record.source, record.at) <= last and _concerns(record, case):
                moments[record.source, record.line, record.kind, record.at] = _moment(record, kept)
    return sorted(moments.values(), key=lambda m: (m.true_us, m.source, m.line))[:_LONGEST]


def _moment(record: Record, kept: Kept) -> Moment:
    note = "at-least-once delivery at work, no cause" if record.kind == k.DUPLICATE_EVENT else ""
    name = kept.survey.sources[record.source].name
    return Moment(record.at, kept.matcher.true(record.source, record.at), name, record.line, what(record), note, record)


def _concerns(record: Record, case: Case) -> bool:
    """Tell whether context is of no run in particular, or of one of the case."""
    return (record.run is None or record.run in case.run_ids) and (
        record.thread is None or record.thread in case.thread_ids
    )
