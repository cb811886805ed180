"""What is seen from outside: counters, histograms and spans; docs/telemetry.md lists them.

`count` and `observe` are for what no table holds; a process adds them to the shared tallies (`tallies.drain`).
Spans and OTLP cost nothing until `configure` finds an endpoint: OpenTelemetry is not even imported. Nothing here
ever takes a payload: labels and attributes are ids, states and names from the catalog.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from app.telemetry.tallies import TALLIES

if TYPE_CHECKING:
    from app.telemetry.otlp import Exporter

ENDPOINTS: Final = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
)
Attributes = Mapping[str, "str | int | float | bool | None"]
_exporter: Exporter | None = None


class Span:
    """A span, or nothing at all when tracing is off. traceparent: to hand on; None when tracing is off."""

    traceparent: str | None = None

    def set(self, **attributes: str | int | float | bool | None) -> None:
        """Sets attributes; a name's double underscore stands for a dot."""

    def fail(self, kind: str) -> None:
        """Marks it as failed; kind: a word for `error.type`."""


NOTHING: Final = Span()


def wanted(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment names a receiver and does not switch the SDK off."""
    off = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return not off and any(environ.get(name, "").strip() for name in ENDPOINTS)


def configure(service: str) -> None:
    """Starts exporting by OTLP where the environment asks for it; after a fork, and once in a process."""
    global _exporter  # noqa: PLW0603
    if _exporter is None and wanted():
        from app.telemetry.otlp import Exporter  # noqa: PLC0415

        _exporter = Exporter(service)


def shut_down() -> None:
    """Sends what is left, and stops exporting."""
    global _exporter  # noqa: PLW0603
    if _exporter is not None:
        _exporter.shut_down()
        _exporter = None


def enabled() -> bool:
    """Whether this process exports."""
    return _exporter is not None


@contextmanager
def span(
    name: str,
    attributes: Attributes | None = None,
    *,
    parent: str | None = None,
    link: str | None = None,
    kind: str = "internal",
) -> Iterator[Span]:
    """A span around what is done inside. parent, link: a traceparent; kind: internal, client, server or consumer.

    An exception marks it as failed by its class alone: what it says may be a payload.
    """
    if _exporter is None:
        yield NOTHING
        return
    with _exporter.span(name, attributes or {}, parent=parent, link=link, kind=kind) as opened:
        yield opened


def moment(name: str, began_ns: int, attributes: Attributes | None = None) -> str | None:
    """A span that began then (nanoseconds since 1970) and ends now; its traceparent, to be linked to."""
    return None if _exporter is None else _exporter.moment(name, began_ns, attributes or {})


def current_traceparent() -> str | None:
    """The span that is open here, to be stored or sent; None when tracing is off."""
    return None if _exporter is None else _exporter.current_traceparent()


def count(name: str, *labels: str, by: int = 1) -> None:
    """Adds to a counter of `app.telemetry.names`."""
    TALLIES.count(name, labels, by)
    if _exporter is not None:
        _exporter.count(name, labels, by)


def observe(name: str, value: float, *labels: str) -> None:
    """Adds to a histogram of `app.telemetry.names`; seconds."""
    TALLIES.observe(name, labels, value)
    if _exporter is not None:
        _exporter.observe(name, labels, value)
