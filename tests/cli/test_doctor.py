"""`counterfoil doctor`: what is wrong is found, and said with what to do."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.processes import Processes, free_port

MODEL = '[models."gpt-*"]\nprovider = "chat"\nbase_url = "http://127.0.0.1:{port}/v1"\n'


def findings(processes: Processes, **env: object) -> tuple[int, dict[str, dict[str, Any]]]:
    """Exit code and the findings by name, of `doctor --json`."""
    result = processes.counterfoil("doctor", "--json", **env)
    return result.returncode, {line["name"]: line for line in map(json.loads, result.stdout.splitlines())}


@pytest.fixture
def model_port() -> Iterator[int]:
    """A server that answers 404 at its base, as those of models do."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_all_is_well(processes: Processes, database: str, tmp_path: Path, model_port: int) -> None:
    (tmp_path / "counterfoil.toml").write_text(MODEL.format(port=model_port))
    code, found = findings(processes, DATABASE_URL=database)
    assert code == 0, found
    names = ["python", "disk", "postgres", "connections", "schema", "clock", "listen", "catalog", "model gpt-*"]
    assert list(found) == names
    assert all(line["ok"] and line["mend"] is None for line in found.values())
    assert found["model gpt-*"]["said"].endswith("answers (404)")


def test_people_read_lines(processes: Processes, database: str) -> None:
    result = processes.counterfoil("doctor", DATABASE_URL=database)
    assert result.returncode == 0
    assert all(line.startswith("ok   ") for line in result.stdout.splitlines())


def test_the_embedded_server_is_said_to_be_embedded(processes: Processes, open_folder: Path) -> None:
    code, found = findings(processes, COUNTERFOIL_HOME=open_folder / "home")
    assert code == 1
    assert found["postgres"]["said"].endswith("embedded")
    assert found["schema"]["mend"] == "run `counterfoil migrate up`"
    assert not (open_folder / "home/postgres/data/postmaster.pid").exists()


def test_no_database(processes: Processes) -> None:
    code, found = findings(processes, DATABASE_URL=f"postgresql://127.0.0.1:{free_port()}/x")
    assert code == 1
    assert not found["postgres"]["ok"]
    assert "DATABASE_URL" in found["postgres"]["mend"]
    assert {"schema", "clock", "listen"}.isdisjoint(found)
    assert found["catalog"]["ok"], "the rest is looked at all the same"


def test_a_web_that_would_take_all_connections(processes: Processes, database: str) -> None:
    code, found = findings(processes, DATABASE_URL=database, WEB_CONCURRENCY=30)
    assert code == 1
    assert "the web opens up to 540, each worker up to 12" in found["connections"]["said"]
    assert "max_connections" in found["connections"]["mend"]


def test_a_schema_from_the_future(processes: Processes, database: str, connection: psycopg.Connection) -> None:
    connection.execute("update counterfoil.alembic_version set version_num = '9999'")
    code, found = findings(processes, DATABASE_URL=database)
    assert code == 1
    assert "newer" in found["schema"]["said"]
    assert "newer" in found["schema"]["mend"]


def test_clocks_further_apart_than_the_slack(processes: Processes, database: str) -> None:
    code, found = findings(processes, DATABASE_URL=database, CLOCK_SLACK_S=0)
    assert code == 1
    assert "CLOCK_SLACK_S" in found["clock"]["mend"]


def test_notices_that_are_not_heard(processes: Processes, new_database: Callable[[], str]) -> None:
    where = {"DATABASE_URL": new_database()}
    code, found = findings(processes, **where, LISTEN_DATABASE_URL=new_database())
    assert code == 1
    assert "none" in found["listen"]["mend"]
    code, found = findings(processes, **where, LISTEN_DATABASE_URL="none")
    assert code == 0
    assert "poll" in found["listen"]["said"]


def test_mistakes_of_the_catalog_and_a_model_that_is_away(processes: Processes, database: str, tmp_path: Path) -> None:
    file = tmp_path / "counterfoil.toml"
    file.write_text(MODEL.format(port=free_port()))
    code, found = findings(processes, DATABASE_URL=database)
    assert code == 1
    assert "base_url" in found["model gpt-*"]["mend"]
    file.write_text('[tools.a]\nurl = "nonsense"\n')
    code, found = findings(processes, DATABASE_URL=database)
    assert code == 1
    assert str(file) in found["catalog"]["said"]


def test_a_wrong_setting_is_a_finding(processes: Processes) -> None:
    code, found = findings(processes, PORT="no")
    assert code == 1
    assert found["settings"]["said"].startswith("PORT is 'no'")
