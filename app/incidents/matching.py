"""Gives effects to the requests that caused them: the cheapest assignment, by fingerprint, ids, outcome and time."""

from __future__ import annotations

from typing import Final

from app.incidents.model import SECOND, Effect, Post, Survey, about_the_same
from app.incidents.records import same_fingerprint

IMPOSSIBLE: Final = 1e12
_UNMATCHED: Final = 1e6
_EXACT_UP_TO: Final = 80
_LATE_US: Final = 60 * SECOND
_EARLY_US: Final = 11 * SECOND


class Matcher:
    """Knows the clock offsets, the window and which tools make which kinds of effect."""

    def __init__(self, survey: Survey, window_us: int) -> None:
        """Begin with clocks taken as right and no kinds learnt."""
        self._survey, self._window_us = survey, window_us
        self.offsets = [0] * len(survey.sources)
        self.supported: set[tuple[int, int]] = set()
        """Pairs of sources whose clocks are compared by more than this or that incident."""
        self.learnt: dict[str, set[str]] = {}

    def true(self, source: int, at: int) -> int:
        """Return a moment corrected by its source's clock."""
        return at - self.offsets[source]

    def start(self, post: Post) -> int:
        """Return the corrected start of a request."""
        return self.true(post.rec.source, post.rec.at)

    def end(self, post: Post) -> int:
        """Return the corrected end of a request."""
        return self.true(post.rec.source, post.end)

    def at(self, effect: Effect) -> int:
        """Return the corrected time of an effect."""
        return self.true(effect.rec.source, effect.rec.at)

    def learn(self, post: Post, effect: Effect) -> None:
        """Remember that the tool makes this kind of effect: their fingerprints agreed."""
        if post.tool:
            self.learnt.setdefault(post.tool, set()).add(effect.kind)

    def compatible(self, tool: str | None, kind: str) -> bool:
        """Tell whether the tool may make this kind of effect: by name, by what was learnt, or for want of others."""
        if not tool or not kind or about_the_same(tool, kind) or kind in self.learnt.get(tool, ()):
            return True
        if self.learnt.get(tool) or any(kind in kinds for kinds in self.learnt.values()):
            return False
        kinds = self._survey.kinds
        return not any(about_the_same(tool, other) for other in kinds) and not any(
            about_the_same(other, kind) for other in self._survey.tools
        )

    def cost(self, effect: Effect, post: Post) -> float:
        """Return how unlikely it is, in seconds, that the request made the effect."""
        if effect.rec.fingerprint and post.fingerprint:
            if not same_fingerprint(effect.rec.fingerprint, post.fingerprint):
                return IMPOSSIBLE
        elif not self.compatible(post.tool, effect.kind):
            return IMPOSSIBLE
        foreign = 0.0 if self.compatible(post.tool, effect.kind) else 40.0  # a short print may agree by chance
        named = self._ids(effect, post) + foreign
        if named >= IMPOSSIBLE:
            return IMPOSSIBLE
        at, start, end = self.at(effect), self.start(post), self.end(post)
        late = _LATE_US if effect.rec.fingerprint is None or post.fingerprint is None else self._window_us
        if at < start - _EARLY_US or at > end + late:
            return IMPOSSIBLE
        away = max(start - at, at - end - post.rounding_us, 0) / SECOND
        outcome = {"answered": 0.0, "unknown": 5.0, "failed": 20.0, "refused": 60.0}[post.outcome]
        within = (at - start) / SECOND * 1e-4
        return max(away + outcome + named + within, 0.0) if named >= 0 else away + outcome + named + within

    def _ids(self, effect: Effect, post: Post) -> float:
        """Return what ids in the audit trail itself say: impossible, certain, or nothing."""
        certain = 0.0
        run = post.run.id if post.run else post.rec.run
        for mine, its in ((effect.rec.run, run), (effect.rec.call, post.call), (effect.rec.thread, post.thread)):
            if mine is not None and its is not None:
                if mine != its:
                    return IMPOSSIBLE
                certain = -100.0
        return certain

    def assign(self, effects: list[Effect], posts: list[Post]) -> list[Effect]:
        """Give each effect the request that fits best, at most one effect each; return the effects left over."""
        costs = [[self.cost(effect, post) for post in posts] for effect in effects]
        if len(effects) <= _EXACT_UP_TO and len(posts) <= _EXACT_UP_TO:
            chosen = cheapest(costs, len(posts))
        else:
            chosen = _greedy(costs)
        left = []
        for position, effect in enumerate(effects):
            best = chosen.get(position)
            if best is None or costs[position][best] >= _UNMATCHED:
                left.append(effect)
            else:
                self.link(effect, posts[best])
        return left

    def link(self, effect: Effect, post: Post) -> None:
        """Join an effect to its request."""
        effect.post = post
        post.effects.append(effect)
        if same_fingerprint(effect.rec.fingerprint, post.fingerprint):
            self.learn(post, effect)

    def unlink_doubtful(self, effects: list[Effect]) -> list[Effect]:
        """Take effects back from requests that failed: one whose fingerprint is missing may fit them better."""
        taken = [e for e in effects if e.post is not None and e.post.outcome in ("failed", "refused")]
        for effect in taken:
            assert effect.post is not None
            effect.post.effects.remove(effect)
            effect.fallback, effect.post = effect.post, None
        return taken

    def nearest(self, effect: Effect, posts: list[Post]) -> Post | None:
        """Return the request that fits an effect best, whether or not it has one already."""
        costs = [(self.cost(effect, post), position) for position, post in enumerate(posts)]
        cost, position = min(costs, default=(IMPOSSIBLE, -1))
        return posts[position] if cost < _UNMATCHED else None


def _greedy(costs: list[list[float]]) -> dict[int, int]:
    """Assign cheapest pairs first: for groups too large for the exact way."""
    ordered = sorted(
        (cost, row, column) for row, line in enumerate(costs) for column, cost in enumerate(line) if cost < _UNMATCHED
    )
    chosen: dict[int, int] = {}
    taken: set[int] = set()
    for _, row, column in ordered:
        if row not in chosen and column not in taken:
            chosen[row] = column
            taken.add(column)
    return chosen


def cheapest(costs: list[list[float]], columns: int) -> dict[int, int]:
    """Assign rows to columns at the least total cost (Kuhn-Munkres with potentials); leaving a row costs a lot."""
    rows = len(costs)
    if not rows or not columns:
        return {}
    wide = [[min(c, _UNMATCHED * 2) for c in line] + [_UNMATCHED] * rows for line in costs]
    width = columns + rows
    u, v = [0.0] * (rows + 1), [0.0] * (width + 1)
    owner, way = [0] * (width + 1), [0] * (width + 1)
    for row in range(1, rows + 1):
        owner[0] = row
        column = _augment(wide, u, v, owner, way, width)
        while column:
            owner[column] = owner[way[column]]
            column = way[column]
    return {owner[j] - 1: j - 1 for j in range(1, columns + 1) if owner[j]}


def _augment(
    wide: list[list[float]], u: list[float], v: list[float], owner: list[int], way: list[int], width: int
) -> int:
    """Find the shortest augmenting path from the row in ``owner[0]``; return the free column at its end."""
    column = 0
    least = [float("inf")] * (width + 1)
    used = [False] * (width + 1)
    while owner[column]:
        used[column] = True
        row, delta, following = owner[column], float("inf"), 0
        for j in range(1, width + 1):
            if used[j]:
                continue
            current = wide[row - 1][j - 1] - u[row] - v[j]
            if current < least[j]:
                least[j], way[j] = current, column
            if least[j] < delta:
                delta, following = least[j], j
        for j in range(width + 1):
            if used[j]:
                u[owner[j]] += delta
                v[j] -= delta
            else:
                least[j] -= delta
        column = following
    return column
