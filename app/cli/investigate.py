"""`counterfoil investigate`: four logs in, an explanation out."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import click

from app.incidents import Explanation, UnusableInputError, investigate_files
from app.incidents.render_html import render_html
from app.incidents.render_json import render_json
from app.incidents.render_text import render_text

_RENDER = {"text": render_text, "json": render_json, "html": render_html}
_UNITS_S = {"": 1.0, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


class _Unusable(click.ClickException):
    """One line on standard error and exit status 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        click.echo(f"counterfoil investigate: {self.message}", err=True)


def _day(_ctx: click.Context, _param: click.Parameter, value: str | None) -> date | None:
    try:
        return date.fromisoformat(value) if value else None
    except ValueError:
        raise _Unusable(f"--date {value}: no day, wanted is YYYY-MM-DD") from None


def _window_s(_ctx: click.Context, _param: click.Parameter, value: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", value.strip().lower())
    if not found or found[2] not in _UNITS_S or float(found[1]) <= 0:
        raise _Unusable(f"--window {value}: no length of time, wanted is 10m, 90s or 600")
    return float(found[1]) * _UNITS_S[found[2]]


def _source(name: str, help_text: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(f"--{name}", multiple=True, metavar="FILE", help=help_text)


@click.command()
@_source("coordinator", "The coordinator's log; again for each replica.")
@_source("gateway", "The tool gateway's access log; again for each replica.")
@_source("audit", "The external system's audit trail: a JSON list or JSON Lines.")
@_source("submitter", "The submission handler's log.")
@_source("context", "Restarts, latency, spans, reports as JSON lines; corroborates, never decides.")
@click.option("--date", "day", callback=_day, metavar="YYYY-MM-DD", help="The day of times of day.")
@click.option(
    "--window", callback=_window_s, default="10m", show_default=True, help="Effects further apart are no duplicates."
)
@click.option("--format", "form", type=click.Choice(sorted(_RENDER)), default="text", show_default=True)
@click.option("-o", "--output", metavar="FILE", help="Write there instead of standard output.")
@click.pass_context
def investigate(
    ctx: click.Context,
    coordinator: tuple[str, ...],
    gateway: tuple[str, ...],
    audit: tuple[str, ...],
    submitter: tuple[str, ...],
    context: tuple[str, ...],
    day: date | None,
    window: float,
    form: str,
    output: str | None,
) -> None:
    """Explain duplicated side effects and stalled runs from the logs of four services.

    Each FILE may be gzip, `-` is standard input. Exit status: 0 nothing found, 1 something found, 2 unusable input.
    """
    files = {
        "coordinator": coordinator, "gateway": gateway, "audit": audit, "submitter": submitter, "context": context,
    }  # fmt: skip
    if not any(files.values()):
        raise _Unusable("no FILE given: name at least one of --coordinator, --gateway, --audit, --submitter")
    if sum(paths.count("-") for paths in files.values()) > 1:
        raise _Unusable("-: standard input can be read once only")
    try:
        explanation = _run(files, day, window)
    except UnusableInputError as error:
        raise _Unusable(str(error)) from None
    except OSError as error:
        raise _Unusable(f"{error.filename or 'temporary file'}: {error.strerror or error}") from None
    _write(_RENDER[form](explanation), output)
    ctx.exit(1 if explanation.found else 0)


def _run(files: dict[str, tuple[str, ...]], day: date | None, window_s: float) -> Explanation:
    """Investigate, with a progress bar where standard error is a terminal."""
    paths = [path for group in files.values() for path in group if path != "-"]
    total = sum(Path(path).stat().st_size for path in paths if Path(path).is_file())
    if not sys.stderr.isatty() or total < 1 << 20:
        return investigate_files(files, day=day, window_s=window_s)
    with click.progressbar(length=total, label="reading", file=sys.stderr, update_min_steps=1 << 20) as bar:
        return investigate_files(files, day=day, window_s=window_s, progress=bar.update)


def _write(text: str, output: str | None) -> None:
    if output is None or output == "-":
        click.echo(text, nl=False)
        return
    try:
        Path(output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise _Unusable(f"{output}: cannot be written: {error.strerror or error}") from None
