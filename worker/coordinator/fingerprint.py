"""What makes two calls equal, and what all attempts of one call share (design, section 2). Pure."""

import hashlib
import hmac
import json
import math
from typing import Any, Final

import rfc8785

_INT_LIMIT: Final = 2**53


def fingerprint(tool: str, arguments: object, key: bytes | None = None) -> str:
    """The SHA-256, or HMAC-SHA-256 with `key`, over the RFC 8785 form of tool name and arguments, in hex.

    `arguments`: the model's text or the value parsed from it, which give the same. Text that is not JSON is
    taken as it stands.
    """
    value = _parsed(arguments) if isinstance(arguments, str) else arguments
    data = _canonical({"tool": tool, "arguments": value})
    return hmac.new(key, data, hashlib.sha256).hexdigest() if key else hashlib.sha256(data).hexdigest()


def effect_key(run_id: str, round_number: int, index: int) -> str:
    """The idempotency key of the call at `index` of a round, for all its attempts: 44 safe characters."""
    origin = json.dumps([run_id, round_number, index]).encode()
    return "eff_" + hashlib.sha256(origin).hexdigest()[:40]


def _parsed(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _canonical(value: Any) -> bytes:
    try:
        return _rfc8785(value)
    except RecursionError:  # rfc8785 is Python all the way down; the standard library's encoder goes deeper
        return json.dumps(value, sort_keys=True).encode()


def _rfc8785(value: Any) -> bytes:
    try:
        return rfc8785.dumps(value)
    except ValueError:  # a number or half a character that it cannot spell
        return rfc8785.dumps(_exact(value))


def _exact(value: Any) -> Any:
    """The value with what RFC 8785 cannot spell made marked text, so that different numbers stay different."""
    match value:
        case dict():
            return {_exact(name): _exact(item) for name, item in value.items()}
        case list() | tuple():
            return [_exact(item) for item in value]
        case bool():
            return value
        case int() if not -_INT_LIMIT < value < _INT_LIMIT:
            return f"\0int:{value:x}"  # hex: long decimals are refused by Python
        case float() if not math.isfinite(value):
            return f"\0float:{value}"
        case str():
            return _utf8(value)
    return value


def _utf8(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can escape and UTF-8 cannot hold
        return "\0text:" + text.encode("utf-8", "surrogatepass").hex()
    return text
