"""What views share: who does it and why, moments in words, the first id of a time, notices."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from flask import current_app, flash, g, request
from werkzeug.exceptions import BadRequest, NotFound

from app.api.services import database, services
from app.database import Transaction
from app.operations import By
from app.settings import Settings
from sql.operators import AttentionRow, list_attention
from sql.statement import Statement
from sql.vocabulary import Attention

T = TypeVar("T")
PAGE: Final = 50
COUNTED: Final = 10_001
LONGEST_REASON: Final = 2000
_AGO: Final = re.compile(r"(\d{1,6})\s*([smhd])")
_AGO_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class NoReason(BadRequest):
    """Every change needs a reason."""

    description = "A reason is required: it stays in the audit trail."


def settings() -> Settings:
    """The settings of this process."""
    found: Settings = current_app.extensions["counterfoil_settings"]
    return found


def by() -> By:
    """Who does this, and why. Raises `NoReason`."""
    reason = request.form.get("reason", "").strip()[:LONGEST_REASON].replace("\0", "")
    if not reason:
        raise NoReason
    return By(g.me.name, reason)


def change(work: Callable[[Transaction], T]) -> T:
    """Does an operation in a transaction of its own and hurries the workers. Raises `Refused`."""
    done = database().write(work)
    services().notifier.hurry()
    return done


def attention(run_ids: Sequence[str] | None = None, **options: Any) -> Statement[list[AttentionRow]]:
    """What wants attention, with this process's idea of stuck."""
    return list_attention(stuck_after_s=settings().stuck_after_s, run_ids=run_ids, **options)


def attention_kind(word: str) -> Attention | None:
    """The kind by its word; None for no such kind."""
    return Attention(word) if word in {kind.value for kind in Attention} else None


def text_of(name: str, most: int = 200) -> str:
    """A value of the query, trimmed; the empty text for none."""
    return request.args.get(name, "").strip()[:most].replace("\0", "")


def moment(text: str) -> datetime | None:
    """A moment in ISO 8601, UTC unless it says otherwise, or how long ago: 90s, 10m, 2h, 1d. None for neither."""
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _AGO_S[ago[2]])
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def first_id(prefix: str, at: datetime) -> str:
    """The smallest id that `sql.ids.new_id` may have made at that time."""
    number, digits = int(at.timestamp() * 1000), []
    for _ in range(8):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return f"{prefix}_{''.join(reversed(digits))}"


def found_or_404(rows: Sequence[T], kind: str, id: str) -> T:
    """The one row, or the page that says that there is none."""
    if not rows:
        raise NotFound(f"There is no {kind} {id}.")
    return rows[0]


def notice(text: str) -> None:
    """Says on the next page what was done."""
    flash(text)
