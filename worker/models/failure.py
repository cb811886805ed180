"""What a provider's error means for the run: to be tried again, or its end. Pure.

The message of the provider goes to the API's client and into logs: it is cut, and keys are taken out.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from worker.models import Failed, ModelUnavailable

MESSAGE_LENGTH: Final = 300
# Statuses that speak of this moment, not of the request.
TRY_AGAIN: Final = frozenset({408, 409, 425, 429})
# Statuses that speak of the request; others below 500 speak of the set-up: keys, addresses, rights.
WRONG_REQUEST: Final = frozenset({400, 413, 422})
SHORTEST_KEY: Final = 8  # a shorter one is a placeholder such as "none", and no secret
SECRET: Final = re.compile(r"\b(?:(?:sk|pk|rk|cf)[-_]|bearer\s+|api[-_ ]?key\s*[:=]\s*)[^\s,;\"']{6,}", re.IGNORECASE)


def failure(
    status: int, headers: Mapping[str, str], body: bytes, model: str, api_key: str | None
) -> Failed | ModelUnavailable:
    """What an HTTP answer other than 200 means. headers: by lower-case name."""
    error = error_in(body)
    return _judge(status, error, model, api_key, retry_after_s(headers, datetime.now(UTC)))


def failure_in_answer(error: object, model: str, api_key: str | None) -> Failed | ModelUnavailable:
    """What the `error` of an answer means that began well (status 200)."""
    found = error if isinstance(error, dict) else {"message": error}
    kinds = f"{found.get('type')} {found.get('code')}".lower()
    if "rate_limit" in kinds or "quota" in kinds:
        status = 429
    elif "invalid_request" in kinds or "context_length" in kinds or "content_filter" in kinds:
        status = 400
    else:
        code = found.get("code")
        status = code if isinstance(code, int) and 400 <= code < 600 else 500
    return _judge(status, found, model, api_key, None)


def _judge(
    status: int, error: Mapping[str, Any], model: str, api_key: str | None, wait_s: float | None
) -> Failed | ModelUnavailable:
    said = readable(error.get("message"), api_key)
    reason = f"the provider of the model {model} answered {status}" + (f": {said}" if said else "")
    if status == 429:
        # No money is no matter of waiting.
        if "insufficient_quota" in (error.get("code"), error.get("type")):
            return Failed("rate_limit_exceeded", reason)
        return ModelUnavailable(reason, wait_s, "rate_limit_exceeded")
    if status in TRY_AGAIN or status >= 500:
        return ModelUnavailable(reason, wait_s)
    no_such_model = status == 404 and ("model" in str(error.get("code")) or "model" in said.lower())
    return Failed("invalid_prompt" if status in WRONG_REQUEST or no_such_model else "server_error", reason)


def error_in(body: bytes) -> dict[str, Any]:
    """The error that a body tells of, in one of the forms that providers use; at least a `message`, perhaps empty."""
    text = body.decode(errors="replace")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        # A page for people tells a program nothing.
        return {"message": "" if text.lstrip().startswith("<") else text}
    if isinstance(value, list) and value:
        value = value[0]
    if not isinstance(value, dict):
        return {"message": value or None}
    if isinstance(value.get("error"), dict):
        return dict(value["error"])
    message = value.get("error") or value.get("message") or value.get("detail")
    return {"message": message, "code": value.get("code"), "type": value.get("type")}


def readable(message: object, api_key: str | None) -> str:
    """A provider's message on one line, cut, without control characters and without anything like a key."""
    if message is None:
        return ""
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False, default=str)
    if api_key and len(api_key) >= SHORTEST_KEY:
        text = text.replace(api_key, "[key]")
    text = " ".join(SECRET.sub("[key]", text).split())
    text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= MESSAGE_LENGTH else text[: MESSAGE_LENGTH - 1] + "…"


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds that the provider asks us to wait: `retry-after-ms`, or `retry-after` in seconds or as a date.

    A date is taken against the answer's own `date`, so that wrong clocks do not matter.
    """
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(headers.get(name, "")) * unit_s
        except ValueError:
            continue
        if math.isfinite(wait_s):
            return max(wait_s, 0.0)
    until = _date(headers.get("retry-after"))
    return None if until is None else max((until - (_date(headers.get("date")) or now)).total_seconds(), 0.0)


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)
