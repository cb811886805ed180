"""Scores the investigator on generated incidents: `python tests/incidents/score.py [seeds]` prints a table."""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]
from datetime import UTC, datetime  # noqa: E402

from scenarios import BENIGN, CAUSES, FINDINGS, Dials, Scenario, Truth, Writer, play  # noqa: E402

from app.incidents import Explanation, investigate_files  # noqa: E402

PRESETS = {
    "plain": Dials(),
    "full hash, jsonl, attempts": Dials(cut_hash=None, json_lines=True, attempt_header=True),
    "replicas, zones, crlf": Dials(replicas=3, zone=True, crlf=True, simple_call_ids=True),
    "gzip, shuffled, garbage, twice": Dials(zipped=True, shuffle=True, garbage=4, twice=0.1),
    "audit +5": Dials(skew_s={"audit": 5}),
    "audit -5": Dials(skew_s={"audit": -5}),
    "gateway +5": Dials(skew_s={"gateway": 5}),
    "gateway -5": Dials(skew_s={"gateway": -5}),
    "coordinator +5": Dials(skew_s={"coordinator": 5}),
    "coordinator -5": Dials(skew_s={"coordinator": -5}),
    "submitter +5": Dials(skew_s={"submitter": 5}),
    "submitter -5": Dials(skew_s={"submitter": -5}),
    "alone": Dials(background=0),
    "alone, audit -4": Dials(background=0, skew_s={"audit": -4}),
    "alone, gateway +4": Dials(background=0, skew_s={"gateway": 4}),
    "midnight": Dials(start=datetime(2026, 3, 12, 23, 59, 20, tzinfo=UTC)),
    "hash 4 / full": Dials(cut_hash=4, audit_hash=16),
    "headers missing 20 %": Dials(drop_headers=0.2),
    "prints missing 20 %": Dials(drop_prints=0.2),
    "busy": Dials(background=300, spacing_s=0.3),
    "lost 3 %": Dials(lose=0.03),
    "cut 3 %": Dials(cut=0.03),
}


def judge(name: str, truth: Truth, answer: Explanation) -> list[str]:
    """Return what is wrong with an answer: nothing, or one word for each mistake."""
    wrong = []
    said = {frozenset(d.effects): (d.cause.value, d.confidence.value) for d in answer.duplicates}
    for effects, cause in truth.duplicates.items():
        got = said.pop(effects, None)
        if got is None:
            wrong.append("missed")
        elif got[0] != cause:
            wrong.append(f"{got[0]}/{got[1]}")
    wrong += [f"false {cause}/{sure}" for cause, sure in said.values()]
    found = {(f.kind, f.run_id) for f in answer.findings}
    wrong += [f"no {kind}" for kind, _ in truth.findings - found]
    wrong += [f"false {kind}" for kind, _ in found - truth.findings]
    return wrong


def run(scenario: Scenario, preset: str, seed: int, folder: Path) -> list[str]:
    """Play one incident and judge the answer to it."""
    world = play(seed, PRESETS[preset], scenario)
    files = Writer(world).write(folder)
    return judge(scenario.__name__, world.truth, investigate_files(files))


def main(seeds: int) -> None:
    """Print right answers per scenario and preset, and the mistakes."""
    totals: Counter[str] = Counter()
    tried: Counter[str] = Counter()
    for preset in PRESETS:
        mistakes: Counter[str] = Counter()
        for scenario in CAUSES + BENIGN + FINDINGS:
            for seed in range(seeds):
                with tempfile.TemporaryDirectory() as folder:
                    wrong = run(scenario, preset, seed * 7919 + 13, Path(folder))
                tried[scenario.__name__] += 1
                totals[scenario.__name__] += not wrong
                for word in wrong:
                    mistakes[f"{scenario.__name__}: {word}"] += 1
        print(f"{preset:32} {dict(mistakes.most_common(9)) or 'all right'}", flush=True)
    for name, count in tried.items():
        print(f"{name:26} {totals[name]:5} of {count:5}  {100 * totals[name] / count:5.1f} %")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
