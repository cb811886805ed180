"""A small drill with a new seed each time; and the old way, in which the comparison must see duplicates."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

from app.drill.plan import make_plan

KEYS = [
    *("runs", "completed", "needs_operator", "duplicates", "lost", "wrong_output", "kills", "stalls", "db_restarts"),
    *("unknown_outcomes", "turn_p95_s_untouched", "turn_p95_s_touched", "seconds", "seed"),
]


def drilled(*options: str) -> tuple[int, dict[str, Any], str]:
    """A drill's exit code, its figures, and what it said."""
    command = [sys.executable, "-m", "app.cli", "drill", "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def test_nothing_is_doubled_lost_or_told_wrong(tmp_path: Path) -> None:
    seed = secrets.randbelow(2**31)
    print(f"counterfoil drill --runs 25 --workers 2 --seed {seed}")
    page = tmp_path / "page.html"
    code, figures, said = drilled("--runs", "25", "--workers", "2", "--seed", str(seed), "--report", str(page))
    assert (code, figures["duplicates"], figures["lost"], figures["wrong_output"]) == (0, 0, 0, 0), (figures, said)
    assert list(figures) == KEYS
    assert figures["kills"] + figures["stalls"] > 0
    assert "nothing was doubled" in page.read_text()


def test_the_old_way_doubles_and_the_comparison_sees_it() -> None:
    code, figures, said = drilled("--runs", "20", "--workers", "2", "--seed", "1", "--ledger", "off")
    assert code == 1
    assert figures["duplicates"] > 0
    assert "duplicate: run_" in said


def test_a_seed_is_a_plan() -> None:
    assert make_plan(7, 50, lease_s=3) == make_plan(7, 50, lease_s=3)
    assert make_plan(7, 50, lease_s=3) != make_plan(8, 50, lease_s=3)
    assert sum(turn.runs for turn in make_plan(7, 50, lease_s=3).turns) == 50
