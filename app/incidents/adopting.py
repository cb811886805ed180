"""Finds the run of requests whose ids are cut or missing: by what is left of an id, by dispatch and time, by effect."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from app.incidents.kept import Kept
from app.incidents.matching import Matcher
from app.incidents.model import SECOND, SKEW_US, Post, Run
from app.incidents.records import same_fingerprint

_NO_ID: Final = re.compile(r"[A-Za-z]*[_-]?")
"""What is left of an id when only its kind is: ``run_``."""


class CutIds:
    """The ids of the runs that coordinators and submitters name, to be found by their beginnings."""

    def __init__(self, runs: Iterable[Run]) -> None:
        """Sort the ids of the runs that any record names."""
        self._named = {run.id: run for run in runs if run.records}
        owned = [("run", run.id, run.id) for run in self._named.values()]
        owned += [("thread", run.thread, run.id) for run in self._named.values() if run.thread]
        owned += [("corr", run.corr, run.id) for run in self._named.values() if run.corr]
        self._sorted = sorted(owned)

    def run_of(self, post: Post) -> Run | None:
        """Return the only run whose ids begin with all that is left of a request's, and that was there then."""
        if post.run is not None and (post.run.records or len(post.run.posts) > 1):
            return None
        rec, fitting = post.rec, None
        for name, left in (("run", rec.run), ("thread", rec.thread), ("corr", rec.corr)):
            if left is not None:
                found = self._beginning(name, left)
                fitting = found if fitting is None else fitting & found
        there = [run for run in map(self._named.__getitem__, fitting or ()) if _there(run, post)]
        return there[0] if len(there) == 1 else None

    def _beginning(self, name: str, left: str) -> set[str]:
        """Return the runs with an id that begins so; none where too little is left, or where more than a few do."""
        found: set[str] = set()
        if _NO_ID.fullmatch(left):
            return found
        position = bisect_left(self._sorted, (name, left, ""))
        for kind, whole, run_id in self._sorted[position : position + 100]:
            if kind != name or not whole.startswith(left):
                break
            found.add(run_id)
        return found


def _there(run: Run, post: Post) -> bool:
    first, last = min(r.at for r in run.records), max(r.at for r in run.records)
    return first - SKEW_US <= post.rec.at <= last + SKEW_US


def join_cut(runs: dict[str, Run], posts: Iterable[Post]) -> None:
    """Give requests whose ids a cut line cut to the run that these ids begin."""
    known = CutIds(runs.values())
    for post in posts:
        run = known.run_of(post)
        if run is None or run is post.run:
            continue
        if post.run is not None:
            runs.pop(post.run.id, None)
        post.run, post.by_time = run, True
        run.posts.append(post)


def _nameless(post: Post) -> bool:
    return post.run is None and post.thread is None and post.corr is None


def adopt_nameless(kept: Kept, pseudo: list[Post]) -> None:
    """Give requests without any id to a dispatch that waits for one, else to the one owner of equal requests."""
    for cluster in kept.clusters:
        for post in filter(_nameless, cluster.posts):
            _adopt(kept.matcher, post, cluster.posts, pseudo)
    for post in sorted(filter(_nameless, kept.loose_posts), key=kept.matcher.start):
        _adopt(kept.matcher, post, [], pseudo)


def _adopt(matcher: Matcher, post: Post, equals: Sequence[Post], pseudo: list[Post]) -> None:
    start = matcher.start(post)
    waiting = [
        p for p in pseudo
        if p.run and (p.tool in (post.tool, None) or post.tool is None)
        and -2 * SECOND <= start - matcher.start(p) <= 30 * SECOND
        and (p.fingerprint is None or post.fingerprint is None or same_fingerprint(p.fingerprint, post.fingerprint))
    ]  # fmt: skip
    if post.call is not None:
        waiting = [p for p in waiting if p.call == post.call]
    if waiting:
        best = min(waiting, key=lambda p: abs(start - matcher.start(p)))
        pseudo.remove(best)
        _join(post, best)
    else:
        _join_owner(post, [p for p in equals if p.run and same_fingerprint(p.fingerprint, post.fingerprint)])


def _join_owner(post: Post, same: list[Post]) -> None:
    """Give a request to the run of its equals, where these are of one run, and to their call, where that is one."""
    if len({p.run.id for p in same if p.run}) == 1:
        _join(post, same[0], same[0].call if len({p.call for p in same}) == 1 else None)


def _join(post: Post, kin: Post, call: str | None = None) -> None:
    post.run, post.call, post.by_time = kin.run, post.call or call or kin.call, True
    if post.run is not None:
        post.run.posts.append(post)


def adopt_by_effect(kept: Kept, runs: Iterable[Run], window_us: int) -> None:
    """Give requests without any id or hash to the one call, near in time, whose requests or effects equal theirs."""
    made = [post for post in filter(_nameless, kept.loose_posts) if post.effects and post.fingerprint]
    if not made:
        return
    named = [post for run in runs for post in run.posts if post.fingerprint]
    start = kept.matcher.start
    for post in made:
        near = [p for p in named if abs(start(p) - start(post)) <= window_us]
        same = [p for p in near if same_fingerprint(p.fingerprint, post.fingerprint)]
        if len({(p.run.id, p.call) for p in same if p.run}) == 1:
            _join_owner(post, same)
