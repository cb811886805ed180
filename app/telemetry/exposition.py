"""Gauges and tallies as Prometheus' text."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from app.telemetry.names import BY_KEY, METRICS, Metric
from sql.metrics import BUCKETS, Gauge, Tally


def exposed(gauges: Iterable[Gauge], tallies: Iterable[Tally]) -> bytes:
    """The text; a metric of which nothing is known yet is named all the same."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Shown(gauges, tallies))
    return generate_latest(registry)


class _Shown(Collector):
    def __init__(self, gauges: Iterable[Gauge], tallies: Iterable[Tally]) -> None:
        self._gauges = _by_key(gauges)
        self._tallies = _by_key(tallies)

    def collect(self) -> Iterator[Family]:
        """Every metric of the list, in its order."""
        for metric in METRICS:
            match metric.kind:
                case "gauge":
                    yield _gauge(metric, self._gauges[metric.key])
                case "counter":
                    yield _counter(metric, self._tallies[metric.key])
                case "histogram":
                    yield _histogram(metric, self._tallies[metric.key])


def _by_key(rows: Iterable[Gauge | Tally]) -> Mapping[str, list[Gauge | Tally]]:
    found: dict[str, list[Gauge | Tally]] = defaultdict(list)
    for row in rows:
        if row.name in BY_KEY:  # an older or newer version may count what this one does not know
            found[row.name].append(row)
    return found


def _gauge(metric: Metric, rows: Sequence[Gauge | Tally]) -> Family:
    family = GaugeMetricFamily(metric.prometheus, metric.help, labels=metric.prometheus_labels)
    for row in rows:
        if isinstance(row, Gauge):
            family.add_metric([row.label] if metric.labels else [], row.value)
    return family


def _counter(metric: Metric, rows: Sequence[Gauge | Tally]) -> Family:
    family = CounterMetricFamily(metric.prometheus, metric.help, labels=metric.prometheus_labels)
    if not rows and not metric.labels:
        family.add_metric([], 0)
    for row in rows:
        if isinstance(row, Tally):
            family.add_metric(json.loads(row.labels), row.count)
    return family


def _histogram(metric: Metric, rows: Sequence[Gauge | Tally]) -> Family:
    family = HistogramMetricFamily(metric.prometheus, metric.help, labels=metric.prometheus_labels)
    series: dict[str, dict[float, Tally]] = defaultdict(dict)
    for row in rows:
        if isinstance(row, Tally):
            series[row.labels][row.bucket] = row
    if not series and not metric.labels:
        series["[]"] = {}
    for labels, found in series.items():
        buckets, so_far = [], 0
        for bound in (*BUCKETS, float("inf")):
            so_far += found[bound].count if bound in found else 0
            buckets.append(("+Inf" if bound == float("inf") else str(bound), so_far))
        family.add_metric(json.loads(labels), buckets, sum(tally.total for tally in found.values()))
    return family
