"""Reads one TOML table key by key, noting what does not fit and going on: all mistakes show at once."""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from app.catalog.mistakes import Notes
from app.catalog.placeholders import expand_head

SECRET_PREFIX: Final = "env:"
_TYPES: Final = {"text": str, "a table": dict, "true or false": bool}

# Later times could not be reckoned with.
LONGEST_S: Final = 10 * 365 * 86400.0


class Section:
    """One table of the catalog. Each `take_…` returns the value, or the default after noting what is wrong."""

    def __init__(self, notes: Notes, table: str, values: Mapping[str, Any], prefix: str = "") -> None:
        self.notes = notes
        self.table = table
        self.values = values
        self._prefix = prefix
        self._taken: set[str] = set()

    def note(self, key: str, problem: str, wanted: str) -> None:
        """Note a mistake at `key`; "" is the table itself."""
        self.notes.add(self.table, (self._prefix + key).rstrip("."), problem, wanted)

    def given(self, key: str) -> bool:
        """Whether the file has the key."""
        return key in self.values

    def below(self, key: str) -> "Section":
        """The table under `key`, as a section of its own."""
        return Section(self.notes, self.table, self.values[key], f"{self._prefix}{key}.")

    def take(self, key: str, kind: str, default: Any = None) -> Any:
        """A value of the named kind: "text", "a table", "true or false"."""
        self._taken.add(key)
        if key not in self.values:
            return default
        value = self.values[key]
        if type(value) is not _TYPES[kind]:
            self.note(key, f"{value!r} is not {kind}", f"write {kind}")
            return default
        return value

    def take_text(self, key: str, default: str | None = None) -> str | None:
        """Text that is not empty."""
        value: str | None = self.take(key, "text", default)
        if self.given(key) and value == "":
            self.note(key, "is empty", "write a value, or leave the key out")
            return default
        return value

    def require(self, key: str, why: str) -> str | None:
        """Text that must be there; `why` names what would be right."""
        if not self.given(key):
            self._taken.add(key)
            self.note(key, "is missing", why)
            return None
        return self.take_text(key)

    def take_word(self, key: str, words: tuple[str, ...], default: str) -> str:
        """One of the words."""
        value = self.take(key, "text", default)
        if value not in words:
            self.note(key, f"{value!r} is no choice", "one of " + ", ".join(f'"{word}"' for word in words))
            return default
        return str(value)

    def take_seconds(self, key: str, default: Any, *, zero: bool) -> Any:
        """Seconds, fractions allowed; `zero`: whether 0 is a value too."""
        self._taken.add(key)
        value = self.values.get(key, default)
        if not self.given(key):
            return default
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not number or value < 0 or (value == 0 and not zero):
            self.note(key, f"{value!r} is not a time", f"seconds, {'0 or more' if zero else 'more than 0'}")
            return default
        if value > LONGEST_S:
            self.note(key, f"{value!r} is longer than ten years", "fewer seconds; 0 for ever, where the key allows it")
            return default
        return float(value)

    def take_count(self, key: str, default: int, least: int = 1) -> int:
        """A whole number, `least` or more."""
        self._taken.add(key)
        value = self.values.get(key, default)
        if type(value) is not int or value < least:
            self.note(key, f"{value!r} does not fit", f"a whole number, {least} or more")
            return default
        return value

    def take_statuses(self, key: str, low: int, high: int) -> tuple[int, ...]:
        """A list of HTTP statuses between `low` and `high`."""
        self._taken.add(key)
        value = self.values.get(key, [])
        fits = isinstance(value, list) and all(type(item) is int and low <= item <= high for item in value)
        if not fits:
            self.note(key, f"{value!r} does not fit", f"a list of statuses from {low} to {high}, like [429]")
            return ()
        return tuple(value)

    def take_url(self, key: str, environ: Mapping[str, str], check: Callable[[str], str | None]) -> str:
        """A URL that must be there, its `${NAME:-default}` expanded; `check` says what is wrong with it."""
        text = self.require(key, 'write an address, like "https://tools.example/tickets"')
        if text is None:
            return ""
        try:
            url = expand_head(text, environ)
        except KeyError as unset:
            name = unset.args[0]
            self.note(key, f"the environment has no {name}", f"set {name}, or give a default: ${{{name}:-http://…}}")
            return ""
        if problem := check(url):
            self.note(key, f"{url!r} {problem}", 'write an address, like "https://tools.example/tickets"')
        return url

    def secret(self, key: str, value: str | None, environ: Mapping[str, str]) -> str | None:
        """`value`, with `env:NAME` looked up."""
        if value is None or not value.startswith(SECRET_PREFIX):
            return value
        name = value.removeprefix(SECRET_PREFIX)
        if not environ.get(name):
            self.note(key, f"the environment has no {name}", f"set {name}")
            return None
        return environ[name]

    def done(self, known: tuple[str, ...] = ()) -> None:
        """Note every key that nobody asked for."""
        for key in self.values:
            if key not in self._taken and key not in known:
                self.notes.unknown_key(self.table, self._prefix + key, {*self._taken, *known})
