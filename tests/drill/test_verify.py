"""`counterfoil tools verify` finds out that a tool is not what its contract says."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.agents import catalog_text
from tests.support.sandbox_process import SandboxProcess, start_sandbox

TICKET = '{"title": "t"}'
INVOICE = '{"customer": "c", "amount_cents": 5}'


@pytest.fixture
def sandbox(tmp_path: Path):
    with start_sandbox(tmp_path / "sandbox") as running:
        yield running


def verified(sandbox: SandboxProcess, folder: Path, name: str, arguments: str, **changes) -> tuple[int, dict[str, str]]:
    """The exit code, and what was found by the name of each check."""
    file = folder / "counterfoil.toml"
    file.write_text(catalog_text(sandbox.url, **changes))
    command = [sys.executable, "-m", "app.cli", "tools", "verify", name, "--arguments", arguments, "--yes", "--json"]
    done = subprocess.run([*command, "--file", str(file)], capture_output=True, text=True, check=False, env=os.environ)
    assert done.stderr == ""
    return done.returncode, {(c := json.loads(line))["name"]: c["found"] for line in done.stdout.splitlines()}


def test_a_keyed_tool_that_is_keyed(sandbox: SandboxProcess, tmp_path: Path) -> None:
    code, found = verified(sandbox, tmp_path, "create_invoice", INVOICE)
    assert code == 0
    assert set(found.values()) == {"ok"}


def test_a_tool_that_is_called_keyed_and_is_not(sandbox: SandboxProcess, tmp_path: Path) -> None:
    keyed = {"repeat": "keyed", "key_ttl_s": 60, "lookup": None, "external_id": "ticket_id"}
    code, found = verified(sandbox, tmp_path, "create_ticket", TICKET, create_ticket=keyed)
    assert code == 1
    assert found["one key twice"] == found["one key twice at once"] == "broken"


def test_a_lookup_that_finds_what_was_done(sandbox: SandboxProcess, tmp_path: Path) -> None:
    code, found = verified(sandbox, tmp_path, "create_ticket", TICKET)
    assert code == 0
    assert found["nothing there"] == found["found after its answer"] == "ok"


def test_a_lookup_that_is_slower_than_it_says(sandbox: SandboxProcess, tmp_path: Path) -> None:
    sandbox.post("/faults", {"spec": "lookup_lag=30"})
    code, found = verified(sandbox, tmp_path, "create_ticket", TICKET)
    assert code == 1
    assert found["found after its answer"] == "broken"


def test_a_tool_that_does_not_answer(sandbox: SandboxProcess, tmp_path: Path) -> None:
    sandbox.post("/faults", {"spec": "status_before=503"})
    assert verified(sandbox, tmp_path, "send_email", '{"to": "a@b", "subject": "s"}') == (1, {"answers": "broken"})
