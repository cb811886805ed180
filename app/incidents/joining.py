"""Joins what the sweep kept: the parts of a run, dispatches to requests, effects without fingerprints to requests."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import pairwise
from typing import Final

from app.incidents import records as k
from app.incidents.agreeing import agreeing
from app.incidents.kept import Kept
from app.incidents.matching import IMPOSSIBLE, Matcher, cheapest
from app.incidents.model import SECOND, Effect, Post, Run, only_reads
from app.incidents.records import NO_ANSWER, Record

_APART_US: Final = 75 * SECOND
_FAR_US: Final = 12 * SECOND
"""A dispatch and its request are moments apart, however wrong the clocks."""
_MANY: Final = 60
_NEAR_A_DISPATCH_S: Final = 11.0
"""5 for want of an outcome, 6 for clocks that nothing compares."""
_LAST_S: Final = 30.0
_ELSEWHERE_S: Final = 3.0


def merge_runs(parts: list[Run]) -> Run:
    """Return one run made of the parts that the sweep closed at different times."""
    if len(parts) == 1:
        return parts[0]
    whole = Run(parts[0].id)
    for part in parts:
        whole.thread = whole.thread or part.thread
        whole.corr = whole.corr or part.corr
        whole.records += part.records
        whole.posts += part.posts
        whole.status = part.status if part.status else whole.status
        for post in part.posts:
            post.run = whole
    return whole


def mend_calls(run: Run) -> None:
    """Complete call ids that a cut line cut, and name the call of requests whose header is missing."""
    counts: dict[str, int] = {}
    for call in [r.call for r in run.records] + [p.call for p in run.posts]:
        if call is not None:
            counts[call] = counts.get(call, 0) + 1
    whole = {}
    for call, count in counts.items():
        longer = [other for other in counts if other != call and other.startswith(call)]
        if count == 1 and len(longer) == 1 and counts[longer[0]] > 1:
            whole[call] = longer[0]
    if whole:
        run.records = [r._replace(call=whole[r.call]) if r.call in whole else r for r in run.records]
        for post in run.posts:
            post.call = whole.get(post.call or "", post.call)
    calls = run.calls()
    if len(calls) == 1:
        run.records = [r._replace(call=calls[0]) if r.kind == k.DISPATCH else r for r in run.records]
    for post in run.posts:
        if post.call is None:
            post.call = _call_by_dispatch(run, post)


def _call_by_dispatch(run: Run, post: Post) -> str | None:
    """Return the only call of the run, or that of the last dispatch before the request that no other answers."""
    calls = run.calls()
    if len(calls) <= 1:
        return calls[0] if calls else None
    taken = {p.call for p in run.posts}
    free = [r for r in run.of(k.DISPATCH) if r.call not in taken and r.tool in (post.tool, None)]
    if not free:
        return None
    return min(free, key=lambda r: abs(post.rec.at - r.at)).call


def pseudo_posts(run: Run, matcher: Matcher) -> list[Post]:
    """Return a stand-in for each dispatch of the run for which no gateway log shows a request."""
    made: list[Post] = []
    for call in dict.fromkeys(r.call for r in run.of(k.DISPATCH)):
        posts = sorted((p for p in run.posts if call in (p.call, None)), key=matcher.start)
        dispatches = sorted((r for r in run.of(k.DISPATCH) if call in (r.call, None)), key=lambda r: r.at)
        for record in unanswered(dispatches, posts, matcher):
            if only_reads(record.tool):
                continue
            post = Post(record._replace(status=None), pseudo=True)
            post.run, post.call = run, call
            normal = min((matcher.true(r.source, r.at) for r in run.of(k.NORMALIZE, call)), default=None)
            post.end = record.at + 12 * SECOND
            if normal is not None and not posts:
                post.answered_by = normal + matcher.offsets[record.source]
                post.end = max(post.answered_by, record.at)
            sibling = next((p for p in posts if p.fingerprint), None)
            post.fingerprint = post.fingerprint or (sibling.fingerprint if sibling else None)
            made.append(post)
    return made


def own_dispatches(dispatches: list[Record], posts: list[Post], matcher: Matcher) -> dict[int, Record]:
    """Return for the positions of requests the dispatch that each carries; both in the order of time."""
    if len(dispatches) >= len(posts):
        spare = len(dispatches) - len(posts)
        return {i: dispatches[i + (spare if i and spare else 0)] for i in range(len(posts))}
    chosen: dict[int, Record] = {}
    for record in dispatches:
        at = matcher.true(record.source, record.at)
        free = [i for i in range(len(posts)) if i not in chosen and matcher.start(posts[i]) >= at - SECOND // 2]
        if free:
            chosen[free[0]] = record
    return chosen


def unanswered(dispatches: list[Record], posts: list[Post], matcher: Matcher) -> list[Record]:
    """Return the dispatches that have no request of their own, by count and by time."""
    spare = len(dispatches) - len(posts)
    if not posts:
        return dispatches

    def distance(record: Record) -> int:
        at = matcher.true(record.source, record.at)
        return min(abs(matcher.start(post) - at) for post in posts)

    if spare <= 0:
        return [record for record in dispatches if distance(record) > _FAR_US]
    return sorted(sorted(dispatches, key=distance)[-spare:], key=lambda r: r.at)


def place_effects(effects: list[Effect], posts: list[Post], matcher: Matcher) -> list[Effect]:
    """Give effects that no fingerprint placed to requests that have none; return those that nothing takes."""
    left: list[Effect] = []
    for some_effects, some_posts in _chunks(effects, posts, matcher):
        if len(some_effects) <= _MANY and len(some_posts) <= _MANY:
            left += _assign_few(some_effects, some_posts, matcher)
        else:
            left += _assign_many(some_effects, some_posts, matcher)
    for effect in left:
        if effect.fallback is not None:
            matcher.link(effect, effect.fallback)
    return [effect for effect in left if effect.post is None]


def _cost(effect: Effect, post: Post, matcher: Matcher) -> float:
    """Return the cost of giving an effect a request; one that fits a known request goes to a stranger's only
    when that fits better."""
    cost, back = matcher.cost(effect, post), effect.fallback
    if post.pseudo and cost > _NEAR_A_DISPATCH_S:
        return IMPOSSIBLE
    cost += _LAST_S if effect.repeat else 0.0
    if back is None or back is post or cost >= IMPOSSIBLE:
        return cost
    kin = back.run is not None and back.run is post.run
    if kin or (back.thread is not None and back.thread == post.thread):
        return cost
    if post.pseudo and post.answered_by is not None and matcher.at(effect) <= matcher.end(post) + SECOND:
        return cost  # its result was normalized, so it had an effect, and no request shows another
    if back.effects and _within(effect, post, matcher) and not _within(effect, back, matcher):
        return cost  # it happened while this request ran, and the other, which did not run then, has an effect
    return cost if cost + _ELSEWHERE_S < matcher.cost(effect, back) else IMPOSSIBLE


def _within(effect: Effect, post: Post, matcher: Matcher) -> bool:
    """Tell whether an effect happened while a logged request ran; one of unknown end may have run for a while."""
    lasted = _FAR_US if post.rec.duration == NO_ANSWER else post.rounding_us
    return not post.pseudo and matcher.start(post) <= matcher.at(effect) <= matcher.end(post) + lasted


def _assign_few(effects: list[Effect], posts: list[Post], matcher: Matcher) -> list[Effect]:
    costs = [[_cost(effect, post, matcher) for post in posts] for effect in effects]
    chosen = [(r, c) for r, c in cheapest(costs, len(posts)).items() if costs[r][c] < IMPOSSIBLE]
    _give_all([(effects[row], posts[column]) for row, column in chosen], matcher)
    return [effect for effect in effects if effect.post is None]


def _assign_many(effects: list[Effect], posts: list[Post], matcher: Matcher) -> list[Effect]:
    ordered = sorted(posts, key=matcher.start)
    starts = [matcher.start(post) for post in ordered]
    pairs = []
    for effect in effects:
        at = matcher.at(effect)
        for position in range(bisect_left(starts, at - _APART_US), bisect_left(starts, at + 11 * SECOND)):
            cost = _cost(effect, ordered[position], matcher)
            if cost < IMPOSSIBLE:
                pairs.append((cost, at, starts[position], effect, ordered[position]))
    return _cheapest_first(effects, pairs, matcher)


def _cheapest_first(
    effects: list[Effect], pairs: list[tuple[float, int, int, Effect, Post]], matcher: Matcher
) -> list[Effect]:
    taken: set[int] = set()
    chosen = []
    for _, _, _, effect, post in sorted(pairs, key=lambda pair: pair[:3]):
        if id(effect) not in taken and id(post) not in taken:
            taken |= {id(effect), id(post)}
            chosen.append((effect, post))
    _give_all(chosen, matcher)
    return [effect for effect in effects if effect.post is None]


def _give_all(pairs: list[tuple[Effect, Post]], matcher: Matcher) -> None:
    for effect, post in agreeing(pairs, matcher, _cost):
        matcher.link(effect, post)
        post.fingerprint = post.fingerprint or effect.rec.fingerprint


def part_repeats(post: Post, kept: Kept) -> Iterable[Post]:
    """Yield requests that equal lines of the log tell of, given the effects that are one too many for the first.

    Two files may hold equal lines, and one file whose times are whole seconds; a file given twice says nothing new.
    """
    for record in post.repeats:
        if len(post.effects) < 2 or kept.copies(record.source, post.rec.source):
            continue
        post.doubled = True
        if record.source == post.rec.source and record.at % SECOND:
            continue
        other = Post(record)
        other.run, other.call, other.fingerprint = post.run, post.call, post.fingerprint
        effect = max(post.effects, key=kept.matcher.at)
        post.effects.remove(effect)
        kept.matcher.link(effect, other)
        if other.run is not None:
            other.run.posts.append(other)
        yield other


def _chunks(effects: list[Effect], posts: list[Post], matcher: Matcher) -> Iterable[tuple[list[Effect], list[Post]]]:
    """Split both where nothing happens for longer than an effect may be from its request."""
    items: list[tuple[int, int, Effect | Post]] = [(matcher.at(e), 0, e) for e in effects]
    items += [(matcher.start(p), 1, p) for p in posts]
    items.sort(key=lambda item: item[:2])
    cuts = [0] + [i for i, (a, b) in enumerate(pairwise(items), 1) if b[0] - a[0] > _APART_US] + [len(items)]
    for start, end in pairwise(cuts):
        part = [item[2] for item in items[start:end]]
        some = [thing for thing in part if isinstance(thing, Effect)]
        if some:
            yield some, [thing for thing in part if isinstance(thing, Post)]
