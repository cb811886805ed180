"""Logs: JSON lines on stderr, the same form in every process.

Each line has `timestamp` (UTC), `level`, `event` and `service`; the rest are ids, counts and times, never a
payload. Lines of libraries that use `logging` come out in the same form.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import FilteringBoundLogger, Processor

DATA_LINES: Final = ("DETAIL:", "CONTEXT:", "LINE ", "QUERY:")  # of a database error: they quote rows

FIRST: Final = ("timestamp", "level", "service", "event")


def configure(service: str, *, level: int = logging.INFO) -> None:
    """Set up logging for this process, whose name every line carries; call once, before the first line."""
    import structlog  # noqa: PLC0415 - not every command logs

    shared = processors(service)
    structlog.configure(
        processors=[
            *shared,
            structlog.processors.format_exc_info,
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
            structlog.processors.format_exc_info,
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


def arranged(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take out of a traceback what a database error quotes from rows; put what all lines have first."""
    if isinstance(text := line.get("exception"), str):
        kept = (part for part in text.splitlines() if not part.startswith(DATA_LINES))
        line["exception"] = "\n".join(kept)
    return {name: line[name] for name in (*FIRST, *line) if name in line}
