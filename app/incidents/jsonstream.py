"""Takes JSON objects out of a text piece by piece: a list, one object a line, or objects one after another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

LARGEST_OBJECT: Final = 4 << 20
_NEXT_OBJECT: Final = re.compile(r"\n[ \t\[,]*(?=\{)|(?<=[}\]]),\s*(?=\{)")
_BETWEEN: Final = re.compile(r"[\s,\[\]\x1e\x00]*")
_AFTER_VALUE: Final = re.compile(r"[ \t]*(?:[,\]\n]|\Z)")
_decode: Final = json.JSONDecoder().raw_decode


@dataclass(frozen=True, slots=True)
class Broken:
    """A piece of text that is no JSON object, why, and the text itself, up to 4 KiB."""

    why: str
    text: str


class JsonStream:
    """Yields ``(line, object)`` or ``(line, Broken)``; holds one object at a time, never the whole text."""

    def __init__(self, pieces: Iterator[str]) -> None:
        """Read from pieces of text."""
        self._pieces = pieces
        self._text = ""
        self._at = 0
        self._line = 1
        self._counted = 0
        self._ended = False
        self.saw_list = False

    def _more(self) -> bool:
        piece = next(self._pieces, None)
        if piece is None:
            self._ended = True
            return False
        self._line += self._text.count("\n", self._counted, self._at)
        self._text = self._text[self._at :] + piece
        self._at = self._counted = 0
        return True

    def _here(self) -> int:
        """Return the line of the current place."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _skip_between(self) -> bool:
        """Move to the next thing that is not white space, comma or bracket; False at the end."""
        while True:
            found = _BETWEEN.match(self._text, self._at)
            assert found is not None
            if "[" in found[0]:
                self.saw_list = True
            self._at = found.end()
            if self._at < len(self._text):
                return True
            if not self._more():
                return False

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any] | Broken]]:
        """Go through the text to its end."""
        while self._skip_between():
            if self._text[self._at] != "{":
                yield self._here(), self._stray("neither a JSON object nor a list of them")
                continue
            try:
                value, end = _decode(self._text, self._at)
            except RecursionError:
                yield self._here(), self._broken("JSON is nested too deeply")
            except json.JSONDecodeError as error:
                if self._may_go_on(error) and self._more():
                    continue
                yield self._here(), self._broken(f"no JSON object: {error.msg.lower()}")
            else:
                line = self._here()
                self._at = end
                yield line, value

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Tell whether the object may only be cut by the end of the piece."""
        if self._ended or len(self._text) - self._at > LARGEST_OBJECT:
            return False
        at_end = error.pos >= len(self._text) - 12
        return at_end or (error.msg.startswith("Unterminated string") and "\n" not in self._text[error.pos :])

    def _stray(self, why: str) -> Broken:
        """Skip one value that is no object, or else what is left of the line; return what was skipped."""
        while (end := self._end_of_stray()) < 0:
            if len(self._text) - self._at > LARGEST_OBJECT:
                self._here()
                self._at = len(self._text) - 4096
            self._more()
        text = self._text[self._at : min(end, self._at + 4096)]
        self._at = end
        return Broken(why, text)

    def _end_of_stray(self) -> int:
        """Return where a value that is no object ends, or its line; -1 where the text goes on."""
        try:
            end = _decode(self._text, self._at)[1]
        except (json.JSONDecodeError, RecursionError):
            end = -1
        if end >= 0 and _AFTER_VALUE.match(self._text, end) and (self._ended or end < len(self._text)):
            return end
        after = [
            self._text.find("\n", self._at),
            *(m.end() for m in [_NEXT_OBJECT.search(self._text, self._at + 1)] if m),
        ]
        return min((end for end in after if end >= 0), default=len(self._text) if self._ended else -1)

    def _broken(self, why: str) -> Broken:
        """Skip to where the next object may begin, and return what was skipped."""
        while True:
            found = _NEXT_OBJECT.search(self._text, self._at + 1)
            if found:
                text = self._text[self._at : min(found.start(), self._at + 4096)]
                self._at = found.end()
                return Broken(why, text)
            if len(self._text) - self._at > LARGEST_OBJECT:
                self._here()
                self._at = len(self._text) - 4096
            if not self._more():
                text = self._text[self._at : self._at + 4096]
                self._at = len(self._text)
                return Broken(why, text)
