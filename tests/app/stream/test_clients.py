"""The stream helpers of the official clients against a live server with a worker, changed in base_url and key only."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.app.api.conftest import Site
from tests.app.stream.stream_scenarios import SCENARIOS
from tests.support.other_clients import NODE_VERSION, node_client, python_path

HERE = Path(__file__).parent
VERSIONS = ("3.54.0", "2.54.0", "1.109.1")
NODE_SCENARIOS = re.findall(r"^  async (\w+)\(", (HERE / "stream_scenarios.mjs").read_text(), re.MULTILINE)
pytestmark = pytest.mark.usefixtures("sandbox")
Outcome = dict[str, str | None]


def report(*command: str, **variables: str) -> dict[str, Any]:
    """What a script of scenarios prints."""
    done = subprocess.run(
        command, env={**os.environ, **variables}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def outcomes(site: Site) -> Callable[[str], Outcome]:
    """What became of each scenario, by version; each version runs all of them once, when it is first asked for."""
    done: dict[str, Outcome] = {}

    def outcome(version: str) -> Outcome:
        if version not in done:
            to = (f"{site.url}/v1", site.new_key(f"streams {version}"))
            if version == NODE_VERSION:
                found = report("node", str(HERE / "stream_scenarios.mjs"), str(node_client()), *to)
            else:
                found = report(sys.executable, str(HERE / "stream_scenarios.py"), *to, **python_path(version))
            assert found["version"] == version
            done[version] = found["scenarios"]
        return done[version]

    return outcome


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("scenario", [one.__name__ for one in SCENARIOS])
def test_python(outcomes: Callable[[str], Outcome], version: str, scenario: str) -> None:
    problem = outcomes(version)[scenario]
    assert problem is None, problem


@pytest.mark.skipif(shutil.which("npm") is None, reason="no Node here; .ci/run installs it")
@pytest.mark.parametrize("scenario", NODE_SCENARIOS)
def test_node(outcomes: Callable[[str], Outcome], scenario: str) -> None:
    problem = outcomes(NODE_VERSION)[scenario]
    assert problem is None, problem
