"""Settles ties between requests that may have made an effect: those of one call are equal, so their effects are."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import Final

from app.incidents.matching import Matcher
from app.incidents.model import SECOND, Effect, Post
from app.incidents.records import same_fingerprint

_NEAR_US: Final = 30 * SECOND
_TIE_S: Final = 0.5


Cost = Callable[[Effect, Post, Matcher], float]


def agreeing(pairs: list[tuple[Effect, Post]], matcher: Matcher, cost: Cost) -> list[tuple[Effect, Post]]:
    """Return effects and their requests, with those exchanged that fit as well the other way round and then agree."""
    ties = _Ties(pairs, matcher, cost)
    for position in range(len(pairs)):
        if ties.odd(position):
            ties.settle(position)
    return ties.pairs()


class _Ties:
    """Effects in the order of time, each with its request, and the calls that these are of."""

    def __init__(self, pairs: list[tuple[Effect, Post]], matcher: Matcher, cost: Cost) -> None:
        self._matcher, self._cost = matcher, cost
        ordered = sorted(pairs, key=lambda pair: (matcher.at(pair[0]), pair[0].rec.detail or ""))
        self._effects = [effect for effect, _ in ordered]
        self._posts = [post for _, post in ordered]
        self._times = [matcher.at(effect) for effect in self._effects]
        self._of_call: dict[tuple[str, str], list[int]] = {}
        for position, post in enumerate(self._posts):
            if post.run is not None and post.call is not None:
                self._of_call.setdefault((post.run.id, post.call), []).append(position)

    def pairs(self) -> list[tuple[Effect, Post]]:
        return list(zip(self._effects, self._posts, strict=True))

    def _kin(self, position: int) -> list[int]:
        post = self._posts[position]
        key = (post.run.id if post.run else "", post.call or "")
        return [other for other in self._of_call.get(key, ()) if other != position]

    def odd(self, position: int) -> int:
        """Return from how many effects of the same call this one differs."""
        mine = self._effects[position].rec.fingerprint
        others = (self._effects[other].rec.fingerprint for other in self._kin(position))
        return sum(bool(mine and its and not same_fingerprint(mine, its)) for its in others)

    def settle(self, position: int) -> None:
        """Exchange an effect for one of another call that fits as well, where fewer then differ."""
        at = self._matcher.at(self._effects[position])
        near = range(bisect_left(self._times, at - _NEAR_US), bisect_right(self._times, at + _NEAR_US))
        kin = set(self._kin(position))
        for other in near:
            if other == position or other in kin or not self._fits(position, other):
                continue
            before = self.odd(position) + self.odd(other)
            self._exchange(position, other)
            if self.odd(position) + self.odd(other) < before:
                return
            self._exchange(position, other)

    def _fits(self, one: int, other: int) -> bool:
        def cost(effect: int, post: int) -> float:
            return self._cost(self._effects[effect], self._posts[post], self._matcher)

        return cost(one, other) + cost(other, one) <= cost(one, one) + cost(other, other) + _TIE_S

    def _exchange(self, one: int, other: int) -> None:
        self._effects[one], self._effects[other] = self._effects[other], self._effects[one]
