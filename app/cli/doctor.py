"""`counterfoil doctor`: what Counterfoil needs of this machine, each thing ok or what to do about it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import click

from app.cli.database import database_of, read_settings
from app.cli.errors import FAILED, one_line_of
from app.settings import WORKER_CONNECTIONS, Settings, SettingsError

if TYPE_CHECKING:
    import psycopg

    from app.catalog.tool import ModelEntry

OLDEST_PYTHON: Final = (3, 11)
POSTGRES: Final = range(15, 19)
ENOUGH_BYTES: Final = 1 << 30
PROBE_TIMEOUT_S: Final = 3.0
LISTEN_TIMEOUT_S: Final = 3.0
CHANNEL: Final = "counterfoil_doctor"
CLOCK_TRIES: Final = 5
ROOM: Final = """
select
    current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer,
    (select count(*) from pg_stat_activity where backend_type = 'client backend'),
    pg_backend_pid()
"""


@dataclass(frozen=True)
class Check:
    """One thing looked at. mend: what to do, where it is not ok."""

    name: str
    ok: bool
    said: str
    mend: str | None = None


@click.command(help="Check Python, Postgres, schema, clock, catalog, models, disk; each ok or how to mend it.")
@click.option("--json", "as_json", is_flag=True, help='One object a line: {"name", "ok", "said", "mend"}.')
def doctor(as_json: bool) -> None:
    """Exit 1 when something is not ok."""
    wrong = 0
    for check in checks():
        wrong += not check.ok
        click.echo(json.dumps(asdict(check)) if as_json else line_of(check))
    raise SystemExit(FAILED if wrong else 0)


def line_of(check: Check) -> str:
    """One line, and one more for what to do."""
    line = f"{'ok  ' if check.ok else 'NOT '} {check.name:<11} {check.said}"
    return f"{line}\n{'':<17}→ {check.mend}" if check.mend else line


def checks() -> Iterator[Check]:
    """Everything, in an order in which each finding helps with the next."""
    yield python()
    try:
        settings = read_settings()
    except SettingsError as error:
        yield Check("settings", False, str(error), "correct or unset the variable")
        return
    yield disk(settings.home)
    yield from database(settings)
    yield from catalog(settings)


def python() -> Check:
    """The interpreter that runs this."""
    said = f"Python {platform.python_version()}"
    if sys.version_info >= OLDEST_PYTHON:
        return Check("python", True, said)
    return Check("python", False, said, "install Python 3.11 or newer, remove .venv, run ./start again")


def disk(home: Path) -> Check:
    """Room and right to write where the embedded data and run files are."""
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    said = f"{free / (1 << 30):.1f} GiB free at {home}"
    if not os.access(there, os.W_OK):
        return Check("disk", False, f"{there} cannot be written", "set COUNTERFOIL_HOME to a folder that can")
    if free < ENOUGH_BYTES:
        return Check("disk", False, said, "make room, or set COUNTERFOIL_HOME to a bigger disk")
    return Check("disk", True, said)


# The database ---------------------------------------------------------------------------------------


def database(settings: Settings) -> Iterator[Check]:
    """Reachable and of a known version, at this version's schema, its clock near ours, its notices heard."""
    embedded = settings.database_url is None
    mend = "see the server's log, or set DATABASE_URL" if embedded else "start it, or correct DATABASE_URL"
    with answered("postgres", mend) as failed, database_of(settings) as dsn, connection_to(dsn) as connection:
        yield version(connection, embedded)
        yield connections(connection, settings)
        with answered("schema", "run `counterfoil migrate up`") as failed_schema:
            yield schema(dsn)
        yield from failed_schema
        yield clock(connection, settings.clock_slack_s)
        with answered("listen", "set LISTEN_DATABASE_URL to a direct connection, or to none to poll only") as no_listen:
            yield listen(connection, settings, dsn)
        yield from no_listen
    yield from failed


@contextmanager
def answered(name: str, mend: str) -> Iterator[list[Check]]:
    """Turns a known error into a finding, which the list then holds."""
    found: list[Check] = []
    try:
        yield found
    except Exception as error:
        known = one_line_of(error)
        if known is None:
            raise
        found.append(Check(name, False, known[0], mend))


@contextmanager
def connection_to(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of our own, in autocommit mode."""
    import psycopg  # noqa: PLC0415

    with psycopg.connect(dsn, autocommit=True, connect_timeout=10, prepare_threshold=None) as opened:
        yield opened


def version(connection: psycopg.Connection[Any], embedded: bool) -> Check:
    """The server's version."""
    number = connection.info.server_version
    said = f"Postgres {number // 10000}.{number % 10000}, {'embedded' if embedded else 'of DATABASE_URL'}"
    if number // 10000 in POSTGRES:
        return Check("postgres", True, said)
    return Check("postgres", False, said, f"use Postgres {POSTGRES.start} to {POSTGRES.stop - 1}")


def connections(connection: psycopg.Connection[Any], settings: Settings) -> Check:
    """Whether the server takes as many as the web as it is set here and one worker may open."""
    row = connection.execute(ROOM).fetchone()
    assert row is not None
    room, used, pid = row
    web = settings.web_concurrency * settings.web_connections
    said = f"{used} of {room} in use; the web opens up to {web}, each worker up to {WORKER_CONNECTIONS}"
    if pid != connection.info.backend_pid:
        return Check("connections", True, f"{said}; a pooler shares them")
    if web + WORKER_CONNECTIONS <= room:
        return Check("connections", True, said)
    return Check("connections", False, said, "raise max_connections, or lower WEB_CONCURRENCY or WEB_THREADS")


def schema(dsn: str) -> Check:
    """Whether the schema is this version's, older or newer."""
    from sql import migrate  # noqa: PLC0415

    found = migrate.status(dsn)
    if found.at_head:
        return Check("schema", True, f"at head, {found.head}")
    if not found.known:
        return Check("schema", False, str(found), "run the newer Counterfoil, which made it")
    said = f"{found.current or 'not there'}, head is {found.head}"
    return Check("schema", False, said, "run `counterfoil migrate up`")


def clock(connection: psycopg.Connection[Any], slack_s: float) -> Check:
    """How far the database's clock is from ours, by the quickest of a few round trips."""
    tries = []
    for _ in range(CLOCK_TRIES):
        began = datetime.now().astimezone()
        row = connection.execute("select clock_timestamp()").fetchone()
        ended = datetime.now().astimezone()
        assert row is not None
        middle = began + (ended - began) / 2
        tries.append((ended - began, row[0] - middle))
    round_trip, apart = min(tries, key=lambda one: one[0])
    said = f"the database's is {in_ms(apart)} from ours (measured to ±{in_ms(round_trip / 2)}), slack {slack_s:g} s"
    if abs(apart.total_seconds()) <= slack_s:
        return Check("clock", True, said)
    return Check("clock", False, said, "let NTP set both clocks, or raise CLOCK_SLACK_S on web and worker")


def in_ms(span: timedelta) -> str:
    """Milliseconds with a digit."""
    return f"{span.total_seconds() * 1000:.2f} ms"


def listen(connection: psycopg.Connection[Any], settings: Settings, dsn: str) -> Check:
    """Whether what is notified through DATABASE_URL is heard at LISTEN_DATABASE_URL."""
    url = settings.listen_url
    if settings.listen_database_url == "none":
        return Check("listen", True, f"not wanted (LISTEN_DATABASE_URL=none): workers poll each {settings.poll_s:g} s")
    with connection_to(url or dsn) as listener:
        listener.execute(f"listen {CHANNEL}")
        connection.execute(f"notify {CHANNEL}")
        began = time.monotonic()
        heard = next(listener.notifies(timeout=LISTEN_TIMEOUT_S, stop_after=1), None)
    if heard is not None:
        return Check("listen", True, f"a notice is heard after {(time.monotonic() - began) * 1000:.0f} ms")
    mend = "set LISTEN_DATABASE_URL to a direct connection (PgBouncer passes no LISTEN), or to none to poll only"
    return Check("listen", False, f"no notice is heard within {LISTEN_TIMEOUT_S:g} s", mend)


# The catalog ----------------------------------------------------------------------------------------


def catalog(settings: Settings) -> Iterator[Check]:
    """The catalog's mistakes, and whether its models' servers answer."""
    from app.catalog import CatalogErrors, load_catalog  # noqa: PLC0415

    if not settings.config.exists():
        yield Check("catalog", True, f"none at {settings.config}: tools are the clients', the scripted model alone")
        return
    try:
        found = load_catalog(settings.config, os.environ)
    except CatalogErrors as errors:
        for mistake in errors.mistakes:
            yield Check("catalog", False, str(mistake), "correct it; `counterfoil tools check` shows them all")
        return
    yield Check("catalog", True, f"{len(found.tools)} tools, {len(found.models)} models in {settings.config}")
    for entry in found.models:
        yield model(entry)


def model(entry: ModelEntry) -> Check:
    """Whether the server of an entry answers at all; whether it likes the key is seen by the first run."""
    name = f"model {entry.pattern}"
    headers = {"Authorization": f"Bearer {entry.api_key}"} if entry.api_key else {}
    asked = Request(entry.base_url, headers=headers)
    # The address is the catalog's own, whose writer may read files anyway.
    outcome = probe(lambda: urlopen(asked, timeout=PROBE_TIMEOUT_S).status)  # nosec B310
    if isinstance(outcome, int):
        return Check(name, True, f"{entry.base_url} answers ({outcome})")
    return Check(name, False, f"{entry.base_url} does not answer: {outcome}", "start it, or correct its base_url")


def probe(get: Callable[[], int]) -> int | str:
    """The status of any answer, or why there is none."""
    try:
        return get()
    except HTTPError as answer:  # a 404 at the base is an answer
        return answer.code
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
