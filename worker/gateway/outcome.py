"""What a reply proves, of its own attempt only, and what a lookup answers (design, section 3). Pure, and never raises on a reply.

Delivered: it happened. Accepted: it will. Refused: nothing happened. Unknown: nobody can say from this. Each keeps its proof.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Final, Literal

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.parser import ParsedResult

from app.catalog import Lookup, Tool

REPLY_LIMIT: Final = 1024 * 1024
CUT_MARK: Final = "\n[counterfoil: cut here, the reply was over 1 MiB]"
LONGEST_WAIT_S: Final = 86400.0
LONGEST_ID: Final = 512

RefusedKind = Literal["not_sent", "refused", "failed"]


@dataclass(frozen=True)
class Delivered:
    """It happened: a 2xx with JSON, a 204, or a 2xx over 1 MiB (`truncated`). `output`: UTF-8 without NUL, for the model."""

    status: int
    body: bytes
    output: bytes
    external_id: str | None = None
    truncated: bool = False


@dataclass(frozen=True)
class Accepted:
    """A 202 from a tool with `completion_s`: its completion comes later; in doubt after `deadline + completion_s + settle_s`."""

    completion_s: float
    body: bytes
    external_id: str | None = None
    status: int = 202


@dataclass(frozen=True)
class Refused:
    """Nothing happened. not_sent: no byte was written. refused: the tool promises so. failed: refused for good."""

    kind: RefusedKind
    reason: str
    status: int | None = None
    body: bytes = b""
    retry_after_s: float | None = None


@dataclass(frozen=True)
class Unknown:
    """It may or may not have happened. `status`, `body`: as far as they came."""

    reason: str
    status: int | None = None
    body: bytes = b""


Outcome = Delivered | Accepted | Refused | Unknown


def read_reply(status: int, headers: Mapping[str, str], body: bytes, tool: Tool) -> Outcome:
    """What a whole reply says. `body`: up to `REPLY_LIMIT` + 1 bytes, that one more saying that it was longer."""
    contract, kept = tool.contract, body[:REPLY_LIMIT]
    if status in contract.refused_statuses:
        return Refused("refused", f"status {status}", status, kept, _retry_after_s(headers))
    if 400 <= status < 500 and status not in (408, 409, 425):
        return Refused("failed", f"status {status}", status, kept)
    if status == 202 and contract.completion_s is not None:
        return Accepted(contract.completion_s, kept, _external_id(_json(body), tool))
    if status == 202:
        return Unknown("status 202, and the tool has no completion_s", status, kept)
    if not 200 <= status < 300:
        return Unknown(f"status {status}", status, kept)
    return _delivered(status, body, tool)


def _delivered(status: int, body: bytes, tool: Tool) -> Delivered | Unknown:
    if status == 204:
        return Delivered(status, b"", b"null")
    if len(body) > REPLY_LIMIT:
        kept = body[:REPLY_LIMIT]
        return Delivered(status, kept, _cut(kept), truncated=True)
    value = _json(body)
    if value is _NOT_JSON:
        return Unknown(f"status {status}, but the body is not JSON", status, body)
    return Delivered(status, body, body.removeprefix(b"\xef\xbb\xbf"), _external_id(value, tool))


def _cut(body: bytes) -> bytes:
    text = body.decode("utf-8", "ignore").replace("\0", "\ufffd")
    return (text + CUT_MARK).encode()


class _NotJson:
    pass


_NOT_JSON: Final = _NotJson()


def _json(body: bytes) -> Any:
    """The value, or `_NOT_JSON`. UTF-8 only; NaN is not JSON; a long number is."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse, parse_int=_whole)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 4000 else float(digits)  # Python refuses to read longer ones


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> ParsedResult:
    return jmespath.compile(expression)


def _found(expression: str, value: Any) -> Any:
    """What the JMESPath expression finds; None where it does not fit the value."""
    try:
        return _compiled(expression).search(value)
    except (JMESPathError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _external_id(value: Any, tool: Tool) -> str | None:
    return _as_id(_found(tool.external_id, value)) if tool.external_id and value is not _NOT_JSON else None


def _as_id(value: Any) -> str | None:
    """An id that a text column can hold, or None."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    sound = (
        0 < len(text) <= LONGEST_ID and "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
    )
    return text if sound else None


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait; a date counts from the reply's own Date, so that no clock of ours is asked."""
    named = {name.lower(): value.strip() for name, value in headers.items()}
    written = named.get("retry-after", "")
    if written.isascii() and written.isdigit():
        return min(float(written[:12]), LONGEST_WAIT_S)
    until, now = _date(written), _date(named.get("date", ""))
    return max(0.0, min((until - now).total_seconds(), LONGEST_WAIT_S)) if until and now else None


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


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


def read_lookup(
    status: int, body: bytes, lookup: Lookup, headers: Mapping[str, str] | None = None
) -> LookupAnswer:
    """What a lookup's reply says. Only a whole 2xx JSON page, in which `found` yields a list, is an answer."""
    if status in lookup.none_status:
        return NoneFound()
    if not 200 <= status < 300 or status in (202, 206):
        return NoAnswer(f"status {status}")
    if len(body) > REPLY_LIMIT:
        return NoAnswer("the reply is over 1 MiB")
    page = _json(body)
    if page is _NOT_JSON:
        return NoAnswer("the reply is not JSON")
    listed = _found(lookup.found, page)
    if not isinstance(listed, list):
        return NoAnswer(f"{lookup.found!r} finds no list in the reply")
    if sign := _sign_of_more(page, headers or {}):
        return NoAnswer(f"the reply says that there is more ({sign})")
    return _items(listed, lookup)


def _items(listed: list[Any], lookup: Lookup) -> LookupAnswer:
    items: dict[str, bytes] = {}
    for value in listed:
        external_id = _as_id(_found(lookup.id, value))
        if external_id is None:
            return NoAnswer(f"{lookup.id!r} finds no id in one of the effects")
        items.setdefault(external_id, _bytes(value))
    return Found(tuple(items.items())) if items else NoneFound()


def _bytes(value: Any) -> bytes:
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value, separators=(",", ":")).encode()


_MORE: Final = frozenset(
    "hasmore hasnextpage more next nextpage nextpagetoken nexttoken nextcursor nexturl nextlink odata.nextlink "
    "incomplete incompleteresults truncated istruncated".split()
)
_TOTALS: Final = frozenset("total totalcount totalresults totalitems".split())
_AROUND_PAGES: Final = frozenset("links meta metadata page pageinfo pages paging pagination".split())


def _sign_of_more(page: Any, headers: Mapping[str, str]) -> str | None:
    """Where a page says that it is not the whole list, in any of the usual ways."""
    for name, value in headers.items():
        if name.lower() == "link" and 'rel="next"' in value.replace("rel=next", 'rel="next"').lower():
            return "Link: next"
    lists = (
        [len(value) for value in page.values() if isinstance(value, list)] if isinstance(page, dict) else []
    )
    for key, plain, value in _page_words(page):
        if plain in _MORE and value not in (None, False, "", 0, [], {}):
            return key
        # A count over several lists belongs to none of them.
        if plain in _TOTALS and type(value) in (int, float) and lists and math.ceil(value) > max(lists):
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
