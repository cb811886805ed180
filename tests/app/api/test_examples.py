"""The examples run as they stand, against a live server with a worker and the sandbox."""

import difflib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.app.api.conftest import Site
from tests.support.sandbox_process import SandboxProcess, start_sandbox

EXAMPLES = Path(__file__).parents[3] / "examples"
Run = Callable[..., str]


@pytest.fixture(scope="module")
def sandbox(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """The outside world, and a worker that knows its tools."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        site.processes.start_worker(
            site.dsn, SANDBOX_URL=running.url, COUNTERFOIL_CONFIG="counterfoil.toml", POLL_S=0.2
        )
        yield running


@pytest.fixture(scope="module")
def run_example(site: Site, sandbox: SandboxProcess) -> Run:
    """Runs an example to its end and answers what it printed."""

    def run(name: str, **env: str) -> str:
        address = {"COUNTERFOIL_URL": f"{site.url}/v1", "COUNTERFOIL_KEY": site.key}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", str(EXAMPLES / name)],
            env={**os.environ, **address, **env},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


def test_server_tools(run_example: Run, sandbox: SandboxProcess) -> None:
    said = run_example("server_tools.py")
    ticket = json.loads(said.removeprefix("I have opened a ticket: "))
    audit = [one for one in sandbox.get("/audit/tickets") if one["ticket_id"] == ticket["ticket_id"]]
    assert len(audit) == 1


def test_client_tools(run_example: Run) -> None:
    assert json.loads(run_example("client_tools.py"))["answer"] == "Yes, refund it."


def test_migration_is_two_lines(run_example: Run) -> None:
    before, after = ((EXAMPLES / "migration" / name).read_text().splitlines() for name in ("before.py", "after.py"))
    changed = [line for line in difflib.ndiff(before, after) if line.startswith("- ")]
    assert len(changed) == 2
    script = [{"tool_calls": [{"name": "get_weather", "arguments": {"city": "Basel"}}]}, {"say": "{{outputs.0}}"}]
    said = run_example("migration/after.py", MODEL="scripted", QUESTION=json.dumps({"script": script}))
    assert said == "sunny in Basel"
