"""`counterfoil drill`: how often is an effect doubled, lost or told wrong when everything breaks?"""

from __future__ import annotations

import json
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from app.cli.errors import FAILED
from app.cli.up import interrupt

if TYPE_CHECKING:
    from app.drill.play import Progress, Result

SHOWN: int = 20


@click.command(help="Kill, stop and crash everything under load, then compare the ledger with the outside's trails.")
@click.option("--runs", default=200, show_default=True, type=click.IntRange(1, 1_000_000), help="Turns to play.")
@click.option("--workers", default=4, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
@click.option("--seed", type=click.IntRange(0), help="Plays the drill of this number again; else a new one.")
@click.option("--ledger", type=click.Choice(["off", "enforce"]), default="enforce", show_default=True, help="The mode.")
@click.option("--lying-lookups", is_flag=True, help="Lookups say that nothing happened: against what they promise.")
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write a page about it.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Keep logs and trails in this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the figures as one JSON object.")
def drill(
    runs: int,
    workers: int,
    seed: int | None,
    ledger: Literal["off", "enforce"],
    lying_lookups: bool,
    report: Path | None,
    keep: Path | None,
    as_json: bool,
) -> None:
    """Exit 0 when nothing was doubled, lost or told wrong, else 1; what was found goes to stderr."""
    from app.drill.page import write_page  # noqa: PLC0415
    from app.drill.plan import make_plan  # noqa: PLC0415
    from app.drill.play import drill as play  # noqa: PLC0415
    from app.drill.stage import LEASE_S  # noqa: PLC0415

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    plan = make_plan(secrets.randbelow(2**31) if seed is None else seed, runs, lease_s=LEASE_S)
    with progress_of(runs) as progress:
        result = play(plan, workers=workers, mode=ledger, lying=lying_lookups, keep=keep, progress=progress)
    if report is not None:
        write_page(report, result, ledger=ledger, workers=workers)
    tell(result, as_json=as_json)
    raise SystemExit(0 if result.clean else FAILED)


def tell(result: Result, *, as_json: bool) -> None:
    """Figures to stdout, what must not be to stderr."""
    if as_json:
        click.echo(json.dumps(result.figures))
    else:
        width = max(map(len, result.figures))
        for name, value in result.figures.items():
            click.echo(f"{name.replace('_', ' '):<{width}}  {'-' if value is None else value}")
    for violation in result.violations[:SHOWN]:
        where = " ".join(filter(None, (violation.run_id, violation.tool_call_id, violation.tool)))
        effects = f" [{', '.join(violation.effects)}]" if violation.effects else ""
        click.echo(f"{violation.kind}: {where}: {violation.why}{effects}", err=True)
    if len(result.violations) > SHOWN:
        click.echo(f"and {len(result.violations) - SHOWN} more", err=True)
    for complaint in result.more["complaints"][:SHOWN]:
        click.echo(f"noticed: {complaint}", err=True)


@contextmanager
def progress_of(runs: int) -> Iterator[Progress]:
    """A bar on a terminal, nothing elsewhere. It draws no thread: processes are forked meanwhile."""
    if not sys.stderr.isatty():
        yield lambda _over, _words: None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("starting", total=runs)

        def show(over: int, words: str) -> None:
            bar.update(task, completed=over, description=words, refresh=True)

        show(0, "starting")
        yield show
