"""What must not change a verdict, tried on generated incidents by hypothesis."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from scenarios import BENIGN, CAUSES, FINDINGS, Dials, Scenario, World, Writer, play, redispatch_overlap

from app.incidents import Explanation, Record, Source, explain, read_records

ALL = CAUSES + BENIGN + FINDINGS
quick = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 10_000)
scenarios = st.sampled_from(ALL)


def incident(seed: int, *scenario: Scenario, background: int = 6) -> tuple[World, list[Record], list[Source]]:
    """Return a played incident with its records and sources."""
    world = play(seed, Dials(background=background), *scenario)
    with tempfile.TemporaryDirectory() as folder:
        records, sources = read_records(Writer(world).write(Path(folder)))
    return world, records, sources


def said(answer: Explanation) -> tuple[dict[frozenset[str], str], set[tuple[str, str | None]]]:
    """Return causes by effects, and findings, without their words."""
    causes = {frozenset(d.effects): d.cause.value for d in answer.duplicates}
    return causes, {(f.kind, f.run_id) for f in answer.findings}


def fresh(sources: list[Source]) -> list[Source]:
    """Return the sources as before an explanation set their offsets."""
    return [Source(s.name, s.file, s.records, s.unread) for s in sources]


@quick
@given(seeds, scenarios)
def test_the_answer_is_the_truth(seed: int, scenario: Scenario) -> None:
    world, records, sources = incident(seed, scenario)
    causes, findings = said(explain(records, sources=sources))
    assert causes == world.truth.duplicates
    assert findings == world.truth.findings


@quick
@given(seeds, scenarios, st.randoms(use_true_random=False))
def test_shuffling_lines_changes_nothing(seed: int, scenario: Scenario, chance: random.Random) -> None:
    _, records, sources = incident(seed, scenario)
    before = explain(records, sources=fresh(sources))
    lines = [record.line for record in records]
    chance.shuffle(lines)
    mixed = [record._replace(line=line) for record, line in zip(records, lines, strict=True)]
    chance.shuffle(mixed)
    after = explain(mixed, sources=fresh(sources))
    assert said(after) == said(before)
    assert [d.confidence for d in after.duplicates] == [d.confidence for d in before.duplicates]


@quick
@given(seeds, scenarios, st.integers(0, 3), st.integers(-5_000, 5_000))
def test_a_clock_within_five_seconds_changes_nothing(seed: int, scenario: Scenario, source: int, off_ms: int) -> None:
    _, records, sources = incident(seed, scenario)
    before = said(explain(records, sources=fresh(sources)))
    moved = [r._replace(at=r.at + off_ms * 1000) if r.source == source else r for r in records]
    assert said(explain(moved, sources=fresh(sources))) == before


@quick
@given(seeds, scenarios, st.text("abcxyz0189", min_size=1, max_size=4))
def test_renaming_ids_changes_nothing(seed: int, scenario: Scenario, mark: str) -> None:
    _, records, sources = incident(seed, scenario)

    def renamed(value: str | None) -> str | None:
        return None if value is None else f"{mark}-{value[::-1]}"

    causes, findings = said(explain(records, sources=fresh(sources)))
    other = [
        r._replace(run=renamed(r.run), thread=renamed(r.thread), corr=renamed(r.corr), call=renamed(r.call))
        for r in records
    ]
    assert said(explain(other, sources=fresh(sources))) == (causes, {(kind, renamed(run)) for kind, run in findings})


@quick
@given(seeds, st.sampled_from(CAUSES), st.data())
def test_dropping_unrelated_runs_changes_nothing(seed: int, scenario: Scenario, data: st.DataObject) -> None:
    world, records, sources = incident(seed, scenario)
    guilty = {world.runs_of[effect] for effects in world.truth.duplicates for effect in effects}
    others = sorted(set(world.runs_of.values()) - guilty)
    gone = set(data.draw(st.lists(st.sampled_from(others), unique=True)))
    kept = [r for r in records if r.run not in gone and world.runs_of.get(r.detail or "") not in gone]
    assert said(explain(kept, sources=fresh(sources)))[0] == world.truth.duplicates


@quick
@given(seeds, st.sampled_from(CAUSES), st.data())
def test_dropping_evidence_never_flips_a_verdict_silently(seed: int, scenario: Scenario, data: st.DataObject) -> None:
    world, records, sources = incident(seed, scenario)
    guilty = {world.runs_of[effect] for effects in world.truth.duplicates for effect in effects}
    evidence = [r for r in records if r.run in guilty]
    gone = data.draw(st.sampled_from(evidence))
    # Two dispatches side by side, effects moments apart, and one POST lost: nothing tells it from one POST with two
    # effects. docs/investigate.md lists it as undecidable.
    assume(not (gone.kind == "post" and scenario is redispatch_overlap))
    answer = explain([r for r in records if r is not gone], sources=fresh(sources))
    (effects, cause), *_ = world.truth.duplicates.items()
    now = {frozenset(d.effects): d for d in answer.duplicates}
    assert effects in now
    if now[effects].cause != cause:
        assert now[effects].confidence != "high"
        assert now[effects].missing


@pytest.mark.parametrize("scenario", CAUSES)
def test_without_the_gateway_nothing_is_claimed_surely(scenario: Scenario) -> None:
    world, records, sources = incident(7, scenario)
    gateway = next(i for i, s in enumerate(sources) if s.name == "gateway")
    answer = explain([r for r in records if r.source != gateway], sources=fresh(sources))
    assert all(d.confidence != "high" for d in answer.duplicates)
    assert world.truth.duplicates
