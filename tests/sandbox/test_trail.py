"""The trail: what is written is there after any death of its writer."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.access import AccessLog
from sandbox.trail import Trail, TrailError


def test_what_was_appended_is_read_again(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "a.jsonl")
    trail.append({"n": 1, "text": "line\nbreak \ud800 \0"})
    trail.append({"n": 2})
    assert [record["n"] for record in Trail(tmp_path / "a.jsonl").records()] == [1, 2]


@given(cut=st.integers(0, 60))
def test_a_torn_last_line_is_dropped_and_the_next_starts_a_line(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    path = tmp_path_factory.mktemp("trail") / "a.jsonl"
    trail = Trail(path)
    for number in range(3):
        trail.append({"number": number, "text": "x" * 5})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - cut])
    kept = whole[: len(whole) - cut].count(b"\n")
    again = Trail(path)
    again.append({"number": 99})
    assert [record["number"] for record in again.records()] == [*range(kept), 99]


@pytest.mark.parametrize("line", [b"nonsense", b"5", b"\x00\x00", b"[]"])
def test_a_bad_line_in_the_middle_is_told_with_its_place(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"n":1}\n' + line + b'\n{"n":2}\n')
    with pytest.raises(TrailError, match=r"a\.jsonl, line 2: "):
        list(Trail(path).records())


def test_the_tail_begins_with_a_whole_line(tmp_path: Path) -> None:
    trail = Trail(tmp_path / "a.jsonl")
    for number in range(1000):
        trail.append({"n": number})
    tail = [record["n"] for record in trail.records(tail_bytes=100)]
    assert tail == list(range(1000 - len(tail), 1000))
    assert 0 < len(tail) < 20


def test_the_access_log_is_put_together_again(tmp_path: Path) -> None:
    log = AccessLog(tmp_path)
    first, second = (log.arrive({"tool": tool, "path": "/"}) for tool in ("a", "b"))
    log.note(first, effects=["TCK-1"])
    log.note(first, status=200, answer="sent")
    again = AccessLog(tmp_path)
    assert again.find({}, limit=9) == log.find({}, limit=9)
    assert [entry["answer"] for entry in again.find({}, limit=9)] == ["sent", "open"]
    assert again.arrive({"tool": "c"}) == second + 1


def test_every_line_on_disk_is_one_object(tmp_path: Path) -> None:
    AccessLog(tmp_path).arrive({"tool": "a\nb"})
    lines = (tmp_path / "requests.jsonl").read_text().splitlines()
    assert [json.loads(line)["tool"] for line in lines] == ["a\nb"]
