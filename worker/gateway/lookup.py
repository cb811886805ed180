"""What a lookup answers (design, section 3, "A lookup's answers"). Pure, and never raises on a reply.

Found and NoneFound are answers; NoAnswer is none, and proves nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.catalog import Lookup
from worker.gateway.reading import NOT_JSON, REPLY_LIMIT, as_id, find, read_json


@dataclass(frozen=True)
class Found:
    """The effects that are there: (external id, the effect as JSON bytes), at least one, each id once."""

    items: Sequence[tuple[str, bytes]]


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
    for value in listed:
        external_id = as_id(find(lookup.id, value))
        if external_id is None:
            return NoAnswer(f"{lookup.id!r} finds no id in one of the effects")
        try:
            items.setdefault(external_id, _bytes(value))
        except RecursionError:
            return NoAnswer("one of the effects is nested too deeply")
    return Found(tuple(items.items())) if items else NoneFound()


def _bytes(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value, separators=(",", ":")).encode()


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
