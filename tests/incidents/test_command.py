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


def test_one_unreadable_file_among_good_ones_is_told_and_stops_nothing(tmp_path: Path) -> None:
    rest = [w for n in ("coordinator", "gateway", "submitter") for w in (f"--{n}", str(HERE / f"{n}.log"))]
    (tmp_path / "empty").write_text("")
    for audit in (tmp_path / "empty", HERE / "gateway.log"):
        done = investigate(*rest, "--audit", str(audit))
        assert (done.returncode, done.stderr) == (1, "")
        assert "redispatch" in done.stdout
    assert "gateway.log: 0 records, 6 unread" in done.stdout
    assert f"No line of audit ({HERE / 'gateway.log'}) could be read" in done.stdout


def test_a_gateway_log_whose_day_nobody_knows_is_told_by_time_of_day(tmp_path: Path) -> None:
    for form in ("text", "json", "html"):
        told = investigate("--gateway", str(HERE / "gateway.log"), "--format", form).stdout
        assert "10:16:07.982Z" in told
        assert "1970" not in told
    dated = investigate("--gateway", str(HERE / "gateway.log"), "--date", "2026-03-12").stdout
    assert "2026-03-12T10:16:07.982Z" in dated


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no FILE"),
        (["--gateway", "/no/such"], "/no/such: No such file"),
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
