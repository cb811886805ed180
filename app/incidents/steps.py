"""Decides of two requests of one tool call whether the second is a transport retry of the first or a new dispatch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from app.incidents import records as k
from app.incidents.answer import Cause, Confidence
from app.incidents.joining import own_dispatches
from app.incidents.matching import Matcher
from app.incidents.model import SECOND, Post, Run, Survey
from app.incidents.records import Record, seconds
from app.incidents.times import iso

_MOMENTS_US: Final = 12 * SECOND
_SLOW_US: Final = 60 * SECOND
_ROUNDING_US: Final = 150_000


@dataclass(frozen=True, slots=True)
class Step:
    """What one request is to the one before it, how sure, why, and why it is not the other thing."""

    cause: Cause
    confidence: Confidence
    because: str


def clock(at_us: int) -> str:
    """Write a time of day as the logs do: ``10:16:07.982``."""
    return iso(at_us).rpartition("T")[2][:-1]


def unread_near(survey: Survey, name: str, posts: list[Post]) -> bool:
    """Tell whether a source has unread lines from within a minute of the requests, or from nobody knows when."""
    first = min(post.rec.at for post in posts) - _SLOW_US
    last = max(post.end for post in posts) + _SLOW_US
    for source in survey.sources:
        if source.name == name and source.unread:
            known = len(source.unread_at) == source.unread
            if not known or any(first <= at <= last for at in source.unread_at):
                return True
    return False


class CallFacts:
    """What coordinator and submitter say of one call, and which request carries which dispatch."""

    def __init__(self, run: Run | None, call: str | None, posts: list[Post], matcher: Matcher, survey: Survey) -> None:
        """Gather it; `posts` are the requests of the call in order of corrected start."""
        self.matcher, self.survey, self.posts = matcher, survey, posts
        self.dispatches: list[Record] = sorted(run.of(k.DISPATCH, call), key=self._true) if run else []
        self.normal: list[Record] = sorted(run.of(k.NORMALIZE, call), key=self._true) if run else []
        self.submits: list[Record] = sorted(run.of(k.SUBMIT, call), key=self._true) if run else []
        self.dropped: list[Record] = sorted(run.of(k.DUPLICATE_EVENT, call), key=self._true) if run else []
        self.own = own_dispatches(self.dispatches, posts, matcher)

    def _true(self, record: Record) -> int:
        return self.matcher.true(record.source, record.at)

    def received(self, before: Post) -> tuple[Record | None, Record | None]:
        """Return the result and its submission that the caller had while this request had no answer yet."""
        limit = self.matcher.end(before) if before.rec.duration >= 0 else self.matcher.start(before)
        normal = next((r for r in self.normal if self._true(r) <= limit), None)
        submit = next((r for r in self.submits if self._true(r) <= limit), None)
        return normal, submit

    def dispatched_once(self) -> bool:
        """Tell whether the coordinator's logs, all lines read, show exactly one dispatch of the call."""
        whole = not self.survey.gaps["coordinator"] and not unread_near(self.survey, "coordinator", self.posts)
        return len(self.dispatches) == 1 and whole


def step(facts: CallFacts, position: int) -> Step:
    """Return what the request at `position` is to the one before it."""
    first, second = facts.posts[position - 1], facts.posts[position]
    found = _by_marks(facts, first, second, position) or _by_outcome(facts, first, second)
    if (first.by_time or second.by_time) and found.confidence is Confidence.HIGH:
        return Step(found.cause, Confidence.MEDIUM, found.because)
    return found


def _counted_on(first: Post, second: Post) -> bool | None:
    """Tell whether the attempt header counts on from the first; None where it says nothing."""
    if second.rec.attempt is None:
        return None
    return second.rec.attempt > (first.rec.attempt if first.rec.attempt is not None else 1)


def _by_marks(facts: CallFacts, first: Post, second: Post, position: int) -> Step | None:
    """Decide by what the requests carry: a dispatch each, or dispatch ids."""
    one, other = first.rec.extra, second.rec.extra
    if one and other and not (first.pseudo or second.pseudo):
        if one != other:
            return Step(
                Cause.REDISPATCH, Confidence.HIGH, f"the requests carry different dispatches, {one} and {other}"
            )
        if first.outcome != "answered":
            return Step(Cause.GATEWAY_RETRY, Confidence.HIGH, f"both requests carry the dispatch {one}")
    if len(facts.dispatches) >= 2 and position in facts.own and position - 1 in facts.own:
        lines = " and ".join(clock(facts.own[i].at) for i in (position - 1, position))
        because = f"the coordinator logs two dispatches of the call ({lines}), one before each request"
        sure = not (_counted_on(first, second) and first.outcome == "failed")
        if second.pseudo or first.pseudo:
            sure = False
        return Step(Cause.REDISPATCH, Confidence.HIGH if sure else Confidence.MEDIUM, because)
    if len(facts.dispatches) == 1 and not (first.pseudo or second.pseudo):
        only = facts.dispatches[0]
        at, start = facts.matcher.true(only.source, only.at), facts.matcher.start(second)
        known = (only.source, second.rec.source) in facts.matcher.supported
        if known and at > facts.matcher.start(first) + SECOND and 0 <= start + SECOND // 2 - at <= _MOMENTS_US:
            because = (
                f"the one logged dispatch ({clock(only.at)}) comes after the first POST and just before the second"
            )
            return Step(Cause.REDISPATCH, Confidence.MEDIUM, because)
    return None


def _by_outcome(facts: CallFacts, first: Post, second: Post) -> Step:
    """Decide by what became of the first request, and when the second began."""
    if first.pseudo or second.pseudo:
        normal, _ = facts.received(second)
        if normal is not None and facts.matcher.true(normal.source, normal.at) <= facts.matcher.start(second):
            because = f"the result of the call was normalized ({clock(normal.at)}) before the second POST began"
            return Step(Cause.REDISPATCH, Confidence.MEDIUM, because)
        return Step(Cause.UNKNOWN, Confidence.LOW, "the gateway log does not show all requests of the call")
    match first.outcome:
        case "answered" | "refused":
            return _after_answer(facts, first, second)
        case "failed":
            return _after_failure(facts, first, second)
    if _counted_on(first, second):
        return Step(Cause.GATEWAY_RETRY, Confidence.MEDIUM, f"the second request says attempt={second.rec.attempt}")
    normal, _ = facts.received(second)
    if normal is not None and facts.matcher.true(normal.source, normal.at) <= facts.matcher.start(second):
        because = f"the result of the first was normalized ({clock(normal.at)}) before the second began"
        return Step(Cause.REDISPATCH, Confidence.MEDIUM, because)
    return Step(Cause.UNKNOWN, Confidence.LOW, "what became of the first request cannot be read")


def _overlap_us(facts: CallFacts, first: Post, second: Post) -> int:
    """Return for how long the first was still running when the second began; between two clocks, less their doubt."""
    over = facts.matcher.end(first) - facts.matcher.start(second)
    return over - (0 if first.rec.source == second.rec.source else 2 * SECOND)


def _after_answer(facts: CallFacts, first: Post, second: Post) -> Step:
    status, start = first.rec.status, clock(second.rec.at)
    normal, submit = facts.received(second)
    if _overlap_us(facts, first, second) > _ROUNDING_US:
        because = f"the second POST ({start}) began while the first was still running, which then answered {status}"
        proved = True
    else:
        because = f"the second POST ({start}) started after the first had answered {status} ({clock(first.end)})"
        proved = normal is not None or submit is not None
    if normal is not None:
        because += f"; its result had been normalized ({clock(normal.at)})"
        because += f" and submitted ({clock(submit.at)})" if submit is not None else ""
    sure = proved and not _counted_on(first, second) and first.outcome == "answered"
    return Step(Cause.REDISPATCH, Confidence.HIGH if sure else Confidence.MEDIUM, because)


def _after_failure(facts: CallFacts, first: Post, second: Post) -> Step:
    status = first.rec.status or "-"
    counted = _counted_on(first, second)
    if counted is False and first.rec.attempt is not None:
        because = f"the second POST says attempt={second.rec.attempt} again: a transport retry would have counted on"
        return Step(Cause.REDISPATCH, Confidence.MEDIUM, because)
    over = _overlap_us(facts, first, second)
    if over > 3 * _ROUNDING_US and not counted:
        because = f"the second POST began {seconds(over)} before the first ended ({status}): it is no retry of it"
        return Step(Cause.REDISPATCH, Confidence.HIGH if over > SECOND else Confidence.MEDIUM, because)
    after = max(-over, 0)
    because = (
        f"the first POST ended without an answer that counts ({status}), the second followed {seconds(after)} later"
    )
    if counted:
        because += f" with attempt={second.rec.attempt}"
    if counted:
        return Step(Cause.GATEWAY_RETRY, Confidence.HIGH, because)
    sure = Confidence.MEDIUM if after <= _SLOW_US else Confidence.LOW
    return Step(Cause.GATEWAY_RETRY, sure, because)
