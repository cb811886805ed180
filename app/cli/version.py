"""`counterfoil version`."""

import click

from app import VERSION


@click.command(help="Print the version.")
def version() -> None:
    """Print it alone, for scripts."""
    click.echo(VERSION)
