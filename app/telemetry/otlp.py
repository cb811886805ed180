"""Traces, metrics and logs by OTLP over HTTP. Imported only where an endpoint is set.

Sampling and the like are the SDK's own variables (`OTEL_TRACES_SAMPLER=parentbased_traceidratio` …). What is
instrumented is what we name: no library's automatic attributes, which quote URLs and statements.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import Any, Final

from opentelemetry import context, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExplicitBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import logs
from app.telemetry import Attributes, Span
from app.telemetry.names import BY_KEY
from sql.metrics import BUCKETS

KINDS: Final = {
    "internal": SpanKind.INTERNAL,
    "client": SpanKind.CLIENT,
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
}
SEVERITIES: Final = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
PROPAGATOR: Final = TraceContextTextMapPropagator()


def installed_version() -> str:
    """The product's version, where it is installed as a package."""
    try:
        return metadata.version("counterfoil")
    except metadata.PackageNotFoundError:
        return "unknown"


def asked_for(signal: str) -> bool:
    """Whether TRACES, METRICS or LOGS have somewhere to go, and are not switched off (`OTEL_LOGS_EXPORTER=none`)."""
    off = os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() == "none"
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "").strip()
    return not off and bool(own or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip())


class RecordedSpan(Span):
    """A span of the SDK's, which keeps ids and words."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self.traceparent = _traceparent(span.get_span_context())

    def set(self, **attributes: str | int | float | bool | None) -> None:
        """Sets attributes; a name's double underscore stands for a dot."""
        self._span.set_attributes({k.replace("__", "."): v for k, v in attributes.items() if v is not None})

    def fail(self, kind: str) -> None:
        """Marks it as failed."""
        self._span.set_attribute("error.type", kind)
        self._span.set_status(Status(StatusCode.ERROR))


class Exporter:
    """The three providers of one process."""

    def __init__(self, service: str) -> None:
        resource = Resource.create({"service.name": f"counterfoil-{service}", "service.version": installed_version()})
        self._traces = TracerProvider(resource=resource)
        if asked_for("TRACES"):
            self._traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._traces.get_tracer("counterfoil")
        self._metrics = MeterProvider(
            resource=resource,
            metric_readers=[PeriodicExportingMetricReader(OTLPMetricExporter())] if asked_for("METRICS") else [],
            views=[View(instrument_name="*.duration", aggregation=ExplicitBucketHistogramAggregation(BUCKETS))],
        )
        self._meter = self._metrics.get_meter("counterfoil")
        self._instruments: dict[str, Any] = {}
        self._logs = LoggerProvider(resource=resource)
        if asked_for("LOGS"):
            self._logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
            logs.also(self.log)
        self._logger = self._logs.get_logger("counterfoil")
        for noisy in ("opentelemetry", "urllib3"):
            # A receiver that is away must not fill our own log, nor call itself about it.
            logging.getLogger(noisy).setLevel(logging.CRITICAL)

    def shut_down(self) -> None:
        """Sends what is left."""
        logs.also(None)
        self._traces.shutdown()
        self._metrics.shutdown()
        self._logs.shutdown()

    @contextmanager
    def span(
        self, name: str, attributes: Attributes, *, parent: str | None, link: str | None, kind: str
    ) -> Iterator[Span]:
        """A span that is the current one inside; see `app.telemetry.span`."""
        inside = context.get_current() if parent is None else _context_of(parent)
        links = [Link(found)] if link is not None and (found := _span_context(link)).is_valid else []
        kept = {key: value for key, value in attributes.items() if value is not None}
        span = self._tracer.start_span(name, inside, KINDS[kind], kept, links)
        token = context.attach(trace.set_span_in_context(span, inside))
        opened = RecordedSpan(span)
        try:
            yield opened
        except BaseException as error:
            opened.fail(type(error).__name__)
            raise
        finally:
            context.detach(token)
            span.end()

    def moment(self, name: str, began_ns: int, attributes: Attributes) -> str | None:
        """A span that began then and ends now."""
        kept = {key: value for key, value in attributes.items() if value is not None}
        span = self._tracer.start_span(name, context.Context(), attributes=kept, start_time=began_ns)
        span.end()
        return _traceparent(span.get_span_context())

    def current_traceparent(self) -> str | None:
        """The current span's."""
        return _traceparent(trace.get_current_span().get_span_context())

    def count(self, key: str, labels: Sequence[str], by: int) -> None:
        """Adds to a counter."""
        self._instrument(key).add(by, dict(zip(BY_KEY[key].labels, labels, strict=True)))

    def observe(self, key: str, labels: Sequence[str], value: float) -> None:
        """Adds to a histogram."""
        self._instrument(key).record(value, dict(zip(BY_KEY[key].labels, labels, strict=True)))

    def log(self, line: dict[str, Any]) -> None:
        """A line of our logs, as it went to stderr."""
        level = str(line.get("level", "info"))
        kept = {
            k: v for k, v in line.items() if isinstance(v, str | int | float | bool) and k not in ("event", "level")
        }
        self._logger.emit(
            severity_number=SEVERITIES.get(level, SeverityNumber.INFO),
            severity_text=level,
            body=str(line.get("event", "")),
            attributes=kept,
        )

    def _instrument(self, key: str) -> Any:
        if key not in self._instruments:
            metric = BY_KEY[key]
            unit = "s" if metric.seconds else "1"
            make = self._meter.create_histogram if metric.kind == "histogram" else self._meter.create_counter
            self._instruments[key] = make(metric.name, unit, metric.help)
        return self._instruments[key]


def _traceparent(found: SpanContext) -> str | None:
    if not found.is_valid:
        return None
    return f"00-{found.trace_id:032x}-{found.span_id:016x}-{found.trace_flags:02x}"


def _context_of(traceparent: str) -> context.Context:
    return PROPAGATOR.extract({"traceparent": traceparent}, context.Context())


def _span_context(traceparent: str) -> SpanContext:
    return trace.get_current_span(_context_of(traceparent)).get_span_context()
