"""`counterfoil tools check`."""

import os
from pathlib import Path

import click

from app.catalog import CatalogErrors, load_catalog
from app.cli.database import read_settings
from app.cli.errors import FAILED, NOT_FOUND, CommandError


@click.command(help="Show every mistake in the catalog.")
@click.argument("file", type=click.Path(path_type=Path), required=False)
def check(file: Path | None) -> None:
    """Check FILE, by default COUNTERFOIL_CONFIG's; exit 1 when there is a mistake."""
    path = file or read_settings().config
    if not path.exists():
        raise CommandError(f"{path} is not there", NOT_FOUND)
    try:
        catalog = load_catalog(path, os.environ)
    except CatalogErrors as errors:
        click.echo(str(errors))
        raise SystemExit(FAILED) from None
    click.echo(f"{path}: ok, {len(catalog.tools)} tools, {len(catalog.models)} models")
