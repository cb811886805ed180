"""Server-sent events from bytes as they come in (WHATWG HTML, "Server-sent events"). Pure."""

import codecs
import re
from typing import Final

LINE_END: Final = re.compile(r"\r\n|\n|\r")


class EventStream:
    """Takes bytes in pieces of any size and gives the `data` of each event; all else in the stream is ignored."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._line = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> list[str]:
        """The data of the events that this piece completes."""
        return self._take(self._decoder.decode(chunk))

    def end(self) -> list[str]:
        """The data of a last event that no empty line followed."""
        return self._take(self._decoder.decode(b"", final=True) + "\n\n")

    def _take(self, text: str) -> list[str]:
        text = self._line + text
        # A carriage return at the end may be the first half of a line end.
        held = "\r" if text.endswith("\r") else ""
        *lines, rest = LINE_END.split(text.removesuffix(held))
        self._line = rest + held
        return [data for line in lines if (data := self._read(line)) is not None]

    def _read(self, line: str) -> str | None:
        if line.startswith("data:"):
            self._data.append(line.removeprefix("data:").removeprefix(" "))
        if line or not self._data:
            return None
        data, self._data = "\n".join(self._data), []
        return data
