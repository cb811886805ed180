"""Fixtures of the telemetry's tests: a small system under test, and a receiver that speaks OTLP."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agents import Agents
from tests.support.otlp import Receiver
from tests.support.processes import Processes
from tests.support.sandbox_process import SandboxProcess, start_sandbox


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    """An outside world of the test's own."""
    with start_sandbox(tmp_path / "sandbox") as running:
        yield running


@pytest.fixture
def agents(database: str, tmp_path: Path, sandbox: SandboxProcess, processes: Processes) -> Iterator[Agents]:
    """Workers, a ledger and the sandbox, without faults."""
    system = Agents(database, tmp_path, sandbox, processes)
    yield system
    system.book.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Decodes what it is sent by OTLP over HTTP."""
    with Receiver() as running:
        yield running
