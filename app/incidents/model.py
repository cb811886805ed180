"""What records become once they are joined: runs, the requests sent for them, and the effects those had."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from app.incidents import records as k
from app.incidents.records import Record, Source

SECOND: Final = 1_000_000
FEW: Final = 3
"""A tool called so seldom may have no effect in the audit trail by accident."""
SKEW_US: Final = 10 * SECOND
"""Two clocks, each wrong by at most 5 s."""


class Run:
    """One run: what coordinator and submitter say of it, and its requests."""

    __slots__ = ("closed", "corr", "id", "last", "open_posts", "posts", "records", "status", "thread")

    def __init__(self, run_id: str) -> None:
        """Begin with an id and nothing known."""
        self.id = run_id
        self.thread: str | None = None
        self.corr: str | None = None
        self.records: list[Record] = []
        self.posts: list[Post] = []
        self.last = 0
        self.status: str | None = None
        self.open_posts = 0
        self.closed = False

    def of(self, kind: str, call: str | None = None) -> list[Record]:
        """Return its records of one kind, of one call when that is given; a record without a call is of any."""
        return [r for r in self.records if r.kind == kind and (call is None or r.call in (call, None))]

    def calls(self) -> list[str]:
        """Return the tool calls that any source names for it, in order of appearance."""
        named = [r.call for r in self.records] + [p.call for p in self.posts]
        return list(dict.fromkeys(call for call in named if call is not None))


class Post:
    """One request: a line of the gateway, or (`pseudo`) a dispatch whose request no gateway log shows."""

    __slots__ = (
        "answered_by", "by_time", "call", "doubled", "effects", "end", "fingerprint", "pseudo", "rec", "repeats",
        "run", "tool",
    )  # fmt: skip

    def __init__(self, rec: Record, pseudo: bool = False) -> None:
        """Take it from its record; the end is the start where no duration is known."""
        self.rec = rec
        self.run: Run | None = None
        self.call = rec.call
        self.tool = rec.tool
        self.fingerprint = rec.fingerprint
        self.end = rec.at + max(rec.duration, 0)
        self.effects: list[Effect] = []
        self.pseudo = pseudo
        self.by_time = False
        """Its run is known from its time, from its effect or from part of an id: not surely."""
        self.repeats: tuple[Record, ...] = ()
        """Equal lines of gateway logs: other requests, or this one logged or given again."""
        self.doubled = False
        """It has effects for more requests than one, and an equal line that may be another."""
        self.answered_by: int | None = None
        """Of a stand-in: when its result was normalized, by the coordinator's clock."""

    @property
    def thread(self) -> str | None:
        """The thread: the run's where it is known, else what the header says."""
        return (self.run.thread if self.run else None) or self.rec.thread

    @property
    def corr(self) -> str | None:
        """The correlation id."""
        return self.rec.corr or (self.run.corr if self.run else None)

    @property
    def outcome(self) -> str:
        """``answered`` (2xx), ``refused`` (a 4xx that is final), ``failed`` (no answer, 5xx, …) or ``unknown``."""
        return _outcome(self.rec.status) if not self.pseudo else "unknown"

    @property
    def rounding_us(self) -> int:
        """How much later than logged it may have ended, since durations are rounded."""
        return 60_000 if self.rec.duration % 100_000 == 0 else 5_000


@lru_cache(maxsize=1000)
def _outcome(status: str | None) -> str:
    if status is None or (status.isdecimal() and len(status) != 3):
        return "unknown"
    if status.isdecimal() and status[0] == "2":
        return "answered"
    if status.isdecimal() and status[0] == "4" and status not in ("408", "409", "425", "429", "499"):
        return "refused"
    return "failed"


class Effect:
    """One thing that an external system did."""

    __slots__ = ("fallback", "post", "rec", "repeat")

    def __init__(self, rec: Record) -> None:
        """Take it from its record; it belongs to no request yet."""
        self.rec = rec
        self.post: Post | None = None
        self.fallback: Post | None = None
        self.repeat = False
        """No request is logged for it, and an equal effect came before: the last to be given a dispatch."""

    @property
    def supposed(self) -> bool:
        """Whether no audit trail shows it: a request was answered as if it had happened."""
        return self.rec.detail is None

    @property
    def kind(self) -> str:
        """What it is: its event, ``ticket.created``."""
        return k.effect_words(self.rec)[0]

    @property
    def fingerprint(self) -> str | None:
        """Its own fingerprint, or that of the request it belongs to."""
        return self.rec.fingerprint or (self.post.fingerprint if self.post else None)


@dataclass(slots=True)
class Covered:
    """How far an audit trail reaches for one kind of effect; microseconds."""

    first: int
    last: int
    count: int = 0


@dataclass(slots=True)
class Survey:
    """What a first look at all records shows: which sources there are and what they cover."""

    sources: list[Source]
    kinds: dict[str, Covered] = field(default_factory=dict)
    print_lengths: Counter[int] = field(default_factory=Counter)
    unprinted: Counter[str] = field(default_factory=Counter)
    posts_without_print: int = 0
    posts: int = 0
    first: int | None = None
    last: int | None = None
    coordinator: Covered | None = None
    gateway: Covered | None = None
    reach: dict[int, int] = field(default_factory=dict)
    """The last moment of each coordinator and submitter log, by its own clock."""
    tools: Counter[str] = field(default_factory=Counter)
    gaps: Counter[str] = field(default_factory=Counter)
    """How often a source lacks a line that another source proves: its log is not whole."""
    printing_sources: set[str] = field(default_factory=set)
    """The sources of audit entries that carry a fingerprint: those that the gateway's requests end up in."""

    @property
    def prefix(self) -> int:
        """So many digits all fingerprints have; the few that a cut line left with less count as missing."""
        total, seen = self.print_lengths.total(), 0
        for length in sorted(self.print_lengths):
            seen += self.print_lengths[length]
            if length >= 8 or seen * 20 > total or length >= 4:
                return min(length, 8)
        return 8

    def short_prints(self) -> int:
        """Return how many fingerprints are shorter than that."""
        return sum(count for length, count in self.print_lengths.items() if length < self.prefix)

    def foreign(self, effect: Record) -> bool:
        """Tell whether an effect without a fingerprint comes from somewhere else: a web form, an import."""
        source = k.effect_words(effect)[2]
        return effect.fingerprint is None and self._foreign(source)

    def _foreign(self, source: str) -> bool:
        if not source or not self.printing_sources or source in self.printing_sources:
            return False
        return "gateway" not in source and "agent" not in source

    def effects_without_print(self) -> int:
        """Return how many effects of the gateway's requests have no fingerprint, or one cut too short."""
        own = sum(count for source, count in self.unprinted.items() if not self._foreign(source))
        return own + self.short_prints()

    def has(self, name: str) -> bool:
        """Tell whether a source was given and says anything."""
        return any(s.name == name and (s.records or s.explicit_empty) for s in self.sources)

    def look(self, record: Record) -> None:
        """Take one record into account."""
        kind = record.kind
        if kind == k.CONTEXT:
            return
        if self.first is None or record.at < self.first:
            self.first = record.at
        if self.last is None or record.at > self.last:
            self.last = record.at
        if kind == k.EFFECT:
            self._effect(record)
        elif kind == k.POST:
            self.posts += 1
            self.gateway = _wider(self.gateway, record.at)
            self.tools[record.tool or ""] += 1
            self.posts_without_print += record.fingerprint is None
        else:
            if record.at > self.reach.get(record.source, 0):
                self.reach[record.source] = record.at
            if self.sources[record.source].name == "coordinator":
                self.coordinator = _wider(self.coordinator, record.at)
        if record.fingerprint is not None and kind in (k.EFFECT, k.POST):
            self.print_lengths[len(record.fingerprint)] += 1

    def _effect(self, record: Record) -> None:
        event = k.effect_words(record)[0]
        self.kinds[event] = _wider(self.kinds.get(event), record.at)
        if record.fingerprint is not None:
            self.printing_sources.add(k.effect_words(record)[2])
        else:
            self.unprinted[k.effect_words(record)[2]] += 1


def _wider(covered: Covered | None, at: int) -> Covered:
    covered = covered or Covered(at, at)
    covered.first, covered.last = min(covered.first, at), max(covered.last, at)
    covered.count += 1
    return covered


_VERBS: Final = frozenset(
    [
        "create",
        "created",
        "send",
        "sent",
        "issue",
        "issued",
        "make",
        "made",
        "add",
        "added",
        "open",
        "opened",
        "post",
        "posted",
        "new",
        "do",
        "run",
        "tool",
        "call",
        "put",
        "insert",
        "inserted",
        "submit",
        "submitted",
        "record",
        "recorded",
        "write",
        "written",
        "start",
        "started",
        "place",
        "placed",
        "book",
        "booked",
    ]
)
_SAME_THING: Final = {
    **dict.fromkeys(("mail", "email", "message", "notification", "msg"), "mail"),
    **dict.fromkeys(("invoice", "billing", "bill"), "invoice"),
    **dict.fromkeys(("charge", "payment", "pay"), "payment"),
    **dict.fromkeys(("ticket", "case", "issue_ticket"), "ticket"),
}
_EFFECT_VERBS: Final = frozenset(
    [
        "create",
        "send",
        "issue",
        "make",
        "add",
        "open",
        "post",
        "submit",
        "place",
        "book",
        "schedule",
        "charge",
        "refund",
        "pay",
        "notify",
        "cancel",
        "update",
        "delete",
        "register",
        "assign",
        "transfer",
        "publish",
        "escalate",
        "order",
        "invoice",
        "bill",
        "email",
    ]
)
_READS: Final = re.compile(
    r"(get|list|search|lookup|look_up|find|read|fetch|query|check|describe|count|view)(_|$|[A-Z])"
)


@lru_cache(maxsize=4096)
def nouns(name: str) -> frozenset[str]:
    """Return what a tool or an event is about: ``create_ticket`` and ``ticket.created`` are about ``ticket``."""
    words = re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower())
    stems = (word[:-1] if word.endswith("s") and len(word) > 4 else word for word in words)
    return frozenset(_SAME_THING.get(stem, stem) for stem in stems if stem not in _VERBS)


@lru_cache(maxsize=4096)
def about_the_same(tool: str, event: str) -> bool:
    """Tell whether a tool's name and an event's name share what they are about."""
    return bool(nouns(tool) & nouns(event))


def sounds_like_an_effect(tool: str) -> bool:
    """Tell whether a tool's name begins with a verb that changes the world."""
    return re.split(r"[_\W]|(?<=[a-z])(?=[A-Z])", tool)[0].lower() in _EFFECT_VERBS


@lru_cache(maxsize=4096)
def only_reads(tool: str | None) -> bool:
    """Tell whether a tool's name says that it changes nothing."""
    return bool(tool and _READS.match(tool))


def distinct(values: Iterable[str | None]) -> list[str]:
    """Return the values that are there, each once, sorted."""
    return sorted({value for value in values if value is not None})
