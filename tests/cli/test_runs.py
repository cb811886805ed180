"""`counterfoil runs` as scripts see it."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support import situations
from tests.support.processes import ROOT, Processes
from tests.support.situations import NAMES, Load, one

situation = situations.situation
Run = Callable[..., subprocess.CompletedProcess[str]]
WHY = ("--reason", "I have looked", "--operator", "ada")


@pytest.fixture
def runs(processes: Processes, database: str) -> Run:
    return lambda *words, **env: processes.counterfoil("runs", *words, DATABASE_URL=database, **env)


def lines(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_list(runs: Run, situation: Load) -> None:
    found = {name: situation(name).run_id for name in NAMES}
    every = {run["id"]: run for run in lines(runs("list", "--json"))}
    assert set(found.values()) < set(every)
    waits, client = every[found["in_doubt_never"]], every[found["stuck_client_call"]]
    assert (waits["status"], waits["wire_status"]) == ("requires_action", "in_progress")
    assert (client["status"], client["wire_status"]) == ("requires_action", "requires_action")
    assert waits["attention"] == ["needs_operator"]
    assert client["attention"] == ["stuck"]
    done = lines(runs("list", "--status", "completed", "--json"))
    assert {run["status"] for run in done} == {"completed"}
    assert lines(runs("list", "--limit", "3", "--json")) == list(every.values())[:3]
    for words in (["--status", "lost"], ["--attention", "none"], ["--since", "soon"], ["--limit", "0"]):
        assert runs("list", *words).returncode == 2


@pytest.mark.parametrize(
    ("attention", "names"),
    [
        ("poisoned", {"poisoned"}),
        ("conflict", {"conflict"}),
        ("orphan_effect", {"orphan_effect"}),
        ("stuck", {"stuck_client_call"}),
        ("needs_operator", {"in_doubt_never", "told_in_doubt", "held_elder_needs_operator"}),
    ],
)
def test_list_by_attention(runs: Run, situation: Load, attention: str, names: set[str]) -> None:
    found = {name: situation(name) for name in NAMES}
    wanted = {(s.elder or s.key)[0] for name, s in found.items() if name in names}
    shown = lines(runs("list", "--attention", attention, "--json"))
    assert {run["id"] for run in shown} == wanted
    assert all(attention in run["attention"] for run in shown)


def test_stuck_is_what_the_setting_says(runs: Run, situation: Load) -> None:
    situation("stuck_client_call")
    assert lines(runs("list", "--attention", "stuck", "--json", STUCK_AFTER_S="3600")) == []


def test_show(runs: Run, situation: Load) -> None:
    found = situation("in_doubt_never")
    (shown,) = lines(runs("show", found.run_id, "--json"))
    assert list(shown) == ["run", "calls", "events"]
    assert shown["run"]["id"] == found.run_id
    assert shown["run"]["wire_status"] == "in_progress"
    (call,) = shown["calls"]
    assert [attempt["state"] for attempt in call["attempts"]] == ["unknown"]
    assert [evidence["says"] for evidence in call["evidence"]] == ["unknown"]
    assert [event["event"] for event in shown["events"]] == [
        "run.requires_action",
        "call.needs_operator",
        "attempt.unknown",
    ]
    assert shown["events"][0]["status"] == "requires_action"
    for word in (found.tool_call_id, "needs_operator", "attempt.unknown"):
        assert word in runs("show", found.run_id).stdout
    gone = runs("show", "run_x")
    assert (gone.returncode, gone.stderr) == (3, "counterfoil: no run run_x\n")


def test_resume_and_cancel(runs: Run, connection: psycopg.Connection, situation: Load) -> None:
    found = situation("poisoned")
    (shown,) = lines(runs("resume", found.run_id, *WHY, "--json"))
    assert shown["attention"] == []
    assert one(connection, "select poisoned_at is null and due_at <= counterfoil.db_now() from counterfoil.runs")
    assert runs("cancel", found.run_id, *WHY).stdout == f"run {found.run_id} is cancelled\n"
    for command in ("cancel", "resume"):
        late = runs(command, found.run_id, *WHY)
        assert (late.returncode, late.stderr) == (5, f"counterfoil: run {found.run_id} has ended: it is cancelled\n")
        assert runs(command, "run_x", *WHY).returncode == 3
        assert runs(command, found.run_id).returncode == 2, "a reason is required"
    actions = connection.execute("select operator, action, reason from counterfoil.audit order by id").fetchall()
    assert actions == [("ada", "resume_run", "I have looked"), ("ada", "cancel_run", "I have looked")]


def test_watch(processes: Processes, runs: Run, database: str, situation: Load) -> None:
    found = situation("expired_lease")
    late = runs("watch", found.run_id, "--timeout", "0.1")
    assert late.returncode == 7
    assert late.stderr == f"counterfoil: run {found.run_id} has not ended in time: it is in_progress\n"
    processes.start_worker(database, COUNTERFOIL_CONFIG=ROOT / "counterfoil.toml")
    followed = lines(runs("watch", found.run_id, "--json"))
    assert followed[0]["event"] == "run.in_progress"
    assert followed[-1]["event"] == "run.completed"
    assert runs("watch", situation("orphan_effect").run_id).returncode == 1, "it was cancelled"
    assert runs("watch", "run_x").returncode == 3


def test_export_is_what_the_investigator_reads(
    processes: Processes, runs: Run, situation: Load, tmp_path: Path
) -> None:
    found = {name: situation(name) for name in NAMES}
    every = lines(runs("export"))
    assert {one["run"]["id"] for one in every} >= {one.run_id for one in found.values()}
    only = lines(runs("export", found["conflict"].run_id))
    assert [one["run"]["id"] for one in only] == [found["conflict"].run_id]
    assert lines(runs("show", found["conflict"].run_id, "--json")) == only
    assert runs("export", "run_x").returncode == 3

    file = tmp_path / "runs.jsonl"
    file.write_text("".join(json.dumps(run) + "\n" for run in every))
    told = processes.counterfoil("investigate", "--coordinator", str(file), "--format", "json")
    assert told.returncode in (0, 1), told.stderr
    assert found["conflict"].run_id in told.stdout


def test_list_for_people(runs: Run, situation: Load) -> None:
    assert runs("list").stderr == "no runs\n"
    found = situation("poisoned")
    shown = runs("list").stdout
    assert found.run_id in shown
    assert "poisoned" in shown
