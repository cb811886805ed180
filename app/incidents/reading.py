"""Opens logs as they lie about: plain or gzip, a file or standard input, any line end, and never all at once."""

from __future__ import annotations

import codecs
import io
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

CHUNK_BYTES: Final = 1 << 20

Progress = Callable[[int], None]


class UnusableInputError(Exception):
    """{file}: line {line}: {wrong}; without a line where the file itself is what is wrong"""

    def __init__(self, file: str, line: int, wrong: str) -> None:
        """Say which file, which line (0 is none), and what is wrong with it."""
        super().__init__(f"{file}: line {line}: {wrong}" if line else f"{file}: {wrong}")
        self.file, self.line, self.wrong = file, line, wrong


class _Counting(io.RawIOBase):
    """Passes bytes through and reports how many, so that progress is measured before decompression."""

    def __init__(self, inner: BinaryIO, progress: Progress | None) -> None:
        self._inner, self._progress = inner, progress

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        data = self._inner.read(len(view))
        view[: len(data)] = data
        if self._progress:
            self._progress(len(data))
        return len(data)

    def close(self) -> None:
        if self._inner is not sys.stdin.buffer:
            self._inner.close()
        super().close()


class _Gunzip:
    """Decompresses gzip piece by piece; unlike the library's file, it gives what came before the damage."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=31)
        self._held = b""
        self._done = False

    def read(self, source: BinaryIO) -> bytes:
        """Return about a megabyte of text, none at the end; raises EOFError or zlib.error at what is broken."""
        while True:
            data = self._held or source.read(CHUNK_BYTES // 8)
            if not data:
                if self._done:
                    return b""
                raise EOFError("no end mark")
            if self._done:
                self._stream, self._done = zlib.decompressobj(wbits=31), False
            text = self._stream.decompress(data, CHUNK_BYTES)
            self._done = self._stream.eof
            self._held = self._stream.unused_data if self._done else self._stream.unconsumed_tail
            if text:
                return text


class LogFile:
    """One file as text in pieces; `broken` says why it ended early, when it did (gzip cut off)."""

    def __init__(self, file: str, progress: Progress | None = None) -> None:
        """Open it; raises UnusableInputError when the system will not."""
        self.file = file
        self.broken: str | None = None
        try:
            raw = sys.stdin.buffer if file == "-" else Path(file).open("rb")  # noqa: SIM115
        except OSError as error:
            raise UnusableInputError(file, 0, error.strerror or str(error)) from None
        self._buffer = io.BufferedReader(_Counting(raw, progress), CHUNK_BYTES)
        self._bytes = cast("BinaryIO", self._buffer)
        self._gunzip = _Gunzip() if self._peek().startswith(b"\x1f\x8b") else None

    def _peek(self) -> bytes:
        try:
            return self._buffer.peek(4)[:4]
        except OSError as error:
            raise UnusableInputError(self.file, 0, error.strerror or str(error)) from None

    def _read(self) -> bytes:
        """Return the next bytes, decompressed; none at the end."""
        try:
            if self._gunzip is None:
                return self._bytes.read(CHUNK_BYTES)
            return self._gunzip.read(self._bytes)
        except (EOFError, zlib.error) as error:
            self.broken = f"compressed data end early or are damaged ({error})"
            return b""
        except OSError as error:
            raise UnusableInputError(self.file, 0, error.strerror or str(error)) from None

    def pieces(self) -> Iterator[str]:
        """Yield the text in pieces of about a megabyte, line ends made LF, undecodable bytes replaced."""
        data = self._read()
        decoder = codecs.getincrementaldecoder(_encoding(data))(errors="replace")
        held = ""
        while data:
            text = held + decoder.decode(data)
            held = "\r" if text.endswith("\r") else ""
            text = text[: len(text) - len(held)]
            yield text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
            data = self._read()
        tail = held + decoder.decode(b"", final=True)
        if tail:
            yield tail.replace("\r", "\n")

    def close(self) -> None:
        """Close what was opened; standard input stays open."""
        self._bytes.close()


def _encoding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    return "utf-8-sig"
