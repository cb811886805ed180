"""`{effect_key}` and its kind in URLs and bodies; `${NAME:-default}` at the head of a URL."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

PLACEHOLDERS: Final = ("fingerprint", "effect_key", "run_id", "tool_call_id", "thread_id")

_PLACEHOLDER: Final = re.compile(r"\{(" + "|".join(PLACEHOLDERS) + r")\}")
_WORD_IN_BRACES: Final = re.compile(r"(?<!\$)\{([A-Za-z0-9_. -]*)\}")
_HEAD: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def named(text: str) -> set[str]:
    """The placeholders that stand in `text`."""
    return set(_PLACEHOLDER.findall(text))


def unknown(text: str) -> list[str]:
    """Words in braces that are no placeholder: slips of the pen."""
    return [word for word in _WORD_IN_BRACES.findall(text) if word not in PLACEHOLDERS]


def fill_url(url: str, marks: Mapping[str, str]) -> str:
    """`url` with each placeholder's value, percent-encoded."""
    return _PLACEHOLDER.sub(lambda found: quote(marks[found[1]], safe=""), url)


def fill(value: Any, marks: Mapping[str, str]) -> Any:
    """`value` (any JSON) with the placeholders in its strings filled in."""
    match value:
        case str():
            return _PLACEHOLDER.sub(lambda found: marks[found[1]], value)
        case Mapping():
            return {name: fill(item, marks) for name, item in value.items()}
        case list() | tuple():
            return [fill(item, marks) for item in value]
    return value


def expand_head(url: str, environ: Mapping[str, str]) -> str:
    """`url` with a leading `${NAME}` or `${NAME:-default}` replaced; KeyError(NAME) when there is neither."""
    head = _HEAD.match(url)
    if head is None:
        return url
    value = environ.get(head[1]) or head[2]  # as in the shell: empty counts as unset
    if value is None:
        raise KeyError(head[1])
    return value.rstrip("/") + url[head.end() :]
