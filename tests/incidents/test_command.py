"""The command in a process of its own: exit status, one line on errors, standard input, every format."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "founding"
ROOT = Path(__file__).parents[2]


def investigate(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from app.cli.investigate import investigate as i; i()", *arguments],
        input=text, capture_output=True, text=True, cwd=ROOT, check=False, timeout=60,
    )  # fmt: skip


def test_nothing_found_is_0() -> None:
    done = investigate("--coordinator", str(HERE / "coordinator.log"), "--submitter", str(HERE / "submitter.log"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Nothing duplicated")


def test_standard_input_and_output_file(tmp_path: Path) -> None:
    rest = [w for n in ("coordinator", "submitter") for w in (f"--{n}", str(HERE / f"{n}.log"))]
    done = investigate(
        "--gateway", "-", "--audit", str(HERE / "audit.json"), *rest, "--format", "json", "-o", str(tmp_path / "out"),
        text=(HERE / "gateway.log").read_text(),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert json.loads((tmp_path / "out").read_text())["duplicates"][0]["confidence"] == "high"


def test_a_window_of_one_second_makes_no_duplicate() -> None:
    files = [
        w for n in ("coordinator.log", "gateway.log", "audit.json") for w in (f"--{n.split('.')[0]}", str(HERE / n))
    ]
    assert investigate(*files, "--window", "1s").returncode == 0
    assert investigate(*files, "--window", "2s").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no FILE"),
        (["--gateway", "/no/such"], "/no/such: line 0: No such file"),
        (["--gateway", str(HERE)], "directory"),
        (["--audit", str(HERE / "gateway.log")], "gateway.log: line 1: neither a JSON object"),
        (["--gateway", str(HERE / "audit.json")], "audit.json: line 2: "),
        (["--gateway", str(HERE / "gateway.log"), "--date", "12.3.2026"], "--date"),
        (["--gateway", str(HERE / "gateway.log"), "--window", "soon"], "--window"),
        (["--gateway", "-", "--audit", "-"], "standard input"),
        (["--gateway", str(HERE / "gateway.log"), "-o", "/no/such/place"], "cannot be written"),
    ],
)
def test_unusable_input_is_one_line_and_2(arguments: list[str], said: str) -> None:
    done = investigate(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
