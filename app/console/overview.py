"""The first page: whether anything waits for a person, and whether the rest moves. Every number leads to its rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Blueprint, render_template

from app.console.attention import entries, with_details, without_echoes
from app.console.common import attention, first_id
from app.console.looking import look
from sql.console import Turns, overview, recent_turns

routes = Blueprint("overview", __name__)


@dataclass(frozen=True)
class Bar:
    """One bar of a chart, in the chart's own units: where it stands, how high, and what it says."""

    x: float
    y: float
    height: float
    label: str


@routes.get("/")
def index() -> str:
    """All numbers from indexes, charts of the last hour."""
    from_id = first_id("run", datetime.now(UTC) - timedelta(hours=1))
    numbers, turns, waiting = look(overview(), recent_turns(from_id), attention(most=10_001))
    kinds = Counter(row.attention for row in waiting)
    first = with_details(entries(without_echoes(waiting))[:20])[:5]
    return render_template(
        "console/overview.html",
        numbers=numbers,
        kinds=kinds,
        all=len(without_echoes(waiting)),
        first=first,
        turns=turns,
        made=bars([float(t.made) for t in turns], [f"{t.made} runs made" for t in turns], turns),
        slow=bars([t.p95_s or 0.0 for t in turns], [latency(t) for t in turns], turns),
        most_made=max((t.made for t in turns), default=0),
        most_s=max((t.p95_s or 0.0 for t in turns), default=0.0),
    )


def bars(values: list[float], labels: list[str], turns: list[Turns]) -> list[Bar]:
    """Twelve bars, 24 wide in steps of 28, at most 60 high."""
    most = max(values, default=0.0) or 1.0
    heights = [max(60 * value / most, 2.0 if value else 0.0) for value in values]
    return [
        Bar(28.0 * place, 64 - height, height, f"until {turn.until:%H:%M}: {label}")
        for place, (height, label, turn) in enumerate(zip(heights, labels, turns, strict=True))
    ]


def latency(turn: Turns) -> str:
    """How long turns took, in words."""
    if turn.p95_s is None or turn.p50_s is None:
        return "no turn completed"
    return f"half of the turns took under {turn.p50_s:.1f} s, 95% under {turn.p95_s:.1f} s"
