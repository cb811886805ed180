"""What a lookup answers (design, section 3, "A lookup's answers"). Pure, and never raises on a reply.

Found and NoneFound are answers; NoAnswer is none, and proves nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from app.catalog import Lookup
from worker.gateway.reading import NOT_JSON, REPLY_LIMIT, as_id, find, read_json


@dataclass(frozen=True)
class Found:
    """The effects that are there: (external id, the effect as JSON bytes), at least one, each id once.

    times: external id → when the effect came about, where the lookup's `at` finds a time.
    """

    items: Sequence[tuple[str, bytes]]
    times: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True)
class NoneFound:
    """The system answered, and there is no such effect."""


@dataclass(frozen=True)
class NoAnswer:
    """The system did not answer the question: nothing is known, ask again."""

    reason: str


LookupAnswer = Found | NoneFound | NoAnswer


def read_lookup(status: int, body: bytes, lookup: Lookup, headers: Mapping[str, str] | None = None) -> LookupAnswer:
    """What a lookup's reply says. Only a whole 2xx JSON page in which `found` yields a list is an answer."""
    if status in lookup.none_status:
        return NoneFound()
    if problem := _no_page(status, body):
        return NoAnswer(problem)
    page = read_json(body)
    listed = None if page is NOT_JSON else find(lookup.found, page)
    if not isinstance(listed, list):
        return NoAnswer("the reply is not JSON" if page is NOT_JSON else f"{lookup.found!r} finds no list in it")
    if sign := _sign_of_more(page, headers or {}):
        return NoAnswer(f"the reply says that there is more ({sign})")
    return _items(listed, lookup)


def _no_page(status: int, body: bytes) -> str | None:
    if not 200 <= status < 300 or status in (202, 206):
        return f"status {status}"
    return "the reply is over 1 MiB" if len(body) > REPLY_LIMIT else None


def _items(listed: list[Any], lookup: Lookup) -> LookupAnswer:
    items: dict[str, bytes] = {}
    times: dict[str, datetime] = {}
    for value in listed:
        external_id = as_id(find(lookup.id, value))
        if external_id is None:
            return NoAnswer(f"{lookup.id!r} finds no id in one of the effects")
        try:
            items.setdefault(external_id, _bytes(value))
        except RecursionError:
            return NoAnswer("one of the effects is nested too deeply")
        if lookup.at and (time := _time(find(lookup.at, value))) is not None:
            times.setdefault(external_id, time)
    return Found(tuple(items.items()), times) if items else NoneFound()


def _time(value: Any) -> datetime | None:
    """ISO 8601, UTC where it names no zone, or seconds since 1970 (milliseconds where they are so many)."""
    try:
        if isinstance(value, str):
            time = datetime.fromisoformat(value)
            return time if time.tzinfo else time.replace(tzinfo=UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1000 if value > _LATEST_SECOND else value, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return None


def _bytes(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value, separators=(",", ":")).encode()


_LATEST_SECOND: Final = 32_503_680_000  # the year 3000
# fmt: off
_MORE: Final = frozenset({
    "hasmore", "hasnextpage", "more", "next", "nextpage", "nextpagetoken", "nexttoken", "nextcursor", "nexturl",
    "nextlink", "odata.nextlink", "incomplete", "incompleteresults", "truncated", "istruncated",
})
_TOTALS: Final = frozenset({"total", "totalcount", "totalresults", "totalitems"})
_AROUND_PAGES: Final = frozenset({"links", "meta", "metadata", "page", "pageinfo", "pages", "paging", "pagination"})
# fmt: on


def _sign_of_more(page: Any, headers: Mapping[str, str]) -> str | None:
    """Where a page says that it is not the whole list, in any of the usual ways."""
    for name, value in headers.items():
        if name.lower() == "link" and 'rel="next"' in value.replace("rel=next", 'rel="next"').lower():
            return "Link: next"
    lists = [len(value) for value in page.values() if isinstance(value, list)] if isinstance(page, dict) else []
    for key, plain, value in _page_words(page):
        if plain in _MORE and value not in (None, False, "", 0, [], {}):
            return key
        # A count over several lists belongs to none of them.
        if plain in _TOTALS and type(value) in (int, float) and lists and value > max(lists):
            return key
    return None


def _page_words(page: Any) -> Iterator[tuple[str, str, Any]]:
    """The keys of a page and of the tables around its paging, as written and without case and punctuation."""
    if not isinstance(page, dict):
        return
    for key, value in page.items():
        plain = key.lower().lstrip("@_$").replace("_", "").replace("-", "")
        yield key, plain, value
        if plain in _AROUND_PAGES and isinstance(value, dict):
            yield from _page_words(value)
