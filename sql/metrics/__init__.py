"""Statements of what is seen from outside: gauges, and tallies that all processes share (docs/telemetry.md)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sql.ledger import columns
from sql.statement import Statement, no_rows, rows_of, scalar, statement

# Rows so old have no uncommitted ones before them: transactions end after seconds (sql.execute.GUARDS).
SETTLE_S: Final = 15.0
MOST_AT_ONCE: Final = 20_000
BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)
HISTOGRAMS: Final = (
    "turn_duration",
    "claim_delay",
    "reconcile_duration",
    "execute_tool_duration",
    "model_duration",
)


@dataclass(frozen=True)
class Tally:
    """A counter, or one bucket of a histogram. labels: a JSON list. count: this bucket's alone."""

    name: str
    labels: str
    bucket: float
    count: int
    total: float


@dataclass(frozen=True)
class Gauge:
    """What stands now; label empty where the gauge has none. Times are seconds."""

    name: str
    label: str
    value: float


def tally_events(*, settle_s: float = SETTLE_S, most: int = MOST_AT_ONCE) -> Statement[int]:
    """Counts run events; how many, fewer than `most` when there are no more or somebody else counts."""
    return _counting("metrics.tally_events", settle_s, most)


def tally_evidence(*, settle_s: float = SETTLE_S, most: int = MOST_AT_ONCE) -> Statement[int]:
    """Counts evidence; answers as `tally_events`."""
    return _counting("metrics.tally_evidence", settle_s, most)


def tally_audit(*, most: int = MOST_AT_ONCE) -> Statement[int]:
    """Counts operators' words; answers as `tally_events`."""
    return statement("metrics.tally_audit", scalar, most=most)


def add_tallies(tallies: Iterable[Tally]) -> Statement[None]:
    """Adds what a process counted by itself."""
    return statement("metrics.add_tallies", no_rows, **columns(tallies, Tally))


def read_tallies() -> Statement[list[Tally]]:
    """All counters and histograms, by name."""
    return statement("metrics.read_tallies", rows_of(Tally))


def read_gauges() -> Statement[list[Gauge]]:
    """All gauges."""
    return statement("metrics.read_gauges", rows_of(Gauge))


def _counting(name: str, settle_s: float, most: int, buckets: Sequence[float] = BUCKETS) -> Statement[int]:
    return statement(name, scalar, settle_s=settle_s, most=most, buckets=list(buckets), histograms=list(HISTOGRAMS))
