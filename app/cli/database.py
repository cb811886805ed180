"""The database that a command works with: DATABASE_URL's, or the embedded one while the command runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from app.settings import Settings

if TYPE_CHECKING:
    import psycopg

    from sql.embedded import EmbeddedPostgres


def read_settings() -> Settings:
    """The settings of this process, its payload keys in use; `SettingsError` becomes one line and exit 2."""
    settings = Settings.from_environment(os.environ)
    if settings.payload_keys:
        from sql.sealing import use_keys  # noqa: PLC0415 - not every command needs it

        use_keys(settings.payload_keys)
    return settings


@contextmanager
def embedded_if_unset(settings: Settings) -> Iterator[EmbeddedPostgres | None]:
    """The embedded server, held while the context lasts; None where DATABASE_URL names another."""
    if settings.database_url is not None:
        yield None
        return
    from sql.embedded import EmbeddedPostgres  # noqa: PLC0415 - not every command needs it

    with EmbeddedPostgres(settings.home) as server:
        yield server


@contextmanager
def database_of(settings: Settings) -> Iterator[str]:
    """The DSN to use while the context lasts."""
    with embedded_if_unset(settings) as server:
        yield settings.database_url or (server.dsn() if server else "")


@contextmanager
def connected() -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit mode to the database that the environment names."""
    import psycopg  # noqa: PLC0415

    with (
        database_of(read_settings()) as dsn,
        psycopg.connect(dsn, autocommit=True, connect_timeout=10) as opened,
    ):
        yield opened
