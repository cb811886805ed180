"""The kill switch of a tool, as scripts see it."""

import json
import subprocess
from collections.abc import Callable

import psycopg
import pytest

from tests.support.processes import ROOT, Processes

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def tools(processes: Processes, database: str) -> Run:
    return lambda *words: processes.counterfoil("tools", *words, DATABASE_URL=database, USER="grace")


def test_pause_and_resume(tools: Run, connection: psycopg.Connection) -> None:
    assert tools("resume", "send_email").returncode == 3
    assert tools("pause", "send_email").returncode == 2, "a reason is required"
    paused = tools("pause", "send_email", "--reason", "it sends twice")
    assert (paused.returncode, paused.stdout) == (0, "send_email is paused: nothing new is sent to it\n")
    (line,) = tools("list", "--json").stdout.splitlines()
    shown = json.loads(line)
    assert (shown["name"], shown["paused_by"], shown["pause_reason"]) == ("send_email", "grace", "it sends twice")
    assert "paused by grace: it sends twice" in tools("list").stdout
    assert tools("resume", "send_email", "--reason", "mended", "--operator", "ada").returncode == 0
    late = tools("resume", "send_email")
    assert (late.returncode, late.stderr) == (5, "counterfoil: tool send_email is not paused\n")
    rows = connection.execute("select operator, action, object, reason from counterfoil.audit order by id").fetchall()
    assert rows == [
        ("grace", "pause_tool", "send_email", "it sends twice"),
        ("ada", "resume_tool", "send_email", "mended"),
    ]


def test_list_is_what_workers_loaded(tools: Run, processes: Processes, database: str) -> None:
    assert tools("list").stderr == "no worker has loaded a tool yet\n"
    processes.start_worker(database, COUNTERFOIL_CONFIG=ROOT / "counterfoil.toml")
    names = {"create_ticket", "get_ticket", "send_email", "create_invoice"}
    shown: set[str] = set()
    while shown != names:  # it enters itself first, then its tools
        shown = {json.loads(line)["name"] for line in tools("list", "--json").stdout.splitlines()}
    assert all(name in tools("list").stdout for name in names)
