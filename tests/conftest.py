"""Fixtures that every test may use: a real Postgres, databases of one's own, real processes.

One server serves a whole test run, xdist's workers included: it is the product's own embedded Postgres,
shared by its own locks. Only durability against power cuts is off (`fsync`), which no test here can notice:
when a server is killed, and not the machine, nothing is lost. Each test that asks for `database` gets a fresh
copy of a migrated template.
"""

import contextlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from sql import migrate
from sql.binaries import EmbeddedError
from sql.embedded import EmbeddedPostgres
from tests.support.processes import Processes

HOME_VARIABLE = "COUNTERFOIL_TEST_HOME"
SERVER_SETTINGS = {"fsync": "off", "full_page_writes": "off", "max_connections": "500"}
PREFIX = "counterfoil-test-"
TEMPLATE = "migrated_template"


def pytest_configure(config: pytest.Config) -> None:
    """The first process of a run makes the server's home; xdist's workers inherit its name."""
    if HOME_VARIABLE not in os.environ:
        sweep_leftovers()
        os.environ[HOME_VARIABLE] = str(make_open_folder())
        config.add_cleanup(remove_home)


def remove_home() -> None:
    """Runs in the process that made the home, after every user of it has stopped."""
    shutil.rmtree(os.environ.pop(HOME_VARIABLE))


def sweep_leftovers() -> None:
    """End and remove the servers of runs that were killed an hour ago or longer."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, EmbeddedError):  # another user's, or swept by another run
            if time.time() - folder.stat().st_mtime > 3600 and EmbeddedPostgres(folder).stop_unused():
                shutil.rmtree(folder)


def make_open_folder() -> Path:
    """A new folder that the server's account can reach; pytest's own are closed to it when we are root."""
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    folder.chmod(0o755)
    return folder


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder for a server of the test's own."""
    folder = make_open_folder()
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedPostgres]:
    """The run's shared server. Do not crash it: see `own_server`."""
    with EmbeddedPostgres(Path(os.environ[HOME_VARIABLE]), settings=SERVER_SETTINGS) as running:
        yield running


@pytest.fixture(scope="session")
def template(server: EmbeddedPostgres) -> str:
    """The name of a database at head, made by the first of the run's processes that needs it."""
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        admin.execute("select pg_advisory_lock(1)")
        if admin.execute("select from pg_database where datname = %s", (TEMPLATE,)).fetchone() is None:
            admin.execute("drop database if exists unfinished")
            admin.execute("create database unfinished")
            migrate.migrate_up(server.dsn("unfinished"))
            admin.execute(f"alter database unfinished rename to {TEMPLATE}")
    return TEMPLATE


@pytest.fixture
def new_database(server: EmbeddedPostgres, template: str) -> Iterator[Callable[[], str]]:
    """Makes databases at head, empty, for this test alone; each call returns a DSN."""
    names: list[str] = []

    def make() -> str:
        names.append(f"test_{uuid.uuid4().hex}")
        with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
            admin.execute(f"create database {names[-1]} template {template}")
        return server.dsn(names[-1])

    yield make
    with psycopg.connect(server.dsn("postgres"), autocommit=True) as admin:
        for name in names:
            admin.execute(f"drop database {name} with (force)")


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """The DSN of an empty database at head, for this test alone."""
    return new_database()


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection]:
    """A connection to `database`, in autocommit mode."""
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened


@pytest.fixture
def own_server(open_folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server with a database at head for this test alone, which may crash and restart it."""
    with EmbeddedPostgres(open_folder, settings=SERVER_SETTINGS) as running:
        migrate.migrate_up(running.dsn())
        yield running


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Starts the product's own processes, and ends whatever the test left running."""
    with Processes(tmp_path) as started:
        yield started
