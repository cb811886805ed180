"""The official client's versions against a live server with a worker, changed in base_url and key only."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.app.api.conftest import Site
from tests.app.api.scenarios import SCENARIOS
from tests.support.old_openai import old_openai

SCRIPT = Path(__file__).with_name("scenarios.py")
VERSIONS = ("3.54.0", "1.109.1")


@pytest.fixture(scope="module")
def working_site(site: Site) -> Site:
    """The site, with a worker."""
    site.processes.start_worker(site.dsn)
    return site


@pytest.fixture(scope="module")
def outcomes(working_site: Site) -> dict[str, dict[str, Any]]:
    """What became of each scenario, by version; each version runs all of them once."""
    found = {}
    for version in VERSIONS:
        path = {"PYTHONPATH": str(old_openai())} if version.startswith("1.") else {}
        key = working_site.new_key(f"client {version}")
        done = subprocess.run(
            [sys.executable, str(SCRIPT), f"{working_site.url}/v1", key],
            env={**os.environ, **path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        report = json.loads(done.stdout)
        found[report["version"]] = report["scenarios"]
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("scenario", [one.__name__ for one in SCENARIOS])
def test_scenario(outcomes: dict[str, dict[str, Any]], version: str, scenario: str) -> None:
    problem = outcomes[version][scenario]
    assert problem is None, problem
