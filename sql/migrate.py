"""Brings the database to the schema that this version of the program needs, and says how far it is.

Migrations are Alembic's and only go forward. All of it, the version table too, lies in schema counterfoil.
"""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import psycopg
import sqlalchemy
from alembic.config import Config
from alembic.ddl.impl import DefaultImpl
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine.mock import MockConnection

from alembic import command, context

SCHEMA: Final = "counterfoil"
SCRIPTS: Final = Path(__file__).resolve().parent.parent / "alembic"
MIGRATION_LOCK: Final = 0x636F_756E_7465_7266  # "counterf": two at once go one after the other
DATABASE_WAIT_S: Final = 30.0


class MigrateError(Exception):
    """The database cannot be brought to this version's schema; the message says why in one line."""


@dataclass(frozen=True)
class Status:
    """How far a database is: revision ids, `current` None before the first migration.

    `pending` are the revisions still to apply, oldest first; `known` is False for a schema from the future.
    """

    current: str | None
    head: str
    pending: tuple[str, ...]
    known: bool

    @property
    def at_head(self) -> bool:
        """Whether this version of the program can work with the database."""
        return self.current == self.head

    def __str__(self) -> str:
        if self.at_head:
            return f"schema {self.current}, up to date"
        if not self.known:
            return f"schema {self.current} is from a newer Counterfoil; this one knows up to {self.head}"
        return f"schema {self.current or 'not there'} is behind {self.head}: run `counterfoil migrate up`"


def migrate_up(dsn: str, *, scripts: Path = SCRIPTS, wait_s: float = DATABASE_WAIT_S) -> Status:
    """Apply what is missing and return the new status; safe to call twice and from several places at once.

    Waits up to `wait_s` for a database that is still starting. Raises `MigrateError`.
    """
    with connected(dsn, wait_s) as connection:
        try:
            with connection.begin():  # one transaction, so that its lock serves through PgBouncer too
                connection.exec_driver_sql(f"select pg_advisory_xact_lock({MIGRATION_LOCK})")
                before = status_of(connection, scripts)
                if not before.known:
                    raise MigrateError(str(before))
                if not before.at_head:
                    connection.exec_driver_sql(f"create schema if not exists {SCHEMA}")
                    command.upgrade(make_config(scripts, connection), "head")
                return status_of(connection, scripts)
        except sqlalchemy.exc.DBAPIError as error:
            raise MigrateError(f"a migration failed, nothing was changed: {first_line(error.orig)}") from error


def status(dsn: str, *, scripts: Path = SCRIPTS, wait_s: float = 0.0) -> Status:
    """How far the database is. Raises `MigrateError` when it does not answer."""
    with connected(dsn, wait_s) as connection:
        return status_of(connection, scripts)


def check(dsn: str, *, scripts: Path = SCRIPTS) -> Status:
    """The status, or `MigrateError` unless the schema is the one that this version needs."""
    found = status(dsn, scripts=scripts)
    if not found.at_head:
        raise MigrateError(str(found))
    return found


def script_sql(*, scripts: Path = SCRIPTS) -> str:
    """All migrations as one SQL script, for people who apply them by hand."""
    config = make_config(scripts, None)
    config.output_buffer = io.StringIO()
    command.upgrade(config, "head", sql=True)
    return f"create schema if not exists {SCHEMA};\n\n{config.output_buffer.getvalue()}"


# For alembic/env.py --------------------------------------------------------------------------------


def run_in(connection: sqlalchemy.Connection) -> None:
    """Run Alembic's chosen command in this connection's transaction, or in one of its own."""
    context.configure(connection=connection, version_table_schema=SCHEMA)
    with context.begin_transaction():
        context.run_migrations()


def print_offline() -> None:
    """Print the migrations instead of running them."""
    context.configure(
        dialect_name="postgresql",
        version_table_schema=SCHEMA,
        literal_binds=True,
        output_buffer=context.config.output_buffer,
    )
    running = context.get_context()
    running.connection = running.impl.connection = cast("sqlalchemy.Connection", PrintingConnection(running.impl))
    with context.begin_transaction():
        context.run_migrations()


class PrintingConnection(MockConnection):
    """What a migration gets in place of a connection when it is only printed."""

    def __init__(self, impl: DefaultImpl) -> None:
        super().__init__(impl.dialect, impl._exec)
        self._write = impl.static_output

    def exec_driver_sql(self, script: str) -> None:
        """Print raw SQL as it stands."""
        self._write(script)

    def execute(self, obj: Any, parameters: Any = None, execution_options: Any = None) -> None:
        """Print a statement, once for each row of parameters, with the values in it."""
        for row in parameters if isinstance(parameters, list) else [parameters or {}]:
            plain = {name: str(value) if isinstance(value, str) else value for name, value in row.items()}
            super().execute(obj.bindparams(**plain) if plain else obj)


def make_engine(dsn: str) -> sqlalchemy.Engine:
    """An engine for one short use; libpq itself reads the URL, so all its forms work."""
    return sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(dsn, connect_timeout=10, prepare_threshold=None),
        poolclass=sqlalchemy.NullPool,
    )


# Inside --------------------------------------------------------------------------------------------


def status_of(connection: sqlalchemy.Connection, scripts: Path) -> Status:
    """The status as this connection sees it."""
    directory = ScriptDirectory.from_config(make_config(scripts, connection))
    head = directory.get_current_head()
    if head is None:
        raise MigrateError(f"no migrations in {scripts}")
    seen = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
    current = seen.get_current_revision()
    line = [revision.revision for revision in directory.walk_revisions()]  # newest first
    if current is not None and current not in line:
        return Status(current, head, (), known=False)
    pending = line[: line.index(current)] if current is not None else line
    return Status(current, head, tuple(reversed(pending)), known=True)


@contextmanager
def connected(dsn: str, wait_s: float) -> Iterator[sqlalchemy.Connection]:
    """A connection, waiting for a database that is not there yet; `MigrateError` when it does not come."""
    engine = make_engine(dsn)
    give_up = time.monotonic() + wait_s
    while True:
        try:
            connection = engine.connect()
            break
        except sqlalchemy.exc.OperationalError as error:
            if time.monotonic() >= give_up or is_refusal(error.orig):
                raise MigrateError(f"the database does not answer: {first_line(error.orig)}") from error
        time.sleep(0.1)
    with connection:
        yield connection


def is_refusal(error: BaseException | None) -> bool:
    """Whether waiting cannot help: the server is up and says no (wrong password, no such database)."""
    text = str(error)
    return "FATAL" in text and not any(
        word in text for word in ("starting up", "recovery", "shutting down", "too many")
    )


def make_config(scripts: Path, connection: sqlalchemy.Connection | None) -> Config:
    """Alembic's configuration, made here: there is no alembic.ini to keep in step."""
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def first_line(error: BaseException | None) -> str:
    """The first line of a driver's message."""
    return (str(error).strip().splitlines() or ["no reason given"])[0]
