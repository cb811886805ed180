"""Logs as they lie about: every form is read, and every line that cannot be is counted with its reason."""

from __future__ import annotations

import gzip
import json
from datetime import date
from pathlib import Path

import pytest

from app.incidents import Record, Source, UnusableInputError, investigate_files, read_records
from app.incidents.jsonstream import Broken, JsonStream
from app.incidents.records import clean_fingerprint, same_fingerprint
from app.incidents.times import clock_us, iso, moment_us

HERE = Path(__file__).parent / "founding"


def read(source: str, path: Path, data: str | bytes, **options: date) -> tuple[list[Record], Source]:
    """Write one file and read it back."""
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    records, sources = read_records({source: [str(path)]}, **options)
    return records, sources[0]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-03-12T10:16:05.410Z", "2026-03-12T10:16:05.410Z"),
        ("2026-03-12T12:16:05.410+02:00", "2026-03-12T10:16:05.410Z"),
        ("2026-03-12T03:16:05,410-0700", "2026-03-12T10:16:05.410Z"),
        ("2026-03-12 10:16:05.410", "2026-03-12T10:16:05.410Z"),
        ("2026-03-12T10:16:05Z", "2026-03-12T10:16:05.000Z"),
        ("2026-03-12T10:16:05.410123Z", "2026-03-12T10:16:05.410123Z"),
    ],
)
def test_times_with_a_day(text: str, same: str) -> None:
    assert iso(moment_us(text)) == same


def test_times_of_day() -> None:
    assert clock_us("10:16:05.410Z") == clock_us("12:16:05.410+02:00") == clock_us("10:16:05,410")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("9b3f...", "9b3fa1", True), ("sha256:9B3F", "9b3f…", True), ("9b3f", "9b4f", False), ("", "9b3f", False)],
)
def test_cut_fingerprints(one: str, other: str, same: bool) -> None:
    assert same_fingerprint(clean_fingerprint(one), clean_fingerprint(other)) is same


@pytest.mark.parametrize("form", ["crlf", "gzip", "bom", "no last newline", "cut gzip"])
@pytest.mark.parametrize("source", ["coordinator", "gateway", "audit", "submitter"])
def test_forms_of_a_file(form: str, source: str, tmp_path: Path) -> None:
    name = "audit.json" if source == "audit" else f"{source}.log"
    data = (HERE / name).read_bytes()
    count = len(read(source, tmp_path / "plain", data)[0])
    changed = {
        "crlf": data.replace(b"\n", b"\r\n"),
        "gzip": gzip.compress(data),
        "bom": b"\xef\xbb\xbf" + data,
        "no last newline": data.rstrip(b"\n"),
        "cut gzip": gzip.compress(data)[:-4],
    }[form]
    records, told = read(source, tmp_path / "log", changed)
    assert len(records) == count
    assert told.unread == (1 if form == "cut gzip" else 0)


def test_unread_lines_are_counted_with_their_reason(tmp_path: Path) -> None:
    good = (HERE / "coordinator.log").read_text()
    bad = "2026-03-12T10:16:02\n### rotated ###\n2026-03-12T10:16:03.904Z coordinator INFO  thread=thr_8f2 run=run_4\n"
    records, told = read("coordinator", tmp_path / "c", bad + good + '{"half": \n')
    assert len(records) == 6
    assert told.unread == 4
    assert sum(told.reasons.values()) == 4
    assert set(told.unread_lines.values()) == {1, 2, 3, 10}


def test_gateway_requests_cut_and_without_answer(tmp_path: Path) -> None:
    text = (
        "10:16:05.410Z POST /tools/create_ticket - 10.0s\n  x-run-id=r1\n\n"
        "10:16:16.000Z POST /tools/create_ticket timeout 10.0s\n  x-run-id=r1  attempt=2\n\n"
        "10:16:27.000Z POST /tools/create_ticket reset\n  x-run-id=r1\n"
        "10:16:29.000Z POST /tools/crea\n  x-run-id=r1\n"
        "10:16:3\n  x-run-id=r9\n"
    )
    records, told = read("gateway", tmp_path / "g", text, day=date(2026, 3, 12))
    assert [(r.status, r.duration, r.attempt) for r in records] == [
        ("-", 10_000_000, None), ("timeout", 10_000_000, 2), ("reset", -1, None), (None, -1, None),
    ]  # fmt: skip
    assert told.unread == 3
    assert iso(records[0].at) == "2026-03-12T10:16:05.410Z"


def test_a_gateway_log_runs_past_midnight(tmp_path: Path) -> None:
    text = "".join(f"{clock} POST /tools/t 200 0.1s\n\n" for clock in ("23:59:58.000Z", "00:00:01.000Z", "00:00:09.5Z"))
    records, _ = read("gateway", tmp_path / "g", text, day=date(2026, 3, 12))
    assert [iso(r.at)[:19] for r in records] == ["2026-03-12T23:59:58", "2026-03-13T00:00:01", "2026-03-13T00:00:09"]


def test_an_audit_trail_as_list_lines_or_one_line(tmp_path: Path) -> None:
    entries = json.loads((HERE / "audit.json").read_text())
    forms = [json.dumps(entries), "\n".join(map(json.dumps, entries)), json.dumps(entries, indent=4), "[]"]
    counts = [len(read("audit", tmp_path / "a", form)[0]) for form in forms]
    assert counts == [2, 2, 2, 0]


def test_a_cut_entry_does_not_cost_the_next(tmp_path: Path) -> None:
    text = (HERE / "audit.json").read_text()
    cut = text.replace('"source": "agent-tool-gateway",\n    "request_fingerprint": "9b3f..."\n  },', '"sour', 1)
    records, told = read("audit", tmp_path / "a", cut)
    assert [r.detail for r in records] == ["TCK-774201", "TCK-774202"]
    assert told.unread == 1


@pytest.mark.parametrize(
    ("between", "unread"),
    [
        ("xx\nyy zz\n\n!!\n", 3),
        ('"str"\n5\n[1]\nnull\nxx\n', 5),
        ('"str", 5, null, [1]\n', 4),
        ('"a string\n', 1),
        ("2026-03-12T10:16:02 no JSON, but words\n", 1),
    ],
)
def test_each_line_or_element_that_is_no_entry_is_counted(between: str, unread: int, tmp_path: Path) -> None:
    one, other = (json.dumps(entry) + "\n" for entry in json.loads((HERE / "audit.json").read_text()))
    records, told = read("audit", tmp_path / "a", one + between + other)
    assert [r.detail for r in records] == ["TCK-774201", "TCK-774202"]
    assert (told.records, told.unread) == (2, unread)
    for size in (1, 3, 7):
        text = one + between + other
        pieces = JsonStream(text[at : at + size] for at in range(0, len(text), size))
        assert sum(isinstance(value, Broken) for _, value in pieces) == unread


@pytest.mark.parametrize("source", ["coordinator", "gateway", "audit", "submitter", "context"])
def test_a_file_of_something_else_is_unusable(source: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\x7fELF\x02\x01\nnot a log\n")
    with pytest.raises(UnusableInputError, match=r"x: line 1: "):
        investigate_files({source: [str(path)]})


def test_the_products_own_logs_and_export(tmp_path: Path) -> None:
    export = {
        "run": {"id": "run_1", "thread_id": "thr_1", "status": "completed", "created_at": "2026-03-12T10:00:00Z",
                "completed_at": "2026-03-12T10:00:09Z"},
        "calls": [{"tool_call_id": "call_1", "tool": "create_ticket", "fingerprint": "9b3fa1c2", "state": "succeeded",
                   "attempts": [
                       {"attempt": 1, "epoch": 1, "state": "succeeded", "sent_at": "2026-03-12T10:00:01Z",
                        "closed_at": "2026-03-12T10:00:03Z"},
                       {"attempt": 2, "epoch": 2, "state": "succeeded", "sent_at": "2026-03-12T10:00:04Z",
                        "closed_at": "2026-03-12T10:00:06Z"}],
                   "evidence": []}],
        "events": [],
    }  # fmt: skip
    entries = [
        {"event": "ticket.created", "ticket_id": f"T-{n}", "created_at": f"2026-03-12T10:00:0{2 + 3 * n}Z",
         "request_fingerprint": "9b3fa1c2"} for n in (0, 1)
    ]  # fmt: skip
    (tmp_path / "export").write_text(json.dumps(export) + "\n")
    (tmp_path / "audit").write_text(json.dumps(entries))
    answer = investigate_files({"coordinator": [str(tmp_path / "export")], "audit": [str(tmp_path / "audit")]})
    (duplicate,) = answer.duplicates
    assert (duplicate.cause, duplicate.run_ids, duplicate.effects) == ("redispatch", ["run_1"], ["T-0", "T-1"])
    line = {"timestamp": "2026-03-12T10:00:00Z", "level": "info", "event": "dispatch_tool", "run": "run_1",
            "tool_call": "call_1", "tool": "create_ticket", "attempt": 1}  # fmt: skip
    records, told = read("coordinator", tmp_path / "log", json.dumps(line) + "\n" + json.dumps({"x": 1}) + "\n")
    assert [(r.kind, r.call) for r in records] == [("dispatch", "call_1")]
    assert told.unread == 1
