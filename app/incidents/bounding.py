"""What one run shows about the clocks of its sources, and about lines that are missing from them."""

from __future__ import annotations

from app.incidents import records as k
from app.incidents.model import Run, Survey
from app.incidents.offsets import Bounds


def count_gaps(survey: Survey, run: Run) -> None:
    """Count what the run shows to be missing: a request never dispatched, a result never requested."""
    if any(survey.sources[r.source].name == "coordinator" for r in run.records):
        dispatched = {r.call for r in run.records if r.kind == k.DISPATCH}
        lacking = {p.call for p in run.posts if p.call is not None} - dispatched
        survey.gaps["coordinator"] += bool(lacking) and None not in dispatched
    if survey.posts:
        normal = {r.call for r in run.records if r.kind == k.NORMALIZE}
        survey.gaps["gateway"] += len(run.posts) < len(normal)


def bound_run(bounds: Bounds, run: Run) -> None:
    """Bound clocks by what a run shows: dispatch before request, reply before its result, submit before going on."""
    for call in run.calls():
        posts = sorted((p for p in run.posts if p.call == call), key=lambda p: p.rec.at)
        dispatched = min(run.of(k.DISPATCH, call), key=lambda r: r.at, default=None)
        if posts and dispatched is not None:
            bounds.caused(dispatched.source, dispatched.at, posts[0].rec.source, posts[0].rec.at)
        answered = [p for p in posts if p.outcome == "answered" and p.rec.duration >= 0]
        normal = min(run.of(k.NORMALIZE, call), key=lambda r: r.at, default=None)
        if answered and normal is not None:
            first = min(answered, key=lambda p: p.end)
            bounds.caused(first.rec.source, first.end - first.rounding_us, normal.source, normal.at)
    _bound_progress(bounds, run)


def _bound_progress(bounds: Bounds, run: Run) -> None:
    """The run goes on only after its outputs were submitted: each `in_progress` after a `requires_action`."""
    submits = sorted((r for r in run.records if r.kind == k.SUBMIT), key=lambda r: r.at)
    asked = False
    moved = []
    for record in run.records:
        if record.kind == k.STATUS and record.status == "requires_action":
            asked = True
        elif record.kind == k.STATUS and asked and record.status in ("in_progress", "completed"):
            moved.append(record)
            asked = False
    if len(moved) == 1 and submits:
        bounds.caused(submits[0].source, submits[0].at, moved[0].source, moved[0].at)
