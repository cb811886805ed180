"""The schema comes to head from anywhere, by two at once, and says clearly when it cannot."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from sql import migrate
from sql.embedded import EmbeddedPostgres

MIGRATION = '''"""Says {say}."""

from alembic import op

revision = "{revision}"
down_revision = {down!r}


def upgrade() -> None:
    """Raw SQL with what trips other ways of running it."""
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql("""{sql}""")
'''
TRICKY = """
create table counterfoil.{name} (v jsonb default '{{"a":1, "%s": "100%"}}');
do $$ begin raise notice '% :b', 1; end $$;
insert into counterfoil.{name} default values;
"""


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    """A folder of two migrations of our own, beside the real env.py."""
    folder = tmp_path / "100% migrations"
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text((migrate.SCRIPTS / "env.py").read_text())
    add(folder, "a1", None, TRICKY.format(name="one"))
    add(folder, "a2", "a1", TRICKY.format(name="two"))
    return folder


def add(folder: Path, revision: str, down: str | None, sql: str) -> None:
    """Write one migration."""
    text = MIGRATION.format(say=revision, revision=revision, down=down, sql=sql)
    (folder / "versions" / f"{revision}.py").write_text(text)


@pytest.fixture
def empty(new_database: Callable[[], str]) -> str:
    """A database without our schema."""
    dsn = new_database()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("drop schema counterfoil cascade")
    return dsn


def tables(dsn: str) -> list[str]:
    """Names with schema, of all tables outside the catalogs."""
    query = "select schemaname || '.' || tablename from pg_tables where schemaname !~ '^(pg_|information_schema)'"
    with psycopg.connect(dsn) as connection:
        return sorted(row[0] for row in connection.execute(query))


def test_everything_lies_in_our_schema(empty: str, scripts: Path) -> None:
    assert str(migrate.status(empty, scripts=scripts)) == (
        "schema not there is behind a2: run `counterfoil migrate up`"
    )
    assert migrate.migrate_up(empty, scripts=scripts).at_head
    assert tables(empty) == ["counterfoil.alembic_version", "counterfoil.one", "counterfoil.two"]


def test_twice_changes_nothing(empty: str, scripts: Path) -> None:
    first = migrate.migrate_up(empty, scripts=scripts)
    assert migrate.migrate_up(empty, scripts=scripts) == first == migrate.check(empty, scripts=scripts)


def test_two_at_once_apply_each_migration_once(empty: str, scripts: Path) -> None:
    code = "import sys, pathlib, sql.migrate as m; m.migrate_up(sys.argv[1], scripts=pathlib.Path(sys.argv[2]))"
    other = subprocess.Popen([sys.executable, "-c", code, empty, str(scripts)])  # Alembic keeps globals
    migrate.migrate_up(empty, scripts=scripts)
    assert other.wait() == 0
    with psycopg.connect(empty) as connection:
        assert connection.execute("select count(*) from counterfoil.one").fetchone() == (1,)


def test_an_older_schema_is_brought_to_head(empty: str, scripts: Path) -> None:
    migrate.migrate_up(empty, scripts=scripts)
    add(scripts, "a3", "a2", "create table counterfoil.three ()")
    assert migrate.status(empty, scripts=scripts).pending == ("a3",)
    with pytest.raises(migrate.MigrateError, match="schema a2 is behind a3: run `counterfoil migrate up`"):
        migrate.check(empty, scripts=scripts)
    assert migrate.migrate_up(empty, scripts=scripts).current == "a3"


def test_a_failing_migration_changes_nothing(empty: str, scripts: Path) -> None:
    add(scripts, "a3", "a2", "create table counterfoil.three (); select 1/0")
    with pytest.raises(migrate.MigrateError, match="a migration failed, nothing was changed: division by zero"):
        migrate.migrate_up(empty, scripts=scripts)
    assert tables(empty) == []


def test_a_schema_from_the_future_is_left_alone(empty: str, scripts: Path) -> None:
    migrate.migrate_up(empty, scripts=scripts)
    (scripts / "versions" / "a2.py").unlink()
    with pytest.raises(migrate.MigrateError, match="schema a2 is from a newer Counterfoil; this one knows up to a1"):
        migrate.migrate_up(empty, scripts=scripts)


def test_no_database_there_is_one_line(empty: str) -> None:
    with pytest.raises(migrate.MigrateError, match=r"^the database does not answer: .*does not exist$"):
        migrate.migrate_up(empty.replace("/test_", "/gone_"))


def test_waits_for_a_database_that_is_starting(own_server: EmbeddedPostgres) -> None:
    own_server.crash()
    with ThreadPoolExecutor(1) as other:
        restarting = other.submit(own_server.restart)
        assert migrate.migrate_up(own_server.dsn(), wait_s=60).at_head
        restarting.result()


def test_the_printed_script_does_the_same(empty: str) -> None:
    script = migrate.script_sql()
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(script.encode())
    assert migrate.check(empty).at_head
    with psycopg.connect(empty) as connection:
        found = connection.execute("select count(*) > 0 from counterfoil.run_transitions").fetchone()
    assert found == (True,)
