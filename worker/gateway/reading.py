"""JSON and JMESPath on bytes from elsewhere, whatever they hold: nothing in here raises. Pure."""

import json
from functools import lru_cache
from typing import Any, Final

import jmespath
from jmespath.parser import ParsedResult

REPLY_LIMIT: Final = 1024 * 1024
LONGEST_ID: Final = 512


class _NotJson:
    pass


NOT_JSON: Final = _NotJson()


def read_json(body: bytes) -> Any:
    """The value, or `NOT_JSON`. UTF-8 only; NaN is not JSON; a long number is."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_refuse, parse_int=_whole)
    except (ValueError, RecursionError):
        return NOT_JSON


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) < 4000 else float(digits)  # Python refuses to read longer ones


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> ParsedResult:
    return jmespath.compile(expression)


def find(expression: str, value: Any) -> Any:
    """What the JMESPath expression finds; None where it does not fit the value."""
    try:
        return _compiled(expression).search(value)
    except Exception:  # the expression's functions meet values that nobody foresaw
        return None


def as_id(value: Any) -> str | None:
    """An id that a text column can hold, or None."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    text = str(value)
    sound = 0 < len(text) <= LONGEST_ID and "\0" not in text and not any("\ud800" <= c <= "\udfff" for c in text)
    return text if sound else None
