"""Words for people: what each state means, how dangerous it is, and how times and sizes are shown."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from markupsafe import Markup, escape

# Tones: ok, busy (works by itself), doubt (unknown), bad (a person must look), calm (over, nothing to do).
TONES: Final = {
    "queued": "busy",
    "in_progress": "busy",
    "requires_action": "busy",
    "completed": "ok",
    "failed": "bad",
    "incomplete": "doubt",
    "cancelled": "calm",
    "expired": "doubt",
    "pending": "busy",
    "held": "busy",
    "intended": "busy",
    "accepted": "busy",
    "in_doubt": "doubt",
    "needs_operator": "bad",
    "succeeded": "ok",
    "open": "busy",
    "unknown": "doubt",
    "refused": "calm",
    "not_sent": "calm",
    "refuted": "calm",
    "conflict": "bad",
    "poisoned": "bad",
    "orphan_effect": "doubt",
    "stuck": "doubt",
}
MEANING: Final = {
    "needs_operator": "nobody but a person can say whether it happened",
    "conflict": "evidence contradicts what was decided: it may have happened twice",
    "orphan_effect": "it happened, but its run had ended: nobody was told",
    "poisoned": "five workers in a row died on it: it is set aside",
    "stuck": "waits for outputs that do not come",
    "queued": "due; the next free worker takes it",
    "in_progress": "a worker drives it",
    "requires_action": "waits for the outcome of tool calls",
    "completed": "the turn is done",
    "failed": "ended by an error",
    "incomplete": "ended by a limit",
    "cancelled": "ended by a person or client",
    "expired": "ended because its time was over",
    "pending": "will be sent",
    "held": "waits for an equal call before it",
    "intended": "its request may be under way",
    "accepted": "the tool said 202: it will say later",
    "in_doubt": "unknown; being settled by itself",
    "succeeded": "it happened",
}
REPEAT: Final = {
    "safe": "only reads: may be sent again at will",
    "keyed": "honours its idempotency key: the same key never takes effect twice while the tool keeps it",
    "lookup": "its effect can be looked up: sent again only when it is not there",
    "never": "promises nothing: sending again may do it twice",
}
REASONS: Final = {
    "timeout": "no answer within the tool's timeout",
    "outcome_unknown": "the request went out and its outcome never came",
    "deadline_passed": "its worker vanished before the answer came",
    "attempts_used_up": "all attempts are used up",
    "key_expired": "the idempotency key is too old to send again with",
    "lookup_no_answer": "the lookup gave no answer, several times",
    "lookup_several": "the lookup found more than one effect",
    "lookup_ambiguous": "what the lookup found may be another call's effect",
    "run_ended": "its run has ended",
    "told_but_did_not_happen": "the model was told that it is being checked, and it did not happen",
    "elder_needs_operator": "an equal call before it needs an operator",
    "elder_did_not_happen": "an equal call before it did not happen",
    "operator_retry": "an operator said: it did not happen, send again",
    "operator_lookup": "an operator said: look again",
    "operator": "an operator said so",
    "connection_reset": "the connection broke before an answer came",
    "found": "found by the lookup",
    "lookup": "by the lookup",
    "poisoned": "its run was set aside: worker after worker was lost on it",
}
# How the HTTP client spells a connection that broke off; its words name no outcome.
BROKEN: Final = ("Errno 104", "Connection reset", "ServerDisconnected", "Broken pipe", "ClientPayload", "Errno 32")
KINDS: Final = {"lookup": "lookup", "event": "tool's own event", "reply": "gateway reply", "operator": "operator"}
STRENGTH: Final = {"lookup": 4, "event": 3, "reply": 2, "operator": 1}
SAYS: Final = {
    "happened": "it happened",
    "succeeded": "it happened",
    "delivered": "it happened",
    "found": "it happened: found outside",
    "nothing": "nothing happened",
    "none": "not there",
    "none_found": "not there",
    "unknown": "says nothing: outcome unknown",
    "accepted": "accepted, will follow",
    "no_answer": "no usable answer",
    "several": "found more than once",
    "ambiguous": "found, but perhaps another's",
    "refused": "refused: nothing happened",
    "not_sent": "never left: nothing happened",
    "failed": "failed: nothing happened",
}


@dataclass(frozen=True)
class Risk:
    """How bad it is to leave something alone; weight orders what waits, with its age."""

    word: str
    tone: str
    weight: int


HIGH: Final = Risk("high", "bad", 9)
MEDIUM: Final = Risk("medium", "doubt", 3)
LOW: Final = Risk("low", "calm", 1)


def risk_of(attention: str, repeat: str | None) -> Risk:
    """A wrong effect in the world before a user who waits, before a note."""
    if attention == "conflict" or (attention == "needs_operator" and repeat == "never"):
        return HIGH
    return LOW if attention == "orphan_effect" else MEDIUM


def tone(word: str | None) -> str:
    """The tone of a state."""
    return TONES.get(word or "", "calm")


def badge(word: str | None, label: str | None = None) -> Markup:
    """A state as a coloured word that also says what it means."""
    if not word:
        return Markup("")
    meaning = MEANING.get(word, "")
    text = (label or word).replace("_", " ")
    return Markup('<span class="badge {}" title="{}">{}</span>').format(tone(word), meaning, text)


def because(reason: str | None) -> str:
    """A reason in words."""
    known = REASONS.get(reason or "")
    if known is None and any(sign in (reason or "") for sign in BROKEN):
        return REASONS["connection_reset"]
    return known or (reason or "").replace("_", " ")


def says(word: str) -> str:
    """What a piece of evidence says, in words."""
    return SAYS.get(word, word.replace("_", " "))


def clock(at: datetime | None, now: datetime | None = None) -> Markup:
    """A moment as a time of day in UTC, with its day where it is another than today."""
    if at is None:
        return Markup('<span class="none">–</span>')
    at = at.astimezone(UTC)
    today = (now or datetime.now(UTC)).astimezone(UTC).date()
    text = f"{at:%H:%M:%S}" if at.date() == today else f"{at:%Y-%m-%d %H:%M:%S}"
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(iso(at), text)


def iso(at: datetime) -> str:
    """UTC, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ago(at: datetime | None, now: datetime | None = None) -> Markup:
    """How long ago, or how long until; the moment itself as the title."""
    if at is None:
        return Markup('<span class="none">–</span>')
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    text = f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"
    return Markup('<time datetime="{0}" title="{0}">{1}</time>').format(iso(at), text)


def span(seconds: float | None) -> str:
    """A length of time with its units."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, hours, days = seconds / 60, seconds / 3600, seconds / 86400
    if minutes < 90:
        return f"{minutes:.0f} min"
    if hours < 36:
        whole = int(hours)
        rest = int(minutes - whole * 60)
        return f"{whole} h {rest} min" if rest and whole < 10 else f"{hours:.0f} h"
    return f"{days:.0f} days"


def size(count: int | None) -> str:
    """Bytes with their unit."""
    if count is None:
        return "–"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return ""


def many(count: int, most: int = 10_000) -> str:
    """A count that stops at some number."""
    if count > most:
        return f"{most // 1000}k+" if most >= 1000 else f"{most}+"
    return f"{count:,}".replace(",", " ")


def plural(count: int, one: str, more: str | None = None) -> str:
    """A number with its noun."""
    return f"{many(count)} {one if count == 1 else more or one + 's'}"


def short(text: str | None, head: int = 12, tail: int = 4) -> Markup:
    """An id with its middle left out; the whole of it as the title."""
    if not text:
        return Markup('<span class="none">–</span>')
    shown = text if len(text) <= head + tail + 1 else f"{text[:head]}…{text[-tail:]}"
    return Markup('<code class="id" title="{}">{}</code>').format(text, shown)


def pretty(text: str | None) -> str:
    """JSON with line breaks, anything else as it is."""
    try:
        return json.dumps(json.loads(text or ""), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return text or ""


def plain_json(value: Any) -> str:
    """A value on one line."""
    return json.dumps(value, ensure_ascii=False, default=str)


def said(content: Any) -> str:
    """The text of a message's parts."""
    if not isinstance(content, list):
        return str(content)
    texts = [part.get("text") for part in content if isinstance(part, dict)]
    return "\n".join(str(one.get("value", "")) if isinstance(one, dict) else str(one or "") for one in texts)


def cli(*parts: str) -> Markup:
    """A command with a button that copies it; the button is nothing without JavaScript, the text can be selected."""
    line = " ".join(parts)
    return Markup(
        '<span class="cli"><code>{0}</code><button type="button" class="quiet copy" data-copy="{0}" hidden'
        ' aria-label="Copy the command">Copy</button></span>'
    ).format(escape(line))


FILTERS: Final[dict[str, Callable[..., Any]]] = {
    "badge": badge,
    "because": because,
    "says": says,
    "clock": clock,
    "ago": ago,
    "span": span,
    "size": size,
    "many": many,
    "short": short,
    "pretty": pretty,
    "plain_json": plain_json,
    "said": said,
}


def now_utc() -> datetime:
    """Now, for ages on a page."""
    return datetime.now(UTC)


def micros(at_us: int) -> Markup:
    """A moment given in microseconds since 1970."""
    at = datetime.fromtimestamp(at_us / 1_000_000, UTC)
    return Markup('<time datetime="{0}" title="{0}">{1:%Y-%m-%d %H:%M:%S}.{2:03d}</time>').format(
        iso(at), at, at.microsecond // 1000
    )
