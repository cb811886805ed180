"""The founding incident: the whole answer that the contract gives to it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from app.cli.investigate import investigate

HERE = Path(__file__).parent / "founding"
FILES = {
    "coordinator": "coordinator.log",
    "gateway": "gateway.log",
    "audit": "audit.json",
    "submitter": "submitter.log",
}


def answer(*more: str, **changed: Path) -> tuple[int, str]:
    """Run the command on the incident's files, some of them changed."""
    arguments = [word for name, file in FILES.items() for word in (f"--{name}", str(changed.get(name, HERE / file)))]
    done = CliRunner().invoke(investigate, [*arguments, *more])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.output


def test_the_full_answer() -> None:
    status, output = answer("--format", "json")
    said = json.loads(output)
    assert status == 1
    assert set(said) == {"duplicates", "findings", "sources", "window"}
    assert said["findings"] == []
    (duplicate,) = said["duplicates"]
    assert {key: duplicate[key] for key in list(duplicate)[:8]} == {
        "fingerprint": "9b3f",
        "tool": "create_ticket",
        "thread_ids": ["thr_8f2"],
        "run_ids": ["run_4c1"],
        "tool_call_ids": ["call_A1"],
        "effects": ["TCK-774201", "TCK-774202"],
        "cause": "redispatch",
        "confidence": "high",
    }
    because = {out["cause"]: out["because"] for out in duplicate["ruled_out"]}
    assert set(because) == {"gateway_retry", "client_resubmission", "model_repeat", "external_duplicate"}
    for told in ("07.982", "answered 200", "07.610", "07.742"):
        assert told in because["gateway_retry"]
    assert "run_4c1" in because["client_resubmission"]
    assert "call_A1" in because["model_repeat"]
    assert "2 POSTs for 2 effects" in because["external_duplicate"]
    (missing,) = duplicate["missing"]
    assert "one dispatch_tool" in missing
    assert "replica" in missing
    assert "LEDGER=enforce" in duplicate["remedy"]


def test_timeline_sources_and_window() -> None:
    said = json.loads(answer("--format", "json")[1])
    timeline = said["duplicates"][0]["timeline"]
    post = {
        "at": "2026-03-12T10:16:05.410Z",
        "source": "gateway",
        "line": 1,
        "what": "POST /tools/create_ticket 200 2.1s",
    }
    assert post in timeline
    assert [moment["at"] for moment in timeline] == sorted(moment["at"] for moment in timeline)
    assert len(timeline) == 6 + 2 + 2 + 3
    assert [(s["name"], s["records"], s["unread"], s["offset_s"]) for s in said["sources"]] == [
        ("coordinator", 6, 0, 0.0),
        ("gateway", 2, 0, 0.0),
        ("audit", 2, 0, 0.0),
        ("submitter", 3, 0, 0.0),
    ]
    assert said["window"] == {"from": "2026-03-12T10:16:02.118Z", "to": "2026-03-12T10:16:09.612Z"}


def test_text_says_the_verdict_first_and_that_the_dropped_event_is_no_cause() -> None:
    status, output = answer()
    assert status == 1
    verdict, timeline, ruled_out, remedy = (
        output.index(word) for word in ("redispatch", "Timeline", "Ruled out", "Remedy")
    )
    assert verdict < timeline < ruled_out < remedy
    assert "at-least-once delivery at work" in output
    assert "not the side effect" in output


def test_html_is_one_page_that_needs_no_network() -> None:
    status, output = answer("--format", "html")
    assert status == 1
    assert output.startswith("<!doctype html>")
    assert "<svg" in output
    assert "prefers-color-scheme:dark" in output
    assert "@media print" in output
    without_namespace = output.replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|<script|<link|@import|src=|url\(| style=", without_namespace)


@pytest.mark.parametrize(
    ("gone", "cause", "confidence"),
    [
        ("submitter", "redispatch", "medium"),
        ("coordinator", "redispatch", "high"),
        ("gateway", "unknown", "low"),
        ("audit", "redispatch", "medium"),
    ],
)
def test_without_one_log_the_answer_is_less_sure_and_says_what_is_missing(
    gone: str, cause: str, confidence: str
) -> None:
    arguments = [w for name, file in FILES.items() if name != gone for w in (f"--{name}", str(HERE / file))]
    done = CliRunner().invoke(investigate, [*arguments, "--date", "2026-03-12", "--format", "json"])
    (duplicate,) = json.loads(done.output)["duplicates"]
    assert (duplicate["cause"], duplicate["confidence"]) == (cause, confidence)
    names = {"audit": "effects"}
    assert any(names.get(gone, gone) in missing for missing in duplicate["missing"])


@pytest.mark.parametrize("source", list(FILES))
@pytest.mark.parametrize("shift_s", [-5, -2, 2, 5])
def test_no_clock_that_is_off_changes_the_answer(source: str, shift_s: int, tmp_path: Path) -> None:
    def moved(found: re.Match[str]) -> str:
        seconds = int(found[1]) * 60 + int(found[2]) + shift_s
        return f"10:{seconds // 60:02d}:{seconds % 60:02d}"

    path = tmp_path / FILES[source]
    path.write_text(re.sub(r"10:(\d\d):(\d\d)", moved, (HERE / FILES[source]).read_text()))
    said = json.loads(answer("--format", "json", **{source: path})[1])
    (duplicate,) = said["duplicates"]
    assert (duplicate["cause"], duplicate["confidence"]) == ("redispatch", "high")
    assert duplicate["effects"] == ["TCK-774201", "TCK-774202"]
    assert said["findings"] == []
    if abs(shift_s) == 5:
        offset = next(s["offset_s"] for s in said["sources"] if s["name"] == source)
        assert offset == pytest.approx(shift_s, abs=1.5)
