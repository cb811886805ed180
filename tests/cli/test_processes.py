"""The long-running commands: ready, ended in order, and what happens to the server that they hold."""

import json
import os
import signal
import socket
from pathlib import Path

import psycopg
import pytest

from app.cli import ports
from app.cli.errors import CommandError
from sql.embedded import EmbeddedPostgres
from tests.support.processes import Processes, answers, free_port, wait_until


def test_web_serves_and_ends_in_order(processes: Processes, database: str) -> None:
    web = processes.start_web(database)
    assert answers(f"{web.url}/healthz")
    assert web.stop() == 0
    for line in web.log_text().splitlines():
        entry = json.loads(line)
        assert {"timestamp", "level", "service", "event"} <= entry.keys()
        assert entry["service"] == "web"


def test_web_ends_at_once_at_the_second_sigterm(processes: Processes, database: str) -> None:
    web = processes.start_web(database, WEB_CONCURRENCY=1)
    host, port = web.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:  # a request that never ends holds the server
        client.sendall(b"POST /v1/threads HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        wait_until(lambda: answers(f"{web.url}/healthz"))
        web.terminate()
        wait_until(lambda: "Handling signal: term" in web.log_text(), what="the first SIGTERM")
        assert web.running
        web.terminate()
        assert web.wait() == 0


def test_web_holds_the_embedded_server_while_it_runs(processes: Processes, open_folder: Path) -> None:
    home = open_folder / "home"
    assert processes.counterfoil("migrate", "up", COUNTERFOIL_HOME=home).returncode == 0
    port = free_port()
    web = processes.start(
        "web", "-m", "app.cli", "web",
        ready=lambda: answers(f"http://127.0.0.1:{port}/readyz"),
        COUNTERFOIL_HOME=home, PORT=port, WEB_CONCURRENCY=1,
    )  # fmt: skip
    assert (home / "postgres/data/postmaster.pid").exists()
    assert web.stop() == 0
    assert not (home / "postgres/data/postmaster.pid").exists()


def test_a_killed_parent_leaves_the_server_to_the_child_that_uses_it(processes: Processes, open_folder: Path) -> None:
    home = open_folder / "home"
    assert processes.counterfoil("migrate", "up", COUNTERFOIL_HOME=home).returncode == 0
    port = free_port()
    web = processes.start(
        "web", "-m", "app.cli", "web",
        ready=lambda: answers(f"http://127.0.0.1:{port}/readyz"),
        COUNTERFOIL_HOME=home, PORT=port, WEB_CONCURRENCY=1,
    )  # fmt: skip
    child = int(Path(f"/proc/{web.pid}/task/{web.pid}/children").read_text().split()[0])
    web.kill()
    with EmbeddedPostgres(home) as server:
        pass
    assert (home / "postgres/data/postmaster.pid").exists(), "the child still uses it"
    os.kill(child, signal.SIGTERM)
    wait_until(lambda: not answers(f"http://127.0.0.1:{port}/healthz"))

    def only_user_stops_it() -> bool:
        with server:
            pass
        return not (home / "postgres/data/postmaster.pid").exists()

    wait_until(only_user_stops_it, what="the end of the child's use")


def test_sandbox_reads_its_own_options(processes: Processes) -> None:
    assert "--faults" in processes.counterfoil("sandbox", "--help").stdout


def test_the_next_free_port(processes: Processes) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        assert ports.free_port_from("127.0.0.1", port) > port
    assert ports.free_port_from("127.0.0.1", 0) > 0
    with pytest.raises(CommandError, match="no address of this machine"):
        ports.free_port_from("not a host", 8000)


def test_up_runs_everything_and_ends_it_in_order(processes: Processes, open_folder: Path) -> None:
    home = open_folder / "home"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        config = Path(__file__).parents[2] / "counterfoil.toml"
        variables = {"COUNTERFOIL_HOME": home, "COUNTERFOIL_CONFIG": config, "PORT": port}
        up = processes.start("up", "-m", "app.cli", "up", **variables)
        up.await_ready(lambda: "Ctrl-C stops everything" in up.log_text(), "up")
        assert f"Port {port} is taken; web takes " in up.log_text()

        second = processes.counterfoil("up", **variables)
        assert second.returncode == 5
        assert second.stderr == f"counterfoil: it is running already for {home} (process {up.pid})\n"

    key = (home / "run/api_key").read_text().strip()
    assert key in up.log_text()
    assert (home / "run/api_key").stat().st_mode & 0o777 == 0o600
    turn = json.loads((home / "run/first_turn.json").read_text())
    assert turn["assistant_id"].startswith("asst_")

    up.popen.send_signal(signal.SIGINT)
    assert up.wait() == 0
    assert not (home / "postgres/data/postmaster.pid").exists()

    with EmbeddedPostgres(home) as server, psycopg.connect(server.dsn()) as connection:
        kept = connection.execute("select count(*) from counterfoil.assistants").fetchone()
    assert kept == (1,)
