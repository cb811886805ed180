"""What a reply proves, of its own attempt only (design, section 3). Pure, and never raises on a reply.

Delivered: it happened. Accepted: it will. Refused: nothing happened. Unknown: nobody can say from this.
Each keeps its proof.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, Literal

from app.catalog import Tool
from worker.gateway.lookup import Found, LookupAnswer, NoAnswer, NoneFound, read_lookup
from worker.gateway.reading import NOT_JSON, REPLY_LIMIT, as_id, find, read_json

__all__ = [
    "REPLY_LIMIT",
    "Accepted",
    "Delivered",
    "Found",
    "LookupAnswer",
    "NoAnswer",
    "NoneFound",
    "Outcome",
    "Refused",
    "Unknown",
    "read_lookup",
    "read_reply",
]

CUT_MARK: Final = "\n[counterfoil: cut here, the reply was over 1 MiB]"
LONGEST_WAIT_S: Final = 86400.0

RefusedKind = Literal["not_sent", "refused", "failed"]


@dataclass(frozen=True)
class Delivered:
    """It happened: 2xx with JSON, 204, or 2xx over 1 MiB (`truncated`). `output`: UTF-8 without NUL."""

    status: int
    body: bytes
    output: bytes
    external_id: str | None = None
    truncated: bool = False


@dataclass(frozen=True)
class Accepted:
    """202 from a tool with `completion_s`; in doubt after `deadline + completion_s + settle_s`."""

    completion_s: float
    body: bytes
    external_id: str | None = None
    status: int = 202


@dataclass(frozen=True)
class Refused:
    """Nothing happened. not_sent: no byte was written. refused: so the tool promises. failed: for good."""

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
    """What a whole reply says. `body`: at most `REPLY_LIMIT` + 1 bytes, the last one saying that it was longer."""
    contract, kept = tool.contract, body[:REPLY_LIMIT]
    if status in contract.refused_statuses:
        return Refused("refused", f"status {status}", status, kept, _retry_after_s(headers))
    if 400 <= status < 500 and status not in (408, 409, 425):
        return Refused("failed", f"status {status}", status, kept)
    if status == 202 and contract.completion_s is not None:
        return Accepted(contract.completion_s, kept, _external_id(read_json(body), tool))
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
    value = read_json(body)
    if value is NOT_JSON:
        return Unknown(f"status {status}, but the body is not JSON", status, body)
    return Delivered(status, body, body.removeprefix(b"\xef\xbb\xbf"), _external_id(value, tool))


def _cut(body: bytes) -> bytes:
    text = body.decode("utf-8", "ignore").replace("\0", "\ufffd")
    return (text + CUT_MARK).encode()


def _external_id(value: Any, tool: Tool) -> str | None:
    return as_id(find(tool.external_id, value)) if tool.external_id and value is not NOT_JSON else None


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
