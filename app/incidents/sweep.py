"""Goes once through all records in the order of time, joins them, and keeps only what may need explaining.

Memory: runs and requests of the last window, and those kept. A run whose every request had its one effect, and a
request that shares its fingerprint with no other, are dropped as soon as the window has passed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from app.incidents import records as k
from app.incidents.bounding import bound_run, count_gaps
from app.incidents.kept import Cluster, Kept
from app.incidents.matching import Matcher
from app.incidents.model import FEW, SECOND, SKEW_US, Effect, Post, Run, Survey, only_reads
from app.incidents.offsets import Bounds, estimate
from app.incidents.records import Record, same_fingerprint

_TICK: Final = 20_000
_CROWD: Final = 64
_DEFERRED: Final = 4_000
_RESOLVE_AFTER_US: Final = 15 * SECOND


class Sweep:
    """Takes records in the order of time; `finish` returns what it kept."""

    def __init__(self, survey: Survey, window_us: int) -> None:
        """Begin with nothing seen; `survey` is a first look at the same records."""
        self._survey, self._window_us = survey, window_us
        self._keep_us = window_us + 30 * SECOND
        self._names = [source.name for source in survey.sources]
        self.bounds = Bounds()
        self.kept = Kept(survey, Matcher(survey, window_us))
        self._runs: dict[str, Run] = {}
        self._by: dict[tuple[str, str], dict[str, None]] = {}
        self._clusters: dict[str, Cluster] = {}
        self._waiting: deque[Post | Record] = deque()
        self._deferred: list[Cluster] = []
        self._seen_effects: dict[tuple[str, str], int] = {}
        self._until_tick = _TICK
        self._prefix = survey.prefix
        self._unread = any(source.unread_at for source in survey.sources if source.name == "audit")
        self._loose = survey.effects_without_print() > 0
        survey.posts_without_print += survey.short_prints()

    def take(self, records: Iterable[Record]) -> None:
        """Take all records, already sorted."""
        for record in records:
            kind = record.kind
            if kind == k.POST:
                self._post(record)
            elif kind == k.EFFECT:
                self._effect(record)
            elif kind == k.CONTEXT:
                self.kept.context.append(record)
            elif record.run is not None:
                self._into_run(self._run(record.run), record)
            elif record.corr or record.thread or record.call:
                self._waiting.append(record)
            self._until_tick -= 1
            if not self._until_tick:
                self._until_tick = _TICK
                self._tick(record.at)

    def finish(self) -> Kept:
        """Close what is open, estimate the clocks, and return what was kept."""
        self._resolve(None)
        for cluster in self._clusters.values():
            self._close(cluster)
        self._clusters.clear()
        for run in list(self._runs.values()):
            self._close_run(run)
        self._runs.clear()
        self._estimate()
        self._solve_deferred()
        return self.kept

    # Runs

    def _run(self, run_id: str) -> Run:
        run = self._runs.get(run_id)
        if run is None:
            run = self._runs[run_id] = Run(run_id)
        return run

    def _index(self, run: Run, record: Record) -> None:
        """Remember by which other ids this run may be found."""
        if run.thread is None and record.thread is not None:
            run.thread = record.thread
            self._by.setdefault(("thread", record.thread), {})[run.id] = None
        if run.corr is None and record.corr is not None:
            run.corr = record.corr
            self._by.setdefault(("corr", record.corr), {})[run.id] = None

    def _into_run(self, run: Run, record: Record) -> None:
        before = len(run.records) - 1
        while before >= 0 and run.records[before].at == record.at:
            if _equal(run.records[before], record):
                return
            before -= 1
        run.records.append(record)
        run.last = max(run.last, record.at)
        if record.kind == k.STATUS:
            run.status = record.status if run.status not in k.TERMINAL else run.status
        if run.thread is None or run.corr is None:
            self._index(run, record)

    def _find_run(self, record: Record, tool: str | None = None) -> Run | None:
        """Return the run that a record without a run id belongs to: by correlation, call, or thread."""
        named: list[Run] = []
        for key in (("corr", record.corr), ("thread", record.thread)):
            if key[1] is not None and not named:
                named = [self._runs[i] for i in self._by.get((key[0], key[1]), ()) if i in self._runs]
        if not named and record.call is not None and record.corr is None and record.thread is None:
            named = list(self._runs.values()) if len(self._runs) < 5000 else []
        if record.call is not None:
            with_call = [run for run in named if any(r.call == record.call for r in run.records)]
            if len(with_call) == 1:
                return with_call[0]
            named = with_call or (named if record.corr or record.thread else [])
        begun = [run for run in named if run.records and run.records[0].at <= record.at + SKEW_US]
        return min(begun, key=lambda run: _distance(run, record), default=None) if len(named) != 1 else named[0]

    # Requests and effects

    def _post(self, record: Record) -> None:
        if record.fingerprint is not None and len(record.fingerprint) < self._prefix:
            record = record._replace(fingerprint=None)
        self.kept.requests[record.source] += 1
        post = Post(record if record.status is not None else record._replace(tool=None))
        run_id = record.run
        if run_id is None or (run_id not in self._runs and (record.corr or record.thread or record.call)):
            self._waiting.append(post)
            return
        self._attach(post, self._run(run_id))

    def _attach(self, post: Post, run: Run | None) -> None:
        """Put a request into its run and among those of like fingerprint."""
        if run is not None:
            equal = next((p for p in run.posts if p.rec.at == post.rec.at and _equal(p.rec, post.rec)), None)
            if equal is not None:
                self._repeat(equal, post.rec)
                return
            post.run = run
            run.posts.append(post)
            run.open_posts += 1
            run.last = max(run.last, post.end)
            self._index(run, post.rec)
            if post.fingerprint is None:
                sibling = next((p for p in run.posts if p.fingerprint and p.call == post.call), None)
                post.fingerprint = sibling.fingerprint if sibling else None
        if post.fingerprint is None:
            self._settle(post)
            self.kept.loose_posts.append(post)
        else:
            self._cluster(post.fingerprint, post.rec.at, post.end).posts.append(post)

    def _repeat(self, post: Post, record: Record) -> None:
        """Note an equal line: it is a request of its own where effects outnumber the others."""
        one, other = sorted((post.rec.source, record.source))
        self.kept.repeated[one, other] += 1
        post.repeats += (record,)

    def _effect(self, record: Record) -> None:
        _, key, source = k.effect_words(record)
        ident = record.detail or ""
        ledger = source == "ledger"
        if ("*" if ledger else key, ident) in self._seen_effects or ("ledger", ident) in self._seen_effects:
            return
        self._seen_effects[("*", ident)] = record.at
        self._seen_effects[("ledger" if ledger else key, ident)] = record.at
        if self._survey.foreign(record):
            return
        if record.fingerprint is not None and len(record.fingerprint) < self._prefix:
            record = record._replace(fingerprint=None)
        effect = Effect(record)
        if record.fingerprint is None:
            self.kept.loose_effects.append(effect)
        else:
            self._cluster(record.fingerprint, record.at, record.at).effects.append(effect)

    def _cluster(self, fingerprint: str, at: int, last: int) -> Cluster:
        key = fingerprint[: self._prefix]
        cluster = self._clusters.get(key)
        if cluster is not None and at - cluster.last > self._keep_us:
            self._close(cluster)
            cluster = None
        if cluster is None:
            cluster = self._clusters[key] = Cluster()
        elif len(cluster.posts) + len(cluster.effects) > _CROWD and at - cluster.last > 30 * SECOND:
            self._close(cluster)
            cluster = self._clusters[key] = Cluster()
        cluster.last = max(cluster.last, last)
        return cluster

    # Time passes

    def _tick(self, now: int) -> None:
        """Close what the window has passed by."""
        self._resolve(now - _RESOLVE_AFTER_US)
        before = now - self._keep_us
        for key in [key for key, cluster in self._clusters.items() if cluster.last < before]:
            self._close(self._clusters.pop(key))
        over = [run for run in self._runs.values() if run.last < before and self._ended(run)]
        for run in over:
            del self._runs[run.id]
            self._forget(run)
            self._close_run(run)
        for ident in [ident for ident, at in self._seen_effects.items() if at < before]:
            del self._seen_effects[ident]
        if len(self._deferred) > _DEFERRED:
            self._estimate()
            self._solve_deferred()

    def _ended(self, run: Run) -> bool:
        return run.status is None or run.status in k.TERMINAL

    def _forget(self, run: Run) -> None:
        for key in (("thread", run.thread), ("corr", run.corr)):
            if key[1] is not None and (ids := self._by.get((key[0], key[1]))) is not None:
                ids.pop(run.id, None)
                if not ids:
                    del self._by[(key[0], key[1])]

    def _resolve(self, before: int | None) -> None:
        """Find the runs of what came without a run id, once their other sources had time to name them."""
        while self._waiting:
            first = self._waiting[0]
            record = first.rec if isinstance(first, Post) else first
            if before is not None and record.at > before:
                return
            self._waiting.popleft()
            run = self._runs.get(record.run) if record.run else None
            run = run or self._find_run(record)
            if run is not None and record.run and not run.id.startswith(record.run):
                run = None
            if run is None and record.run:
                run = self._run(record.run)
            if isinstance(first, Post):
                self._attach(first, run)
            elif run is not None:
                self._into_run(run, record)

    # Closing

    def _close(self, cluster: Cluster) -> None:
        """Settle a cluster whose last member the window has passed by."""
        posts, effects = cluster.posts, cluster.effects
        if len(posts) <= 1 and len(effects) <= 1 and not (posts and self._near_loose()):
            if posts and effects and self.kept.matcher.cost(effects[0], posts[0]) < 1e6:
                self.kept.matcher.link(effects[0], posts[0])
                self._bound_pair(posts[0], effects[0])
            else:
                self.kept.loose_effects += effects
            for post in posts:
                self._settle(post)
            if any(post.run is None for post in posts):
                self.kept.clusters.append(cluster)
            return
        if len(effects) == 0 and not self._near_loose() and self._audited():
            for post in posts:
                self._settle(post)
            return
        self._deferred.append(cluster)
        if len(posts) == len(effects):
            self._bound_in_order(cluster)
        elif len(posts) == 1 and effects:
            first = min(effects, key=lambda effect: effect.rec.at)
            self.bounds.caused(posts[0].rec.source, posts[0].rec.at, first.rec.source, first.rec.at, sure=False)

    def _near_loose(self) -> bool:
        return self._loose

    def _audited(self) -> bool:
        return self._survey.has("audit")

    def _bound_in_order(self, cluster: Cluster) -> None:
        """Bound clocks by requests and effects that are equally many and apart: the n-th made the n-th."""
        posts = sorted(cluster.posts, key=lambda post: post.rec.at)
        if len({post.rec.source for post in posts}) > 1 or any(post.outcome != "answered" for post in posts):
            return
        for post, effect in zip(posts, sorted(cluster.effects, key=lambda e: e.rec.at), strict=True):
            if same_fingerprint(post.fingerprint, effect.rec.fingerprint):
                self._bound_pair(post, effect, sure=len(posts) == 1)

    def _bound_pair(self, post: Post, effect: Effect, sure: bool = True) -> None:
        """A request begins before its effect; a 200 or 201 reports an effect that is there."""
        self.bounds.caused(post.rec.source, post.rec.at, effect.rec.source, effect.rec.at, sure)
        if post.rec.status in ("200", "201") and post.rec.duration >= 0:
            end = post.end + post.rounding_us
            self.bounds.caused(effect.rec.source, effect.rec.at, post.rec.source, end, sure)

    def _settle(self, post: Post) -> None:
        run = post.run
        if run is not None:
            run.open_posts -= 1
            if run.closed and run.open_posts == 0:
                self._finish_run(run)

    def _close_run(self, run: Run) -> None:
        run.closed = True
        bound_run(self.bounds, run)
        count_gaps(self._survey, run)
        if run.open_posts == 0:
            self._finish_run(run)

    def _estimate(self) -> None:
        self.kept.matcher.offsets, self.kept.satisfied = estimate(self.bounds, self._names)
        self.kept.matcher.supported = self.bounds.supported()

    def _solve_deferred(self) -> None:
        """Give the effects of crowded clusters to their requests, now that the clocks are known."""
        matcher = self.kept.matcher
        for cluster in self._deferred:
            left = matcher.assign(cluster.effects, cluster.posts)
            for effect in left:
                effect.fallback = matcher.nearest(effect, cluster.posts)
            if not cluster.posts:
                for effect in sorted(cluster.effects, key=matcher.at)[1:]:
                    effect.repeat = True
            if self._survey.posts_without_print:
                left += matcher.unlink_doubtful(cluster.effects)
            self.kept.loose_effects += left
            if left or self._near_loose() or not self._audited() or self._unread or _shares_owner(cluster):
                self.kept.clusters.append(cluster)
            for post in cluster.posts:
                self._settle(post)
        self._deferred = []

    def _finish_run(self, run: Run) -> None:
        """Keep a run when it may need explaining."""
        if self._clean(run):
            return
        self.kept.runs.setdefault(run.id, []).append(run)

    def _clean(self, run: Run) -> bool:
        """Tell whether a run needs no second look: it completed, each request answered and each effect there."""
        if run.status not in k.ENDED_WELL:
            unseen = run.status is None and not self._survey.has("coordinator")
            return unseen and not _unsubmitted(run) and all(p.effects or not self._expects_effect(p) for p in run.posts)
        named = {post.call for post in run.posts}
        for record in run.records:
            if record.kind == k.DISPATCH and record.call not in named:
                return False
        return all(len(p.effects) == 1 or not self._expects_effect(p) for p in run.posts)

    def _expects_effect(self, post: Post) -> bool:
        if not self._audited() or only_reads(post.tool) or post.outcome == "refused":
            return False
        kinds = self._survey.kinds
        if not kinds or self._survey.tools[post.tool or ""] <= FEW:
            return True
        return any(self.kept.matcher.compatible(post.tool, kind) for kind in kinds)


def _distance(run: Run, record: Record) -> tuple[int, int]:
    """Return how badly a request fits a run: a dispatch that has no request yet fits best, and the nearest in time."""
    waiting = [
        r for r in run.of(k.DISPATCH, record.call)
        if sum(p.call in (r.call, None) for p in run.posts) < len(run.of(k.DISPATCH, r.call))
    ]  # fmt: skip
    moments = [r.at for r in waiting or run.of(k.DISPATCH) or run.records]
    return (0 if waiting else 1, min(abs(at - record.at) for at in moments))


def _equal(one: Record, other: Record) -> bool:
    """Tell whether two records are one line, logged or given twice."""
    return one.kind == other.kind and one[4:] == other[4:]


def _unsubmitted(run: Run) -> bool:
    """Tell whether a submitter shows a result of the run that was refused, or never submitted."""
    submits = {r.call for r in run.records if r.kind == k.SUBMIT}
    results = {r.call for r in run.records if r.kind == k.NORMALIZE}
    return not results <= submits or any(r.kind == k.SUBMIT_FAILED for r in run.records)


def _shares_owner(cluster: Cluster) -> bool:
    """Tell whether two effects of a cluster may belong to one run, thread or correlation."""
    seen: set[tuple[str, str]] = set()
    for effect in cluster.effects:
        post = effect.post
        if post is None:
            return True
        run_id = post.run.id if post.run else post.rec.run
        keys = {("run", run_id), ("thread", post.thread), ("corr", post.corr)}
        owners = {(name, value) for name, value in keys if value is not None}
        if seen & owners or not owners:
            return True
        seen |= owners
    return False
