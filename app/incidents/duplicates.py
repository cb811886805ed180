"""Finds effects that are one effect done twice: alike, close in time, of one run, thread or correlation."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from app.incidents.kept import Kept
from app.incidents.matching import Matcher
from app.incidents.model import Effect, Post, Run, distinct
from app.incidents.records import same_fingerprint

_PRINT_TELLS: Final = 8
"""Hexadecimal digits from which on two fingerprints do not agree by chance."""


@dataclass(frozen=True, slots=True)
class Case:
    """Effects that may be one effect done twice, with the requests and runs they belong to."""

    effects: list[Effect]
    posts: list[Post]
    runs: list[Run]

    @property
    def fingerprint(self) -> str | None:
        """The longest form of the fingerprint that any source gives."""
        own = distinct(e.rec.fingerprint for e in self.effects) or distinct(p.fingerprint for p in self.posts)
        return max(own, key=len, default=None)

    @property
    def tool(self) -> str | None:
        """The tool, from the requests or else from the dispatches."""
        named = distinct(p.tool for p in self.posts)
        return named[0] if named else None

    @property
    def thread_ids(self) -> list[str]:
        """The threads that any source names."""
        own = distinct([p.thread for p in self.posts] + [r.thread for r in self.runs])
        return own or distinct(e.rec.thread for e in self.effects)

    @property
    def run_ids(self) -> list[str]:
        """The runs that any source names."""
        return distinct(r.id for r in self.runs) or distinct(e.rec.run for e in self.effects)

    @property
    def call_ids(self) -> list[str]:
        """The tool calls of its effects."""
        made = [e.post for e in self.effects if e.post]
        return distinct([p.call for p in made or self.posts] + [e.rec.call for e in self.effects])

    def sources(self) -> set[int]:
        """Return the files that say anything of it."""
        return {p.rec.source for p in self.posts} | {r.source for run in self.runs for r in run.records}


def owners(effect: Effect) -> set[tuple[str, str]]:
    """Return the run, thread and correlation that an effect belongs to, as far as they are known."""
    post, rec = effect.post, effect.rec
    run = (post.run.id if post.run else post.rec.run) if post else rec.run
    thread = post.thread if post else rec.thread
    corr = post.corr if post else rec.corr
    call = post.call if post and run is None and thread is None and corr is None else None
    named = (("run", run), ("thread", thread), ("corr", corr), ("call", call))
    return {(name, value) for name, value in named if value is not None}


def alike(one: Effect, other: Effect) -> bool:
    """Tell whether two effects can be of equal requests; without fingerprints only those of one call are."""
    known = not (one.supposed or other.supposed or "ledger.evidence" in (one.kind, other.kind))
    if known and one.kind != other.kind:
        return False
    a, b = one.post, other.post
    if a and b and a.fingerprint and b.fingerprint and not same_fingerprint(a.fingerprint, b.fingerprint):
        return False  # the audit trail's may be cut shorter than those of two requests that differ
    if one.rec.fingerprint and other.rec.fingerprint:
        return same_fingerprint(one.rec.fingerprint, other.rec.fingerprint)
    if one.fingerprint and other.fingerprint:
        return same_fingerprint(one.fingerprint, other.fingerprint)
    return a is not None and b is not None and a.run is b.run and a.call == b.call and a.call is not None


class _Groups:
    """A union-find over effects."""

    def __init__(self, effects: list[Effect]) -> None:
        self.effects = effects
        self._parent = list(range(len(effects)))

    def root(self, i: int) -> int:
        while self._parent[i] != i:
            self._parent[i] = self._parent[self._parent[i]]
            i = self._parent[i]
        return i

    def join(self, positions: list[int], matcher: Matcher, window_us: int) -> None:
        """Join those of the given effects that are alike and within the window; they are in order of time."""
        for n, i in enumerate(positions):
            at = matcher.at(self.effects[i])
            for j in positions[n + 1 :]:
                if matcher.at(self.effects[j]) - at > window_us:
                    break
                if alike(self.effects[i], self.effects[j]):
                    self._parent[self.root(j)] = self.root(i)

    def several(self) -> list[list[Effect]]:
        groups: dict[int, list[Effect]] = {}
        for i, effect in enumerate(self.effects):
            groups.setdefault(self.root(i), []).append(effect)
        return [group for group in groups.values() if len(group) > 1]


def find(kept: Kept, effects: Iterable[Effect], window_us: int) -> list[list[Effect]]:
    """Return the groups of effects that are one effect done more than once, in order of time."""
    matcher = kept.matcher
    ordered = sorted({id(e): e for e in effects}.values(), key=lambda e: (matcher.at(e), e.rec.detail or ""))
    groups = _Groups(ordered)
    owned: dict[tuple[str, str], list[int]] = {}
    nobodys: list[int] = []
    for position, effect in enumerate(ordered):
        keys = owners(effect)
        for key in keys:
            owned.setdefault(key, []).append(position)
        if not keys:
            nobodys.append(position)
    for positions in owned.values():
        groups.join(positions, matcher, window_us)
    if nobodys and _tells([ordered[i] for i in nobodys]):
        groups.join(nobodys, matcher, window_us)
    return groups.several()


def _tells(effects: list[Effect]) -> bool:
    """Tell whether fingerprints of this length would hardly agree by chance among so many effects."""
    shortest = min((len(e.rec.fingerprint) for e in effects if e.rec.fingerprint), default=0)
    return shortest >= _PRINT_TELLS or len(effects) ** 2 < 16**shortest / 2


def case_of(effects: list[Effect], runs: dict[str, Run]) -> Case:
    """Return the case of a group: its effects, and every equal request of the runs it touches."""
    made = {id(e.post): e.post for e in effects if e.post}
    touched = {p.run.id: runs.get(p.run.id, p.run) for p in made.values() if p.run}
    for effect in effects:
        if effect.post is None and effect.rec.run in runs:
            touched[effect.rec.run] = runs[effect.rec.run]
    posts = dict(made)
    calls = {(p.run.id, p.call) for p in made.values() if p.run}
    prints = [e.fingerprint for e in effects if e.fingerprint]
    for run in touched.values():
        for post in run.posts:
            equal = any(same_fingerprint(post.fingerprint, one) for one in prints)
            if (run.id, post.call) in calls and (equal or post.fingerprint is None or post.call is not None):
                posts[id(post)] = post
    ordered = sorted(posts.values(), key=lambda p: (p.rec.at, p.rec.source, p.rec.line))
    return Case(effects, ordered, sorted(touched.values(), key=lambda r: r.id))
