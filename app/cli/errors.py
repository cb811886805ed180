"""Errors as the command line tells them: one line and an exit code, for every kind that a user may meet."""

from __future__ import annotations

import sys
from typing import Final

import click

FAILED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
NOT_ALLOWED: Final = 4
CONFLICT: Final = 5
TIMEOUT: Final = 7

# Our own errors whose text is the line.
EXIT_CODES: Final = {
    "SettingsError": USAGE,
    "EmbeddedError": FAILED,
    "MigrateError": FAILED,
    "CatalogErrors": FAILED,
}

# Postgres's codes for a schema that is not there or older than the program.
SCHEMA_BEHIND: Final = frozenset({"42P01", "3F000", "42703", "42883"})


class CommandError(Exception):
    """A command cannot do what was asked: one line, and the exit code that says of which kind it is."""

    def __init__(self, line: str, exit_code: int = FAILED) -> None:
        super().__init__(line)
        self.exit_code = exit_code


def one_line_of(error: Exception) -> tuple[str, int] | None:
    """The line and the exit code for a known error; None for an unknown one.

    Kinds are told by name where importing their module would cost a quick command time.
    """
    match error:
        case CommandError():
            return str(error), error.exit_code
        case click.UsageError():
            place = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
            return error.format_message().replace("\n", " ") + place, USAGE
        case click.ClickException():
            return error.format_message(), error.exit_code
        case OSError() if isinstance(error.filename, str):  # a folder that may not be written, a full disk
            return f"{error.filename}: {error.strerror}", FAILED
    if type(error).__name__ in EXIT_CODES:
        return str(error), EXIT_CODES[type(error).__name__]
    return line_of_database_error(error)


def line_of_database_error(error: Exception) -> tuple[str, int] | None:
    """What to say about an error of the database's driver, if it is one."""
    psycopg = sys.modules.get("psycopg")
    if psycopg is None or not isinstance(error, psycopg.Error):
        return None
    said = (str(error).strip().splitlines() or ["no reason given"])[0]
    if error.sqlstate in SCHEMA_BEHIND:
        return f"the schema is not this version's ({said}): run `counterfoil migrate up`", FAILED
    if isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
        return f"the database took too long: {said}", TIMEOUT
    if isinstance(error, psycopg.OperationalError):
        return f"the database does not answer: {said}", FAILED
    return f"the database refused: {said}", FAILED
