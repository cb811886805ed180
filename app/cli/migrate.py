"""`counterfoil migrate`."""

import click

from app.cli.database import database_of, read_settings
from app.cli.errors import CommandError
from sql import migrate


@click.command(help="Bring the database to this version's schema.")
def up() -> None:
    """Apply what is missing; harmless twice and by two at once."""
    with database_of(read_settings()) as dsn:
        click.echo(migrate.migrate_up(dsn))


@click.command(help="Show how far the database is.")
def status() -> None:
    """Say it, and which revisions are still to apply."""
    with database_of(read_settings()) as dsn:
        found = migrate.status(dsn)
    click.echo(found)
    for revision in found.pending:
        click.echo(f"to apply: {revision}")


@click.command(help="Exit 1 unless the schema is this version's.")
def check() -> None:
    """For scripts and health checks."""
    with database_of(read_settings()) as dsn:
        found = migrate.status(dsn)
    if not found.at_head:
        raise CommandError(str(found))
    click.echo(found)


@click.command(help="Print the migrations as one SQL script.")
def sql() -> None:
    """For people who apply migrations by hand."""
    click.echo(migrate.script_sql())
