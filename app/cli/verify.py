"""`counterfoil tools verify`: does a tool keep what its contract says? Asked of its test system."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from app.catalog import load_catalog
from app.catalog.tool import check_arguments
from app.cli.database import read_settings
from app.cli.errors import FAILED, NOT_FOUND, CommandError

SIGNS = {"ok": "ok     ", "broken": "BROKEN ", "unknown": "unclear"}


@click.command(help="Find out whether a tool keeps its contract: several real requests to its test system.")
@click.argument("name")
@click.option("--arguments", default="{}", help="JSON object that is sent as the model would send it.")
@click.option("--file", type=click.Path(path_type=Path), help="The catalog, by default COUNTERFOIL_CONFIG's.")
@click.option("--yes", is_flag=True, help="Do not ask whether this is a test system.")
@click.option("--json", "as_json", is_flag=True, help="Print one object a check.")
def verify(name: str, arguments: str, file: Path | None, yes: bool, as_json: bool) -> None:
    """Exit 0 when nothing was found broken, 1 when something was."""
    from app.drill.conformance import verify as verified  # noqa: PLC0415

    path = file or read_settings().config
    if not path.exists():
        raise CommandError(f"{path} is not there", NOT_FOUND)
    tool = load_catalog(path, os.environ).tools.get(name)
    if tool is None:
        raise CommandError(f"{path} has no tool {name}", NOT_FOUND)
    try:
        given = json.loads(arguments)
    except ValueError as error:
        raise click.BadParameter(f"no JSON: {error}", param_hint="--arguments") from None
    if wrong := check_arguments(tool, given):
        raise click.BadParameter(wrong, param_hint="--arguments")
    if not yes:
        click.confirm(f"{tool.url} will be asked several times and do what it does. Is it a test system?", abort=True)
    checks = asyncio.run(verified(tool, given))
    for check in checks:
        line = f"{SIGNS[check.found]} {check.name}: {check.words}"
        click.echo(json.dumps({"tool": name, "repeat": tool.contract.repeat, **asdict(check)}) if as_json else line)
    raise SystemExit(FAILED if any(check.found == "broken" for check in checks) else 0)
