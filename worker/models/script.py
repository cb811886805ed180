"""Reading a script: the user's text to the entry that a turn plays (contract of the API, section 8.2).

Pure. A text that is no script is no mistake (`read_script` says None); a script that breaks its rules is one,
found only when the turn that plays the entry is reached.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from worker.models import AskedCall, Failed, Incomplete

MAX_DELAY_MS: Final = 60_000
MAX_CHUNK_MS: Final = 1_000
# Names are indexed by the ledger, and Postgres limits the size of an index entry.
MAX_NAME_LENGTH: Final = 256
ENDINGS: Final = ("tool_calls", "fail", "incomplete")
INCOMPLETE_REASONS: Final = ("max_completion_tokens", "max_prompt_tokens")


class ScriptError(Exception):
    """scripted model: {place}: {what}."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"scripted model: {place}: {what}")


@dataclass(frozen=True)
class Entry:
    """One turn's part. say: placeholders not yet filled in; at most one of calls and end."""

    say: str | None = None
    calls: tuple[AskedCall, ...] = ()
    end: Failed | Incomplete | None = None
    delay_ms: float = 0
    chunk_ms: float = 0


def read_script(text: str) -> Mapping[str, Any] | None:
    """The object that holds the key `script`, or None when the text is no script and is to be echoed."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and "script" in value else None


def entry_at(script: Mapping[str, Any], turn: int) -> Entry | None:
    """The entry that this turn plays, None when the script is used up; raises `ScriptError`."""
    entries = script["script"]
    if not isinstance(entries, list) or not entries:
        raise ScriptError("script", "must be a non-empty array of entries")
    return read_entry(entries[turn], f"entry {turn}") if turn < len(entries) else None


def read_entry(entry: object, place: str) -> Entry:
    """One entry of a script, checked; unknown keys are ignored; raises `ScriptError`."""
    if not isinstance(entry, dict):
        raise ScriptError(place, "must be an object")
    endings = [key for key in ENDINGS if key in entry]
    if len(endings) > 1:
        raise ScriptError(place, f"{' and '.join(endings)} exclude one another")
    if not endings and "say" not in entry:
        raise ScriptError(place, "needs one of say, tool_calls, fail, incomplete")
    return Entry(
        say=_text(entry["say"], f"{place}: say") if "say" in entry else None,
        calls=_calls(entry["tool_calls"], f"{place}: tool_calls") if "tool_calls" in entry else (),
        end=_end(entry, place),
        delay_ms=_pause(entry, "delay_ms", MAX_DELAY_MS, place),
        chunk_ms=_pause(entry, "chunk_ms", MAX_CHUNK_MS, place),
    )


def _calls(calls: object, place: str) -> tuple[AskedCall, ...]:
    if not isinstance(calls, list) or not calls:
        raise ScriptError(place, "must be a non-empty array")
    return tuple(_call(call, f"{place}[{index}]") for index, call in enumerate(calls))


def _call(call: object, place: str) -> AskedCall:
    if not isinstance(call, dict):
        raise ScriptError(place, "must be an object")
    name = _text(call.get("name"), f"{place}: name")
    if not 0 < len(name) <= MAX_NAME_LENGTH:
        raise ScriptError(f"{place}: name", f"must have 1 to {MAX_NAME_LENGTH} characters")
    return AskedCall(None, name, _arguments(call.get("arguments", {}), f"{place}: arguments"))


def _arguments(arguments: object, place: str) -> str:
    if isinstance(arguments, str):
        return _text(arguments, place)
    if not isinstance(arguments, dict):
        raise ScriptError(place, "must be an object or a string")
    try:
        return _text(compact(arguments), place)
    except (ValueError, RecursionError):
        raise ScriptError(place, "holds a number too large, or is nested too deeply") from None


def _end(entry: Mapping[str, Any], place: str) -> Failed | Incomplete | None:
    if "fail" in entry:
        return _failure(entry["fail"], f"{place}: fail")
    if "incomplete" in entry:
        reason = entry["incomplete"]
        if reason not in INCOMPLETE_REASONS:
            raise ScriptError(f"{place}: incomplete", f"must be {' or '.join(INCOMPLETE_REASONS)}")
        return Incomplete(reason)
    return None


def _failure(fail: object, place: str) -> Failed:
    if not isinstance(fail, dict):
        raise ScriptError(place, "must be an object")
    return Failed(
        code=_text(fail.get("code", "server_error"), f"{place}: code"),
        message=_text(fail.get("message", "scripted failure"), f"{place}: message"),
    )


def _pause(entry: Mapping[str, Any], key: str, most_ms: int, place: str) -> float:
    value = entry.get(key, 0)
    # bool is an int in Python, and no number in JSON.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most_ms:
        raise ScriptError(f"{place}: {key}", f"must be a number from 0 to {most_ms}")
    return value


def _text(value: object, place: str) -> str:
    """The value, which must be a string that Postgres can store; JSON can escape some that it cannot."""
    if not isinstance(value, str):
        raise ScriptError(place, "must be a string")
    try:
        storable = b"\0" not in value.encode()
    except UnicodeEncodeError:
        storable = False
    if not storable:
        raise ScriptError(place, "holds U+0000 or an unpaired surrogate")
    return value


def compact(value: object) -> str:
    """JSON without spaces, key order kept, non-ASCII unescaped; ValueError for what JSON cannot say."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _refuse_constant(word: str) -> NoReturn:
    # Python reads NaN and Infinity, JSON does not know them.
    raise ValueError(word)
