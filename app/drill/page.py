"""A drill's result as one page of HTML that needs nothing else."""

from __future__ import annotations

import html
from pathlib import Path
from typing import Any, Final

from app.drill.play import Result

STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1c1c1c }
h1 { font-size: 1.5rem } table { border-collapse: collapse; width: 100% } caption { text-align: left; font-weight: 600 }
td, th { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #ddd; vertical-align: top }
td:last-child { font-variant-numeric: tabular-nums } .bad { color: #a40000; font-weight: 600 }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #e4e4e4 } td, th { border-color: #3a3d44 }
.bad { color: #ff8d85 } }
"""
HARD: Final = ("duplicates", "lost", "wrong_output")
HIDDEN: Final = ("violations", "complaints", "needs_operator_by_tool")


def write_page(file: Path, result: Result, *, ledger: str, workers: int) -> None:
    """Write the page."""
    verdict = "nothing was doubled, lost or told wrong" if result.clean else "something must not be as it is"
    title = f"Drill {result.figures['seed']}: {verdict}"
    how = f"counterfoil drill --runs {result.figures['runs']} --workers {workers} --seed {result.figures['seed']}"
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{html.escape(title)}</title>",
        "<meta name=viewport content='width=device-width'>",
        f"<style>{STYLE}</style><h1>{html.escape(title)}</h1>",
        f"<p>Again: <code>{html.escape(how)} --ledger {ledger}</code></p>",
        _table("Figures", [(name, _shown(value), name in HARD and value) for name, value in result.figures.items()]),
        _table("Beside them", [(n, _shown(v), False) for n, v in result.more.items() if n not in HIDDEN]),
        _table("Waiting for an operator", [(n, _shown(v), False) for n, v in _by_tool(result).items()]),
        _table(
            "What must not be",
            [(f"{v.kind}: {v.why}", f"{v.run_id} {v.tool_call_id}", True) for v in result.violations],
        ),
    ]
    file.write_text("\n".join(parts), encoding="utf-8")


def _by_tool(result: Result) -> dict[str, Any]:
    found: dict[str, Any] = result.more["needs_operator_by_tool"]
    return found


def _table(caption: str, rows: list[tuple[str, str, Any]]) -> str:
    if not rows:
        return ""
    lines = [
        f"<tr><td{' class=bad' if bad else ''}>{html.escape(name.replace('_', ' '))}<td>{html.escape(value)}"
        for name, value, bad in rows
    ]
    return f"<table><caption>{html.escape(caption)}</caption>{''.join(lines)}</table>"


def _shown(value: object) -> str:
    return "-" if value is None else str(value)
