"""Identifiers: a prefix and 24 letters and digits that sort by the time of their making."""

import secrets
import time
from typing import Final

_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TIME_DIGITS: Final = 8
_RANDOM_DIGITS: Final = 16


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def new_id(prefix: str) -> str:
    """A new identifier such as `run_…`; neighbours in time are neighbours in an index."""
    stamp = _base62(time.time_ns() // 1_000_000, _TIME_DIGITS)
    return f"{prefix}_{stamp}{_base62(secrets.randbits(95), _RANDOM_DIGITS)}"
