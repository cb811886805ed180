"""Fixtures of the worker's tests: real workers on a database of the test's own, before a real sandbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.agents import Agents
from tests.support.processes import Processes
from tests.support.sandbox_process import SandboxProcess, start_sandbox


@pytest.fixture(scope="session")
def outside_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One sandbox for all tests of a process."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


@pytest.fixture
def agents(database: str, tmp_path: Path, outside_world: SandboxProcess, processes: Processes) -> Iterator[Agents]:
    """A small system under test; the sandbox has no faults and an empty trail."""
    outside_world.post("/reset")
    system = Agents(database, tmp_path, outside_world, processes)
    yield system
    system.book.close()
