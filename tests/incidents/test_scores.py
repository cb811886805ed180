"""The investigator against both generators: what it must always get right, in every form and noise."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import adversary
import score
from scenarios import BENIGN, CAUSES, FINDINGS, orphan_unknown_run

from app.incidents import investigate_files

NOISY = {"headers missing 20 %", "prints missing 20 %", "lost 3 %", "cut 3 %"}


@pytest.mark.parametrize("preset", [name for name in score.PRESETS if name not in NOISY])
def test_every_cause_in_every_form(preset: str, tmp_path: Path) -> None:
    for scenario in CAUSES + BENIGN + FINDINGS:
        if preset.startswith("alone") and scenario is orphan_unknown_run:
            continue  # an empty coordinator log covers no time, so it cannot lack the run
        assert score.run(scenario, preset, 1234, tmp_path) == [], scenario.__name__


def test_the_adversary_finds_no_wrong_cause(tmp_path: Path) -> None:
    for seed in range(80):
        world = adversary.play(seed)
        folder = tmp_path / str(seed)
        folder.mkdir()
        answer = investigate_files(world.write(folder))
        assert {frozenset(d.effects): d.cause.value for d in answer.duplicates} == world.duplicates, seed
