"""Reads files into records: opens, tells forms apart by content, counts what cannot be read, sorts on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import chain
from typing import Any, Final

from app.incidents.answer import Explanation
from app.incidents.audit import read_audit, read_context
from app.incidents.explain import WINDOW_S, explain
from app.incidents.gateway import GatewayReader
from app.incidents.jsonstream import Broken, JsonStream
from app.incidents.lines import LineReader
from app.incidents.model import Survey
from app.incidents.product import is_export, is_product_log, read_product
from app.incidents.reading import LogFile, Progress, UnusableInputError
from app.incidents.records import Record, Source
from app.incidents.spill import Sorter
from app.incidents.times import Days

_READ_ORDER: Final = ("audit", "coordinator", "submitter", "context", "gateway")
"""The gateway last: it takes its day from the others."""
_DAY_FROM: Final = ("coordinator", "submitter", "audit", "context")


def investigate_files(
    files: Mapping[str, Sequence[str]],
    *,
    day: date | None = None,
    window_s: float = WINDOW_S,
    progress: Progress | None = None,
) -> Explanation:
    """Explain what the files of each source say; raises UnusableInputError.

    `files` maps ``coordinator``, ``gateway``, ``audit``, ``submitter`` and ``context`` to paths, ``-`` is standard
    input; `day` is that of times without one; `progress` is told how many bytes were read.
    """
    sorter = Sorter()
    try:
        survey = _read_all(files, day, progress, sorter)
        return explain(iter(sorter), survey=survey, window_s=window_s)
    finally:
        sorter.close()


def read_records(files: Mapping[str, Sequence[str]], *, day: date | None = None) -> tuple[list[Record], list[Source]]:
    """Return all records of the files at once, for `explain`, with their sources; raises UnusableInputError."""
    sorter = Sorter()
    try:
        survey = _read_all(files, day, None, sorter)
        return list(sorter), survey.sources
    finally:
        sorter.close()


def _read_all(
    files: Mapping[str, Sequence[str]], day: date | None, progress: Progress | None, sorter: Sorter
) -> Survey:
    sources = [Source(name, file) for name in ("coordinator", "gateway", "audit", "submitter", "context")
               for file in files.get(name, ())]  # fmt: skip
    survey = Survey(sources)
    earliest: dict[str, int] = {}
    for name in _READ_ORDER:
        near = next((earliest[other] for other in _DAY_FROM if other in earliest), None)
        for index, source in enumerate(sources):
            if source.name != name:
                continue
            for record in _read(source, index, Days(day, near), progress):
                survey.look(record)
                sorter.add(record)
                if record.at < earliest.get(name, record.at + 1):
                    earliest[name] = record.at
    _refuse_unusable(sources)
    return survey


def _refuse_unusable(sources: list[Source]) -> None:
    """Raise where nothing can be read in any file; one bad file among good ones is told of and stops nothing."""
    if not sources or any(source.records or source.explicit_empty for source in sources):
        return
    for source in sources:
        if source.unread:
            reason, line = next(iter(source.unread_lines.items()))
            raise UnusableInputError(source.file, line, reason)
    raise UnusableInputError(sources[0].file, 1, "no record in any of the files")


def _read(source: Source, index: int, days: Days, progress: Progress | None) -> Iterator[Record]:
    """Yield the records of one file; raises UnusableInputError when it cannot be opened."""
    log = LogFile(source.file, progress)
    try:
        pieces = log.pieces()
        head = next(pieces, "")
        text = chain([head], pieces)
        if source.name in ("audit", "context") or _is_json(head):
            yield from _read_json(source, index, text)
        else:
            yield from _read_lines(source, index, days, _lines(text))
        if log.broken:
            source.miss(0, log.broken)
    finally:
        log.close()


def _is_json(head: str) -> bool:
    """Tell JSON from log lines: it begins so, and none of the first lines begins with a time."""
    lines = [line for line in head[:20_000].split("\n")[:40] if line.strip()]
    return head.lstrip()[:1] in ("{", "[") and not any(line[0].isdecimal() for line in lines)


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    """Yield lines without their end; of a line over 1 MiB only its beginning."""
    carry = ""
    for piece in pieces:
        lines = (carry + piece).split("\n")
        carry = lines.pop()[: 1 << 20]
        yield from lines
    if carry:
        yield carry


def _read_json(source: Source, index: int, pieces: Iterable[str]) -> Iterator[Record]:
    stream = JsonStream(iter(pieces))
    reader: Callable[[Source, int, int, dict[str, Any] | Broken], Record | None]
    reader = read_context if source.name == "context" else read_audit
    for line, value in stream:
        if isinstance(value, dict) and (is_export(value) or is_product_log(value)):
            yield from read_product(source, index, line, value)
        elif source.name in ("audit", "context"):
            if isinstance(value, dict) and "event" not in value and isinstance(value.get("events"), list):
                records = (reader(source, index, line, v) for v in value["events"] if isinstance(v, dict))
                yield from (record for record in records if record is not None)
                continue
            record = reader(source, index, line, value)
            if record is not None:
                yield record
        else:
            source.miss(line, value.why if isinstance(value, Broken) else "JSON that is no log line of the product")
    source.explicit_empty = stream.saw_list and not source.records and not source.unread


def _read_lines(source: Source, index: int, days: Days, lines: Iterable[str]) -> Iterator[Record]:
    if source.name == "gateway":
        gateway = GatewayReader(source, index, days)
        for number, line in enumerate(lines, 1):
            request = gateway.read(number, line)
            if request is not None:
                yield request
        request = gateway.finish()
        if request is not None:
            yield request
        return
    reader = LineReader(source, index, days)
    for number, line in enumerate(lines, 1):
        if line.startswith("{"):
            yield from _read_json_line(source, index, number, line)
        else:
            record = reader.read(number, line)
            if record is not None:
                yield record


def _read_json_line(source: Source, index: int, number: int, line: str) -> Iterator[Record]:
    for _, value in JsonStream(iter([line])):
        if isinstance(value, dict) and (is_export(value) or is_product_log(value)):
            yield from read_product(source, index, number, value)
        else:
            source.miss(number, "JSON that is no log line of the product")
