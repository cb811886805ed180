"""The command line as scripts see it: output, one line per error, exit codes."""

import json
import subprocess
import sys
from importlib import import_module, util
from pathlib import Path

import click
import psycopg
import pytest

from app.cli import COMMANDS, GROUPS, counterfoil
from app.cli.keys import hash_of
from tests.support.processes import ROOT, Processes

KEY_OF_HASH = """
select api_keys.id, projects.name
from counterfoil.api_keys inner join counterfoil.projects on projects.id = api_keys.project_id
where api_keys.sha256 = %s
"""


def test_help_names_every_command(processes: Processes) -> None:
    result = processes.counterfoil("--help")
    assert result.returncode == 0
    for name in COMMANDS:
        assert f"  {name.split(' ')[0]}  " in result.stdout


def test_help_imports_no_command() -> None:
    code = (
        "import sys, app.cli, click; app.cli.counterfoil.main(['--help'], standalone_mode=False); print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    assert loaded.isdisjoint({"psycopg", "flask", "sqlalchemy", "rich", "structlog", "app.cli.up"})


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_where_the_table_says(name: str) -> None:
    module, _, attribute = COMMANDS[name][0].partition(":")
    if util.find_spec(module) is None:
        pytest.skip(f"{module} is not written yet")
    command = getattr(import_module(module), attribute)
    assert isinstance(command, click.Command)
    context = click.Context(counterfoil)
    words = name.split(" ")
    found: click.Command | None = counterfoil
    for word in words:
        assert isinstance(found, click.Group)
        found = found.get_command(context, word)
    assert found is command
    assert words[0] in GROUPS or len(words) == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nothing"], "counterfoil: No such command 'nothing'."),
        (["keys", "create"], "counterfoil: Missing option '--project'."),
        (["migrate", "up", "--fast"], "counterfoil: No such option '--fast'."),
    ],
)
def test_wrong_usage(processes: Processes, arguments: list[str], line: str) -> None:
    result = processes.counterfoil(*arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(line)
    assert result.stderr.count("\n") == 1


def test_wrong_setting(processes: Processes) -> None:
    for command in (["web"], ["worker"], ["up"], ["migrate", "status"]):
        result = processes.counterfoil(*command, PORT="no")
        assert result.returncode == 2
        assert result.stderr == "counterfoil: PORT is 'no'; it must be a whole number from 0 to 65535\n"


def test_no_database_there(processes: Processes) -> None:
    result = processes.counterfoil("keys", "list", DATABASE_URL="postgresql://127.0.0.1:1/x")
    assert result.returncode == 1
    assert result.stderr.startswith("counterfoil: the database does not answer: ")
    assert result.stderr.count("\n") == 1


def test_schema_not_there(processes: Processes, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("drop schema counterfoil cascade")
    result = processes.counterfoil("keys", "list", DATABASE_URL=database)
    assert result.returncode == 1
    assert result.stderr.endswith("run `counterfoil migrate up`\n")
    check = processes.counterfoil("migrate", "check", DATABASE_URL=database)
    assert (check.returncode, check.stdout) == (1, "")
    assert "run `counterfoil migrate up`" in check.stderr
    for _ in range(2):
        assert processes.counterfoil("migrate", "up", DATABASE_URL=database).returncode == 0
    assert processes.counterfoil("migrate", "check", DATABASE_URL=database).returncode == 0


def test_keys(processes: Processes, database: str, connection: psycopg.Connection) -> None:
    made = processes.counterfoil("keys", "create", "--project", "acme", "--json", DATABASE_URL=database)
    shown = json.loads(made.stdout)
    assert set(shown) == {"key", "project"}
    assert shown["project"] == "acme"
    assert shown["key"].startswith("cf_")
    row = connection.execute(KEY_OF_HASH, (hash_of(shown["key"]),)).fetchone()
    assert row is not None
    assert row[1] == "acme"

    again = processes.counterfoil("keys", "create", "--project", "acme", DATABASE_URL=database)
    assert again.stdout.startswith("cf_")
    listed = processes.counterfoil("keys", "list", "--json", DATABASE_URL=database).stdout
    assert [json.loads(line)["project"] for line in listed.splitlines()] == ["acme", "acme"]
    assert shown["key"] not in listed

    assert processes.counterfoil("keys", "revoke", row[0], DATABASE_URL=database).returncode == 0
    assert processes.counterfoil("keys", "revoke", "key_unknown", DATABASE_URL=database).returncode == 3


def test_a_command_starts_the_embedded_server_and_stops_it(processes: Processes, open_folder: Path) -> None:
    home = {"COUNTERFOIL_HOME": open_folder / "home"}
    assert processes.counterfoil("migrate", "up", **home).returncode == 0
    made = processes.counterfoil("keys", "create", "--project", "p", **home)
    assert made.returncode == 0, made.stderr
    assert not (open_folder / "home/postgres/data/postmaster.pid").exists()


def test_tools_check(processes: Processes, tmp_path: Path) -> None:
    file = tmp_path / "catalog.toml"
    file.write_text('[tools.a]\nurl = "nonsense"\nrepeat = "perhaps"\n')
    result = processes.counterfoil("tools", "check", str(file))
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) >= 2, "every mistake, not the first"
    assert all(line.startswith(f"{file}:") for line in result.stdout.splitlines())
    assert processes.counterfoil("tools", "check", str(tmp_path / "gone")).returncode == 3


def test_version_and_completion(processes: Processes) -> None:
    assert processes.counterfoil("version").stdout == "0.1.0\n"
    for shell in ("zsh", "fish"):
        assert "_COUNTERFOIL_COMPLETE" in processes.counterfoil("completion", shell).stdout
