"""A sandbox for the tests of this folder: one process for all, emptied before each test."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.sandbox_process import SandboxProcess, start_sandbox


@pytest.fixture(scope="module")
def shared_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with start_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


@pytest.fixture
def sandbox(shared_sandbox: SandboxProcess) -> SandboxProcess:
    """The sandbox, with nothing in it and no fault on."""
    shared_sandbox.post("/reset")
    return shared_sandbox


@pytest.fixture
def http(sandbox: SandboxProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox.url, timeout=30) as client:
        yield client


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., SandboxProcess]]:
    """Start sandboxes of the test's own, all on one home unless told; killed at the end."""
    started: list[SandboxProcess] = []

    def start_one(home: Path = tmp_path / "home", **options: object) -> SandboxProcess:
        started.append(start_sandbox(home, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start_one
    for process in started:
        process.kill()
