"""Finds runs that stand still, effects without a living run, and successes without their effect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from app.incidents import records as k
from app.incidents.answer import Finding
from app.incidents.matching import Matcher
from app.incidents.model import (
    FEW,
    SECOND,
    Effect,
    Post,
    Run,
    Survey,
    about_the_same,
    only_reads,
    sounds_like_an_effect,
)
from app.incidents.records import Record, effect_words
from app.incidents.steps import clock

_EDGE_US: Final = 60 * SECOND
_SOON_US: Final = 10 * SECOND
"""A submit follows its result sooner than this."""


def stalled(run: Run, survey: Survey, matcher: Matcher) -> Iterator[Finding]:
    """Yield where a run stands still at `requires_action`; one that ended says why it expired, or nothing."""
    statuses = sorted(run.of(k.STATUS), key=lambda r: r.at)
    current = [r for r in statuses if r.status != "expired"] if _expired_idle(run) else statuses
    if run.status in k.TERMINAL and not _expired_idle(run):
        return
    last = current[-1] if current else None
    sent = max((r.at for r in run.of(k.DISPATCH)), default=0)
    if last is not None and last.status != "requires_action":
        if sent <= last.at or last.status in k.TERMINAL or run.of(k.SUBMIT):
            yield from _unsubmitted(run, last, survey, matcher)
            return
        last = None
    if last is None and not run.of(k.DISPATCH):
        yield from _unsubmitted(run, None, survey, matcher)
        return
    yield from _stalled_calls(run, last.at if last else sent, survey, matcher)


def _unsubmitted(run: Run, last: Record | None, survey: Survey, matcher: Matcher) -> Iterator[Finding]:
    """Yield the calls that a submitter alone shows to stand still, unless a later status shows that the run went on."""
    if run.status in k.TERMINAL:
        return
    calls: list[str | None] = [*run.calls()] or [None]
    for call in calls:
        shown = run.of(k.SUBMIT_FAILED, call)
        shown += [r for r in run.of(k.NORMALIZE, call) if survey.reach.get(r.source, 0) - r.at > _SOON_US]
        at = max((matcher.true(r.source, r.at) for r in shown), default=None)
        if at is not None and (last is None or at > matcher.true(last.source, last.at)):
            found = _stalled_call(run, call, survey, matcher)
            if found is not None:
                yield found


def _expired_idle(run: Run) -> bool:
    """Tell whether a run expired with no effect to show for it: then standing still is what ended it."""
    return run.status == "expired" and not any(p.effects for p in run.posts)


def _stalled_calls(run: Run, since: int, survey: Survey, matcher: Matcher) -> Iterator[Finding]:
    rounds = sorted((r for r in run.of(k.STATUS) if r.status == "requires_action"), key=lambda r: r.at)
    dispatched = [r for r in run.of(k.DISPATCH) if r.at >= since - SECOND or len(rounds) <= 1]
    posts = [p for p in run.posts if p.rec.at >= since - 10 * SECOND or len(rounds) <= 1]
    calls = list(dict.fromkeys([r.call for r in dispatched] + [p.call for p in posts]))
    wanted = _tool_calls(rounds[-1]) if rounds else None
    if not calls:
        yield Finding("stalled", run.id, None, since, "requires_action, and no tool was dispatched.")
        return
    found = [f for call in calls if (f := _stalled_call(run, call, survey, matcher)) is not None]
    yield from found
    if wanted is not None and len(calls) < wanted:
        because = f"requires_action with {wanted} tool calls, of which {len(calls)} dispatched."
        yield Finding("stalled", run.id, None, since, because)


def _tool_calls(record: Record) -> int | None:
    """Return how many calls a `requires_action` line asks for."""
    for word in (record.detail or "").split():
        if word.startswith("tool_calls=") and word[11:].isdecimal():
            return int(word[11:])
    return None


def _since_dispatch(run: Run, kind: str, call: str | None, matcher: Matcher) -> list[Record]:
    """Return a call's records of one kind; where a run has several calls, those of no call only after its dispatch."""
    sent = [matcher.true(r.source, r.at) for r in run.of(k.DISPATCH, call) if r.call is not None]
    if call is None or not sent or len(run.calls()) < 2:
        return run.of(kind, call)
    return [r for r in run.of(kind, call) if r.call is not None or matcher.true(r.source, r.at) >= min(sent)]


def _stalled_call(run: Run, call: str | None, survey: Survey, matcher: Matcher) -> Finding | None:
    """Return at which step a call of a waiting run stopped, or None when its output was accepted."""
    last = {kind: max((r.at for r in _since_dispatch(run, kind, call, matcher)), default=None) for kind in
            (k.DISPATCH, k.NORMALIZE, k.SUBMIT, k.SUBMIT_FAILED)}  # fmt: skip
    refused, submitted = last[k.SUBMIT_FAILED], last[k.SUBMIT]
    if submitted is not None and (refused is None or submitted > refused):
        return None
    if refused is not None:
        reason = next(r for r in run.of(k.SUBMIT_FAILED, call) if r.at == refused)
        return Finding("stalled", run.id, call, refused, f"The submit was refused: {k.what(reason)}.")
    done = last[k.NORMALIZE]
    answered = [p for p in run.posts if p.call == call and (p.outcome == "answered" or p.effects)]
    if done is not None or answered:
        at = done if done is not None else max(p.end for p in answered)
        how = "its result was normalized" if done is not None else f"the gateway logs {answered[-1].rec.status}"
        known = done is not None or survey.has("submitter")
        what = "but nothing was submitted" if known else "and no submitter log is here that shows a submit"
        what += "" if survey.has("coordinator") else "; no coordinator log shows whether the run ended"
        return Finding("stalled", run.id, call, at, f"The tool completed ({how}), {what}.")
    posts = [p for p in run.posts if p.call == call]
    sent = last[k.DISPATCH]
    begun = sent if sent is not None else max((p.rec.at for p in posts), default=run.last)
    seen = f"the gateway logs {', '.join(str(p.rec.status or 'no status') for p in posts)}" if posts else "no request"
    seen = seen if posts or survey.has("gateway") else "no gateway log is here"
    return Finding("stalled", run.id, call, begun, f"Dispatched without a completion: {seen}.")


def orphans(run: Run, survey: Survey) -> Iterator[Finding]:
    """Yield the effects of a run that failed, expired or was cancelled, or that no coordinator log knows."""
    because = None
    if run.status in k.ENDED_BADLY:
        because = f"the run ended as {run.status}"
    elif not _known(run, survey) and _coordinator_covers(run, survey):
        because = "no coordinator log knows the run, though they cover that time"
    if because is None:
        return
    for post in run.posts:
        for effect in post.effects:
            yield orphan(effect, run.id, post.call, because)


def orphan(effect: Effect, run_id: str | None, call: str | None, because: str) -> Finding:
    """Return the finding for one effect."""
    what = "A request was answered as if it had its effect" if effect.supposed else f"{effect.rec.detail} exists"
    return Finding("orphan_effect", run_id, call, effect.rec.at, f"{what}, but {because}.")


def _known(run: Run, survey: Survey) -> bool:
    return any(survey.sources[r.source].name == "coordinator" or r.kind in (k.STATUS, k.CREATE) for r in run.records)


def _coordinator_covers(run: Run, survey: Survey) -> bool:
    covered = survey.coordinator
    at = min((p.rec.at for p in run.posts), default=None)
    return (
        covered is not None and at is not None and covered.first - 10 * _EDGE_US <= at <= covered.last + 10 * _EDGE_US
    )


class Missing:
    """Finds successes without an effect, in audit trails that cover them."""

    def __init__(self, survey: Survey, matcher: Matcher) -> None:
        """Take what the trails cover."""
        self._survey, self._matcher = survey, matcher
        self._empty_only = survey.has("audit") and not survey.kinds

    def of(self, run: Run) -> Iterator[Finding]:
        """Yield the calls of a completed run whose tool succeeded and whose effect is nowhere."""
        if run.status not in k.ENDED_WELL:
            return
        calls: list[str | None] = [*run.calls()] or [None]
        for call in calls:
            posts = [p for p in run.posts if p.call == call]
            if any(p.effects for p in posts):
                continue
            answered = [p for p in posts if p.outcome == "answered" and not p.pseudo]
            failed = any(p.outcome in ("failed", "refused") for p in posts)  # then it is the error that was normalized
            normal = [] if failed else run.of(k.NORMALIZE, call)
            tool = next((p.tool for p in posts if p.tool), None)
            tool = tool or next((r.tool for r in run.of(k.DISPATCH, call) if r.tool), None)
            if (answered or normal) and tool is not None and self._covered(tool, self._when(answered, normal)):
                yield self._finding(run, call, answered, normal)

    def _when(self, answered: list[Post], normal: list[Record]) -> int:
        """Return the corrected moment at which the effect should be there."""
        if answered:
            return self._matcher.end(answered[-1])
        return self._matcher.true(normal[0].source, normal[0].at)

    def _finding(self, run: Run, call: str | None, answered: list[Post], normal: list[Record]) -> Finding:
        at = answered[-1].rec.at if answered else normal[0].at
        how = f"the tool answered {answered[-1].rec.status}" if answered else "a result was normalized"
        which = "the audit trail is empty" if self._empty_only else "the audit trail, which covers it, shows no effect"
        return Finding("missing_effect", run.id, call, at, f"The run completed, {how} ({clock(at)}), but {which}.")

    def _covered(self, tool: str, at: int) -> bool:
        """Tell whether the audit trails reach that far for that tool, with no unread entry that may be it."""
        if only_reads(tool):
            return False
        if self._empty_only:
            return True
        kinds = self._survey.kinds
        fitting = {kind: c for kind, c in kinds.items() if self._makes(tool, kind)}
        if not fitting and len(kinds) > 1 and self._survey.tools[tool] <= FEW and sounds_like_an_effect(tool):
            fitting = kinds  # a trail of several kinds of effect is taken to be one of all
        if not fitting:
            return False
        first = min(self._true(c.first) for c in fitting.values())
        last = max(self._true(c.last) for c in fitting.values())
        count = sum(c.count for c in fitting.values())
        edge = min(max(_EDGE_US, 2 * (last - first) // max(count, 1)), 600 * SECOND)
        if not first - edge <= at <= last + edge:
            return False
        audits = [s for s in self._survey.sources if s.name == "audit"]
        return not any(abs(self._true(near) - at) < _EDGE_US for s in audits for near in s.unread_at)

    def _makes(self, tool: str, kind: str) -> bool:
        return about_the_same(tool, kind) or kind in self._matcher.learnt.get(tool, ())

    def _true(self, at: int) -> int:
        audit = next((i for i, s in enumerate(self._survey.sources) if s.name == "audit"), None)
        return at if audit is None else self._matcher.true(audit, at)


def runless(posts: Iterable[Post], survey: Survey) -> Iterator[Finding]:
    """Yield the effects of requests whose ids lead to no run, though coordinator logs cover their time."""
    covered = survey.coordinator
    if covered is None:
        return
    for post in posts:
        inside = covered.first - 10 * _EDGE_US <= post.rec.at <= covered.last + 10 * _EDGE_US
        if post.run is None and inside and (post.corr or post.thread):
            for effect in post.effects:
                yield orphan(effect, None, post.call, "no coordinator log knows the run of its request")


def homeless(effects: list[Effect], survey: Survey, matcher: Matcher) -> Iterator[Finding]:
    """Yield the effects that fit no request although gateway logs cover their time."""
    covered = survey.gateway
    if covered is None or not survey.has("gateway"):
        return
    for effect in effects:
        source = effect_words(effect.rec)[2].lower()
        inside = covered.first - 10 * SECOND <= matcher.at(effect) <= covered.last + _EDGE_US
        if inside and effect.rec.run is None and (not source or "gateway" in source or "agent" in source):
            yield orphan(effect, None, None, "no logged request or dispatch can have made it: its run is unknown")
