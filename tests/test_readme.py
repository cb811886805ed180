"""README.md is run: its commands against a system that `counterfoil up` started, its program, its tool, its links."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.catalog import load_catalog
from tests.support.processes import INHERITED, ROOT, Processes

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for kind, text in BLOCKS if kind == "sh" for line in text.splitlines() if line]
# What takes long, or would start a second system, is tested elsewhere: here that it is spelled right.
ELSEWHERE = {"./start demo": "--help", "./start": "--help"}


@dataclass(frozen=True)
class System:
    """A running `counterfoil up`: where it serves, its key, its environment."""

    web: str
    sandbox: str
    key: str
    home: Path
    env: dict[str, str]

    def here(self, text: str) -> str:
        """A piece of the README with this system's places in the place of the usual ones."""
        places = {
            "http://127.0.0.1:8000": self.web,
            "http://127.0.0.1:8091": self.sandbox,
            "cf_…": self.key,
            ".counterfoil/": f"{self.home}/",
            "./start": f"{shlex.quote(sys.executable)} -P -m app.cli",
        }
        for usual, own in places.items():
            text = text.replace(usual, own)
        return text

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command as a reader would, in the project's folder."""
        return subprocess.run(
            command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=120, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """All of it, on free ports, with a home of its own."""
    folder = tmp_path_factory.mktemp("readme")
    kept = {name: value for name, value in os.environ.items() if name in INHERITED}
    env = {"COUNTERFOIL_HOME": str(folder / "home"), "COUNTERFOIL_CONFIG": str(ROOT / "counterfoil.toml"), "PORT": "0"}
    with Processes(folder) as processes:
        up = processes.start("up", "-P", "-m", "app.cli", "up", PYTHONPATH=ROOT, **env)
        up.await_ready(lambda: "Ctrl-C stops everything" in up.log_text(), "up")
        text = up.log_text()
        found = re.search(r"Agent API +(\S+)/v1\n.*Sandbox +(\S+)/ .*API key +(\S+)", text, re.DOTALL)
        assert found, text
        yield System(*found.groups(), folder / "home", kept | env | {"PYTHONPATH": str(ROOT)})
        assert up.stop() == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works(system: System, command: str) -> None:
    bare = command.partition("#")[0].strip()
    if bare.startswith("curl") and shutil.which("curl") is None:
        pytest.skip("no curl here")
    result = system.run("/bin/sh", "-c", system.here(f"{bare} {ELSEWHERE.get(bare, '')}"))
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    assert '"error"' not in result.stdout


def test_the_program_runs(system: System) -> None:
    pytest.importorskip("openai")
    [program] = [text for kind, text in BLOCKS if kind == "python"]
    result = system.run(sys.executable, "-c", system.here(program))
    assert result.stdout == "completed Done.\n", result.stderr


def test_the_tool_is_valid_and_short(tmp_path: Path) -> None:
    [tool] = [text for kind, text in BLOCKS if kind == "toml"]
    assert len(tool.splitlines()) <= 5
    file = tmp_path / "counterfoil.toml"
    file.write_text(tool)
    assert load_catalog(file, {"BILLING_TOKEN": "x"}).tools["refund"].contract.key_ttl_s == 86400


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    path = ROOT / document
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if not re.match(r"[a-z]+:", link):
            target, _, heading = link.partition("#")
            there = path if not target else (path.parent / target).resolve()
            assert there.exists(), f"{document} links to {link}"
            assert not heading or heading in headings(there), f"{there} has no heading {heading}"


def headings(path: Path) -> set[str]:
    """The anchors of a document's headings."""
    lines = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-") for line in lines}


def test_every_document_is_reached() -> None:
    reached, ahead = set(), {ROOT / "README.md"}
    while ahead:
        path = ahead.pop()
        reached.add(path)
        links = re.findall(r"\]\(([^)\s#]+\.md)[)#]", path.read_text(encoding="utf-8"))
        ahead |= {there for link in links if (there := (path.parent / link).resolve()).exists()} - reached
    for path in (ROOT / "docs").glob("*.md"):
        assert path in reached, f"no link leads from README.md to docs/{path.name}"
