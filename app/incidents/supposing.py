"""Effects that no audit trail shows but that answered requests report: where there is none, or an entry is unread."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from app.incidents.matching import Matcher
from app.incidents.model import SECOND, Effect, Post, Survey, only_reads

_NEAR_US: Final = 60 * SECOND


def suppose_all(posts: Iterable[Post], matcher: Matcher) -> list[Effect]:
    """Without an audit trail: return what each answered request should have caused, to be called by no name."""
    return [_suppose(post, matcher) for post in posts if _owed(post)]


def suppose_unread(posts: Iterable[Post], survey: Survey, matcher: Matcher) -> list[Effect]:
    """Return an effect for each unread entry of an audit trail, given to the answered request nearest to it."""
    unread = [(index, at) for index, s in enumerate(survey.sources) if s.name == "audit" for at in s.unread_at]
    owed = [post for post in posts if _owed(post)] if unread else []
    supposed = []
    for index, at in unread:
        moment = matcher.true(index, at)
        near = [post for post in owed if not post.effects and abs(matcher.end(post) - moment) <= _NEAR_US]
        if near:
            nearest = min(near, key=lambda post: (abs(matcher.end(post) - moment), post.rec.line))
            supposed.append(_suppose(nearest, matcher))
    return supposed


def _owed(post: Post) -> bool:
    return post.outcome == "answered" and not only_reads(post.tool) and not post.effects


def _suppose(post: Post, matcher: Matcher) -> Effect:
    effect = Effect(post.rec._replace(kind="effect", at=post.end, detail=None, extra="||", fingerprint=None))
    matcher.link(effect, post)
    return effect
