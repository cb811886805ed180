"""The sandbox as a process: kill -9, restarts, SIGTERM, taken ports and homes."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.support.processes import wait_until
from tests.support.sandbox_process import ROOT, SandboxProcess

Start = Callable[..., SandboxProcess]
INVOICE = {"customer": "ACME", "amount_cents": 1250}


def test_everything_is_there_after_kill_9(start: Start) -> None:
    first = start()
    ticket = first.post("/tools/create_ticket", {"title": "A", "external_ref": "ek_1"})
    first.post("/tools/send_email", {"to": "a@b", "subject": "A"})
    headers = {"Idempotency-Key": "k"}
    invoice = httpx.post(f"{first.url}/tools/create_invoice", json=INVOICE, headers=headers).json()
    trail, requests = first.get("/audit"), first.get("/requests")
    first.kill()
    second = start()
    assert second.get("/audit") == trail
    assert second.get("/requests") == requests
    assert second.get("/tickets?external_ref=ek_1")["tickets"] == [ticket]
    assert httpx.post(f"{second.url}/tools/create_invoice", json=INVOICE, headers=headers).json() == invoice
    next_ticket = second.post("/tools/create_ticket", {"title": "B"})
    assert next_ticket["ticket_id"] > ticket["ticket_id"]


def test_killed_in_the_middle_nothing_that_was_answered_is_lost(start: Start) -> None:
    running = start()
    answered: list[str] = []

    def ask() -> None:
        with httpx.Client(base_url=running.url) as client:
            try:
                while True:
                    answered.append(client.post("/tools/create_ticket", json={"title": "A"}).json()["ticket_id"])
            except httpx.TransportError:
                return

    askers = [threading.Thread(target=ask) for _ in range(4)]
    for asker in askers:
        asker.start()
    wait_until(lambda: len(answered) > 100, what="a hundred tickets")
    running.kill()
    for asker in askers:
        asker.join()
    there = {line["ticket_id"] for line in start().get("/audit/tickets")}
    assert set(answered) <= there
    assert len(there) <= len(answered) + len(askers), "at most one unanswered effect of each asker"


def test_a_torn_line_on_disk_does_not_keep_it_from_starting(start: Start, tmp_path: Path) -> None:
    running = start()
    ticket = running.post("/tools/create_ticket", {"title": "A"})
    running.kill()
    with (running.home / "tickets.jsonl").open("ab") as file:
        file.write(b'{"event":"ticket.crea')
    again = start()
    assert [line["ticket_id"] for line in again.get("/audit")] == [ticket["ticket_id"]]


def test_the_trail_on_disk_is_an_audit_for_investigators(start: Start) -> None:
    running = start()
    running.post("/tools/create_ticket", {"title": "A"})
    (line,) = (running.home / "tickets.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert record.pop("content")["title"] == "A"
    assert [record] == running.get("/audit")


def test_sigterm_ends_it_with_0_after_the_effects_under_way(start: Start) -> None:
    running = start(faults="latency=0.5")
    answers: list[int] = []
    asker = threading.Thread(
        target=lambda: answers.append(
            httpx.post(f"{running.url}/tools/create_ticket", json={"title": "A"}, timeout=30).status_code
        )
    )
    asker.start()
    wait_until(lambda: running.get("/requests"), what="the request's arrival")
    assert running.stop() == 0
    asker.join()
    assert answers == [200]
    assert not (running.home / "sandbox.json").exists()
    assert len(start().get("/audit")) == 1


@pytest.mark.parametrize("fault", ["hang", "late=3000", "latency=3000"])
def test_sigterm_does_not_wait_for_ever(start: Start, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    monkeypatch.setenv("DRAIN_S", "0.1")
    running = start(faults=fault)
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{running.url}/tools/create_ticket", json={"title": "A"}, timeout=0.2)
    assert running.stop() == 0


def test_a_second_sigterm_means_now(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAIN_S", "3000")
    running = start(faults="accept_202=3000")
    running.post("/tools/create_ticket", {"title": "A"})
    running.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "stopping" in (running.home / "sandbox.log").read_text(), what="the first signal's log line")
    assert running.process.poll() is None
    assert running.stop() == 0


def test_the_log_is_json_lines(start: Start) -> None:
    running = start()
    running.post("/faults", "hang@0")
    running.stop()
    lines = [json.loads(line) for line in (running.home / "sandbox.log").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["listening", "faults", "stopping", "stopped"]
    assert lines[0]["url"] == running.url


def test_faults_of_the_command_line_come_back_with_a_reset(start: Start) -> None:
    running = start(faults="no_content*1,seed=5")
    url = f"{running.url}/tools/create_ticket"
    assert [httpx.post(url, json={"title": "A"}).status_code for _ in "12"] == [204, 200]
    running.post("/faults", "status_after")
    running.post("/reset")
    assert [httpx.post(url, json={"title": "A"}).status_code for _ in "12"] == [204, 200]
    assert running.get("/faults")["seed"] == 5


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a sandbox that is expected to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_two_on_one_home_are_refused(start: Start) -> None:
    running = start()
    second = run("--home", str(running.home), "--port", "0")
    assert second.returncode == 2
    assert second.stderr == f"sandbox: {running.home} is in use by another sandbox\n"


def test_a_taken_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = run("--home", str(tmp_path), "--port", str(port))
    assert ended.returncode == 2
    assert ended.stderr == f"sandbox: port {port} of 127.0.0.1 is taken\n"


def test_an_address_of_another_machine_is_one_line(tmp_path: Path) -> None:
    ended = run("--home", str(tmp_path), "--port", "0", "--host", "192.0.2.1")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        (["--faults", "nonsense"], {}, "no kind 'nonsense'"),
        (["--port", "70000"], {}, "port"),
        ([], {"DRAIN_S": "soon"}, "DRAIN_S is 'soon'"),
    ],
)
def test_wrong_options_are_one_line_and_2(
    tmp_path: Path, arguments: list[str], environ: dict[str, str], words: str
) -> None:
    ended = run("--home", str(tmp_path), *arguments, **environ)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert words in ended.stderr


def test_a_trail_that_cannot_be_read_is_one_line_and_2(tmp_path: Path) -> None:
    (tmp_path / "mail.jsonl").write_text("nonsense\n{}\n")
    ended = run("--home", str(tmp_path), "--port", "0")
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "mail.jsonl, line 1" in ended.stderr


def test_the_home_is_under_counterfoils_home(tmp_path: Path) -> None:
    (tmp_path / "sandbox").mkdir()
    (tmp_path / "sandbox" / "mail.jsonl").write_text("nonsense\n")
    ended = run("--port", "0", COUNTERFOIL_HOME=str(tmp_path))
    assert str(tmp_path / "sandbox" / "mail.jsonl") in ended.stderr


def test_it_imports_nothing_of_ours() -> None:
    code = "import sandbox.__main__, sys; print({m.split('.')[0] for m in sys.modules} & {'app', 'worker', 'sql'})"
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "set()"
