"""Every metric: its names, its labels and what it says. The one list; dashboards and alerts are held against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True)
class Metric:
    """A metric. name: in OpenTelemetry's form; key: in statements and tallies; seconds: its unit, else a number."""

    name: str
    key: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    seconds: bool = False

    @property
    def prometheus(self) -> str:
        """The name in Prometheus' form, without `_total`, `_bucket` and the like."""
        return self.name.replace(".", "_") + ("_seconds" if self.seconds else "")

    @property
    def prometheus_labels(self) -> tuple[str, ...]:
        """The labels in Prometheus' form."""
        return tuple(label.replace(".", "_") for label in self.labels)

    @property
    def series(self) -> tuple[str, ...]:
        """Every name under which Prometheus finds it."""
        match self.kind:
            case "gauge":
                return (self.prometheus,)
            case "counter":
                return (f"{self.prometheus}_total",)
            case "histogram":
                return tuple(f"{self.prometheus}_{part}" for part in ("bucket", "count", "sum"))


TOOL: Final = "gen_ai.tool.name"
MODEL: Final = "gen_ai.request.model"

METRICS: Final = (
    Metric("counterfoil.runs", "runs", "gauge", "Active runs", ("status",)),
    Metric("counterfoil.calls.in_doubt", "calls_in_doubt", "gauge", "Calls whose outcome is not known", ("tool",)),
    Metric(
        "counterfoil.calls.in_doubt.oldest_age",
        "calls_in_doubt_oldest_age",
        "gauge",
        "How long the oldest of them has been in doubt",
        ("tool",),
        seconds=True,
    ),
    Metric("counterfoil.leases", "leases", "gauge", "Leases: held, or expired and not yet claimed anew", ("state",)),
    Metric("counterfoil.attention", "attention", "gauge", "What waits for a person; stops at 10,000", ("kind",)),
    Metric("counterfoil.queue.lag", "queue_lag", "gauge", "How late the longest due run is", seconds=True),
    Metric("counterfoil.workers", "workers", "gauge", "Workers seen within a minute"),
    Metric("counterfoil.tools.paused", "tools_paused", "gauge", "Tools that an operator has paused"),
    Metric("counterfoil.intents", "intents", "counter", "Attempts committed before their request"),
    Metric(
        "counterfoil.duplicates.suspected",
        "duplicates_suspected",
        "counter",
        "Calls that equal an earlier one of their thread",
        ("tool",),
    ),
    Metric("counterfoil.doubts", "doubts", "counter", "Calls that came into doubt", ("tool",)),
    Metric("counterfoil.conflicts", "conflicts", "counter", "Evidence against a verdict"),
    Metric("counterfoil.late_evidence", "late_evidence", "counter", "Replies and events after the verdict", ("tool",)),
    Metric("counterfoil.lookups", "lookups", "counter", "Lookups of calls in doubt", ("tool", "answer")),
    Metric("counterfoil.resolutions", "resolutions", "counter", "Operators' words about calls", ("verdict",)),
    Metric("counterfoil.lease.expirations", "lease_expirations", "counter", "Leases that ended unreleased"),
    Metric("counterfoil.fence.rejections", "fence_rejections", "counter", "Decisions dropped under lock", ("why",)),
    Metric(
        "counterfoil.turn.duration", "turn_duration", "histogram", "From a run's making to its end", ("status",), True
    ),
    Metric(
        "counterfoil.claim.delay", "claim_delay", "histogram", "From a run's making to its first claim", seconds=True
    ),
    Metric(
        "counterfoil.reconcile.duration",
        "reconcile_duration",
        "histogram",
        "From doubt to verdict",
        ("settled_by",),
        True,
    ),
    Metric(
        "gen_ai.execute_tool.duration",
        "execute_tool_duration",
        "histogram",
        "Requests to tools, by what they taught",
        (TOOL, "says"),
        True,
    ),
    Metric(
        "gen_ai.client.operation.duration",
        "model_duration",
        "histogram",
        "Requests to models; the label is the catalog's pattern",
        (MODEL, "error.type"),
        True,
    ),
    Metric("gen_ai.client.token.usage", "tokens", "counter", "Tokens", (MODEL, "gen_ai.token.type")),
)
BY_KEY: Final = {metric.key: metric for metric in METRICS}
