"""`counterfoil calls` as scripts see it."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from app.cli.calls import VERDICTS
from app.resolution import Verdict
from tests.support import situations
from tests.support.processes import ROOT, Processes
from tests.support.situations import NAMES, Load, Situation, one

situation = situations.situation
LINE = ["run_id", "tool_call_id", "tool", "state", "repeat", "attempts", "fingerprint", "effect_key"]
LINE += ["in_doubt_since", "evidence"]
EVIDENCE = ["attempt", "kind", "says", "reason", "at", "source", "http_status", "external_id"]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def calls(processes: Processes, database: str) -> Run:
    return lambda *words, **env: processes.counterfoil("calls", *words, DATABASE_URL=database, **env)


def lines(result: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert result.returncode == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def resolve(calls: Run, found: Situation, verdict: str, *more: str, **env: object) -> subprocess.CompletedProcess[str]:
    return calls("resolve", *found.key, "--verdict", verdict, "--reason", "I have looked", *more, **env)


def test_list_as_scripts_read_it(calls: Run, situation: Load) -> None:
    found = situation("conflict")
    (line,) = lines(calls("list", "--json"))
    assert list(line) == LINE
    assert (line["run_id"], line["tool_call_id"]) == found.key
    assert (line["tool"], line["state"], line["repeat"], line["attempts"]) == ("send_email", "succeeded", "never", 2)
    assert [list(evidence) for evidence in line["evidence"]] == [EVIDENCE, EVIDENCE]
    assert [evidence["external_id"] for evidence in line["evidence"]] == ["MSG-2", "MSG-1"]


def test_list_shows_no_payload(calls: Run, connection: psycopg.Connection, situation: Load) -> None:
    for name in NAMES:
        situation(name)
    everything = calls("list", "--json").stdout + calls("list").stdout
    for run, call in connection.execute("select run_id, tool_call_id from counterfoil.tool_calls").fetchall():
        assert call in everything
        everything += calls("show", run, call, "--json").stdout if call.endswith("Never") else ""
    for payload in ("The lift is stuck", "ada@example.com", "Hello", "do not repeat"):
        assert payload not in everything


def test_list_filters_and_order(calls: Run, situation: Load) -> None:
    for name in NAMES:
        situation(name)
    every = lines(calls("list", "--json"))
    assert [line["run_id"] for line in every] == sorted((line["run_id"] for line in every), reverse=True)
    states = {line["state"] for line in lines(calls("list", "--state", "in_doubt", "--json"))}
    assert states == {"in_doubt"}
    assert {line["tool"] for line in lines(calls("list", "--tool", "create_invoice", "--json"))} == {"create_invoice"}
    assert lines(calls("list", "--run", every[0]["run_id"], "--json")) == [every[0]]
    assert lines(calls("list", "--limit", "2", "--json")) == every[:2]
    assert len(lines(calls("list", "--since", "5m", "--json"))) == len(every) - 1, "all but the one that is stuck"
    assert lines(calls("list", "--since", "2999-01-01", "--json")) == []
    assert calls("list", "--state", "lost").returncode == 2
    assert calls("list", "--since", "yesterday").returncode == 2


def test_list_reads_on_page_by_page(calls: Run, connection: psycopg.Connection, situation: Load) -> None:
    found = situation("in_doubt_never")
    connection.execute(
        """insert into counterfoil.tool_calls (run_id, tool_call_id, thread_id, round, index, tool, executor, repeat,
            fingerprint, effect_key, arguments, state)
        select run_id, 'call_' || n, thread_id, n, 0, tool, executor, repeat, fingerprint, 'ek' || n, arguments,
            'pending' from counterfoil.tool_calls, generate_series(1, 1200) n where run_id = %s""",
        (found.run_id,),
    )
    every = lines(calls("list", "--json"))
    assert len({line["tool_call_id"] for line in every}) == len(every) == 1201
    assert len(lines(calls("list", "--limit", "700", "--json"))) == 700
    assert len(calls("list").stdout.splitlines()) == 51


def test_list_for_people(calls: Run, situation: Load) -> None:
    assert calls("list").stderr == "no calls\n"
    found = situation("in_doubt_never")
    shown = calls("list", FORCE_COLOR="1", NO_COLOR="1").stdout
    assert found.run_id in shown
    assert "reply: unknown" in shown
    assert "\x1b[3" not in shown, "no colour"


def test_show(calls: Run, situation: Load) -> None:
    found = situation("in_doubt_never")
    (shown,) = lines(calls("show", *found.key, "--json"))
    assert shown["state"] == "needs_operator"
    assert [attempt["state"] for attempt in shown["attempts"]] == ["unknown"]
    assert shown["attempts"][0]["over_at"] > shown["attempts"][0]["deadline"]
    assert shown["evidence"][0]["says"] == "unknown"
    assert "timeout" in calls("show", *found.key).stdout
    gone = calls("show", found.run_id, "call_x")
    assert (gone.returncode, gone.stderr) == (3, f"counterfoil: no call call_x in run {found.run_id}\n")


def test_verdicts_are_those_of_operations() -> None:
    assert tuple(VERDICTS) == tuple(Verdict)


def test_resolve_happened(calls: Run, connection: psycopg.Connection, situation: Load) -> None:
    found = situation("in_doubt_never")
    said = resolve(
        calls, found, "happened", "--output", '{"message_id": "MSG-9"}', "--external-id", "MSG-9", USER="grace"
    )
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == f"{found.tool_call_id}: needs_operator → succeeded; run {found.run_id} is queued\n"
    row = connection.execute("select operator, action, object, reason from counterfoil.audit").fetchone()
    assert row == ("grace", "resolve_call", "happened", "I have looked")
    again = resolve(calls, found, "failed", "--operator", "bob")
    assert again.returncode == 5
    assert again.stderr.startswith("counterfoil: it is succeeded since ")
    assert again.stderr.endswith("Z, settled by operator grace\n")


@pytest.mark.parametrize(("verdict", "state"), [("retry", "pending"), ("failed", "failed"), ("seen", "needs_operator")])
def test_resolve(calls: Run, situation: Load, verdict: str, state: str) -> None:
    found = situation("in_doubt_never")
    (said,) = lines(resolve(calls, found, verdict, "--operator", "ada", "--json"))
    assert (said["run_id"], said["tool_call_id"], said["state"]) == (*found.key, state)


def test_resolve_lookup_and_cancel(calls: Run, situation: Load) -> None:
    assert resolve(calls, situation("in_doubt_lookup"), "lookup").returncode == 0
    found = situation("in_doubt_never")
    assert resolve(calls, found, "lookup").returncode == 2
    assert resolve(calls, found, "cancel-run").returncode == 0
    assert resolve(calls, found, "cancel-run").returncode == 5
    assert resolve(calls, found, "retry").returncode == 5


def test_resolve_too_early(calls: Run, connection: psycopg.Connection, situation: Load) -> None:
    found = situation("in_doubt_never")
    connection.execute("update counterfoil.attempts set deadline = now() + interval '1 minute'")
    for verdict in ("retry", "failed"):
        early = resolve(calls, found, verdict)
        assert early.returncode == 5
        assert early.stderr.startswith("counterfoil: a request may still be under way until ")
    assert one(connection, "select count(*) from counterfoil.audit") == 0


@pytest.mark.parametrize(
    "words",
    [
        ["--verdict", "happened", "--reason", "r"],
        ["--verdict", "happened", "--reason", "r", "--output", "no json"],
        ["--verdict", "failed"],
        ["--verdict", "failed", "--reason", "  "],
        ["--verdict", "perhaps", "--reason", "r"],
        ["--verdict", "failed", "--reason", "r", "--output", "1"],
        ["--verdict", "failed", "--reason", "r", "--attempt", "0"],
        ["--verdict", "failed", "--reason", "r", "--attempt", "9"],
        ["--verdict", "failed", "--reason", "r", "--operator", ""],
    ],
)
def test_wrong_usage(calls: Run, connection: psycopg.Connection, situation: Load, words: list[str]) -> None:
    found = situation("in_doubt_never")
    result = calls("resolve", *found.key, *words)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert one(connection, "select state from counterfoil.tool_calls") == "needs_operator"


def test_unknown_call(calls: Run) -> None:
    gone = calls("resolve", "run_x", "call_x", "--verdict", "seen", "--reason", "r")
    assert (gone.returncode, gone.stderr) == (3, "counterfoil: no call call_x in run run_x\n")


@pytest.mark.parametrize(("typed", "code"), [("call_inDoubtNever", 0), ("yes", 1)])
def test_on_a_terminal_the_id_is_typed_before_a_never_tool_is_sent_to_again(
    connection: psycopg.Connection, database: str, situation: Load, typed: str, code: int
) -> None:
    found = situation("in_doubt_never")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "app.cli", "calls", "resolve", *found.key, "--verdict", "retry", "--reason", "r"]
    env = {**os.environ, "DATABASE_URL": database}
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    os.write(ours, f"{typed}\n".encode())
    assert process.wait(60) == code
    os.close(ours)
    assert process.stdout is not None
    process.stdout.close()
    state = one(connection, "select state from counterfoil.tool_calls")
    assert state == ("pending" if code == 0 else "needs_operator")
