"""What ops/ and the runbooks name exists: metrics, labels, alerts, commands."""

import json
import re
import shutil
import subprocess
from typing import Final

import pytest

from app.cli import COMMANDS
from app.telemetry.names import METRICS
from sql.metrics import HISTOGRAMS
from tests.support.processes import ROOT

SERIES: Final = {name: set(metric.prometheus_labels) for metric in METRICS for name in metric.series}
NAME: Final = re.compile(r"\b(?:counterfoil|gen_ai)_[a-z_]+[a-z]\b")
ALERTS: Final = ROOT / "ops/prometheus/alerts.yml"
RUNBOOKS: Final = (ROOT / "docs/runbooks.md").read_text(encoding="utf-8")


def expressions() -> list[str]:
    """Every expression of alerts and dashboard."""
    rules = re.findall(r"expr: ['\"](.*)['\"]$", ALERTS.read_text(encoding="utf-8"), re.MULTILINE)
    board = json.loads((ROOT / "ops/grafana/counterfoil.json").read_text(encoding="utf-8"))
    return rules + [target["expr"] for panel in board["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("expression", expressions())
def test_every_metric_that_is_named_exists(expression: str) -> None:
    labels = {label for known in SERIES.values() for label in known}
    names = set(NAME.findall(expression)) - labels
    assert names, "an expression is about a metric"
    assert names <= SERIES.keys()
    for group in re.findall(r"by \(([^)]*)\)", expression):
        asked = {label.strip() for label in group.split(",")} - {"le"}
        assert all(asked <= SERIES[name] for name in names)
    for name, selector in re.findall(r"([a-z_]+)\{([^}]*)\}", expression):
        assert set(re.findall(r"(\w+)\s*[!=]", selector)) <= SERIES[name]


def test_the_dashboard_shows_every_metric() -> None:
    shown = {name for expression in expressions() for name in NAME.findall(expression)}
    assert [metric.name for metric in METRICS if not shown & set(metric.series)] == []


def test_histograms_are_the_same_in_statements_and_in_the_list() -> None:
    assert {metric.key for metric in METRICS if metric.kind == "histogram"} == set(HISTOGRAMS)


def test_every_alert_has_its_page() -> None:
    names = re.findall(r"alert: (\w+)", ALERTS.read_text(encoding="utf-8"))
    assert len(names) == len(set(names)) >= 10
    assert re.findall(r"^## (\w+)$", RUNBOOKS, re.MULTILINE) == names
    for name in names:
        page = RUNBOOKS.split(f"## {name}\n")[1].split("\n## ")[0]
        assert all(f"**{part}.**" in page for part in ("Means", "Look at", "Do")), name


def test_every_command_of_the_runbooks_exists() -> None:
    told = re.findall(r"`counterfoil ([a-z]+(?: [a-z]+)?)", RUNBOOKS)
    known = {word for name in COMMANDS for word in (name, name.split()[0])}
    assert told
    assert [words for words in told if words not in known and words.split()[0] not in COMMANDS] == []


@pytest.mark.parametrize("name", [metric.name for metric in METRICS])
def test_every_metric_is_documented(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs/telemetry.md").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's package `prometheus`")
def test_prometheus_itself_finds_no_mistake() -> None:
    for kind, file in (("rules", "alerts.yml"), ("config", "prometheus.yml")):
        command = ["promtool", "check", kind, str(ROOT / "ops/prometheus" / file)]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stdout + run.stderr
