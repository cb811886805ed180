"""Logs: JSON lines on stderr, the same form in every process.

Each line has `timestamp` (UTC), `level`, `event` and `service`; the rest are ids, counts and times, never a
payload. Lines of libraries that use `logging` come out in the same form. An exception is told by its class and
where it came from, never by its message, which may quote anything.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    from structlog.typing import FilteringBoundLogger, Processor

FIRST: Final = ("timestamp", "level", "service", "event")
_sinks: list[Callable[[dict[str, Any]], None]] = []


def configure(service: str, *, level: int = logging.INFO) -> None:
    """Set up logging for this process, whose name every line carries; call once, before the first line."""
    import structlog  # noqa: PLC0415 - not every command logs

    shared = processors(service)
    structlog.configure(
        processors=[
            *shared,
            tell_exception,
            arranged,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter(service))
    logging.basicConfig(handlers=[handler], level=max(level, logging.INFO), force=True)


def get_logger(**values: Any) -> FilteringBoundLogger:
    """A logger with these values in each line: `get_logger(run_id=…).info("claimed", epoch=3)`."""
    import structlog  # noqa: PLC0415

    logger: FilteringBoundLogger = structlog.get_logger(**values)
    return logger


def formatter(service: str) -> logging.Formatter:
    """What gives lines of the standard `logging` the same form."""
    import structlog  # noqa: PLC0415

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=processors(service),
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            tell_exception,
            arranged,
            structlog.processors.JSONRenderer(),
        ],
    )


def processors(service: str) -> list[Processor]:
    """What every line goes through, wherever it comes from."""
    import structlog  # noqa: PLC0415

    def add_service(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line["service"] = service
        return line

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.add_log_level,
        add_service,
    ]


def tell_exception(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Say of an exception its classes and places: messages quote rows, arguments and replies."""
    found = line.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        line["exception"] = "\n".join(told(error))
    return line


def told(error: BaseException) -> Iterator[str]:
    """Yield the classes of an exception and of those it came from, each with the places it passed."""
    chain: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in chain:
        chain.append(cause)
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    for one in reversed(chain):
        for frame in traceback.extract_tb(one.__traceback__, limit=-30):
            yield f"{frame.filename}:{frame.lineno} in {frame.name}"
        state = getattr(one, "sqlstate", None)
        yield f"{type(one).__module__}.{type(one).__qualname__}" + (f" ({state})" if state else "")


def also(sink: Callable[[dict[str, Any]], None] | None) -> None:
    """Give every line to this one too, which must not log; None: to nobody any more."""
    _sinks[:] = [] if sink is None else [sink]


def arranged(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put what all lines have first."""
    found = {name: line[name] for name in (*FIRST, *line) if name in line}
    for sink in _sinks:
        sink(found)
    return found
