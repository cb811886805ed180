"""What a sweep keeps: requests and effects that look alike, and whatever may need explaining."""

from __future__ import annotations

from collections import Counter, deque
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
    requests: Counter[int] = field(default_factory=Counter)
    """How many requests each file has."""
    repeated: Counter[tuple[int, int]] = field(default_factory=Counter)
    """How many requests two files both have, to the last digit."""

    def copies(self, one: int, other: int) -> bool:
        """Tell whether one gateway log is the other, given twice, as far as its requests show."""
        if self.survey.sources[one].file == self.survey.sources[other].file and one != other:
            return True
        shared = self.repeated[min(one, other), max(one, other)]
        return one != other and shared > 1 and shared >= min(self.requests[one], self.requests[other])
