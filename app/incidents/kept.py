"""What a sweep keeps: requests and effects that look alike, and whatever may need explaining."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from app.incidents.matching import Matcher
from app.incidents.model import Effect, Post, Run, Survey
from app.incidents.records import Record


class Cluster:
    """Requests and effects whose fingerprints begin alike, with no gap longer than the window."""

    __slots__ = ("effects", "last", "posts")

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.effects: list[Effect] = []
        self.last = 0


@dataclass(slots=True)
class Kept:
    """What may need explaining, once all records were seen."""

    survey: Survey
    matcher: Matcher
    clusters: list[Cluster] = field(default_factory=list)
    runs: dict[str, list[Run]] = field(default_factory=dict)
    loose_effects: list[Effect] = field(default_factory=list)
    loose_posts: list[Post] = field(default_factory=list)
    context: deque[Record] = field(default_factory=lambda: deque(maxlen=100_000))
    satisfied: bool = True
