"""Incidents in a few lines from which something is missing: a header, a hash, half of an id, the end of a log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.incidents import Explanation, investigate_files

FOUNDING = Path(__file__).parent / "founding"
FIRST = "10:16:05.410Z POST /tools/create_ticket 200 2.1s\n"
SECOND = "10:16:07.982Z POST /tools/create_ticket 200 1.9s\n"


def founding(source: str) -> str:
    """Return one log of the founding incident."""
    return (FOUNDING / ("audit.json" if source == "audit" else f"{source}.log")).read_text()


def explained(folder: Path, **logs: str | list[str]) -> Explanation:
    """Explain logs given as text, several of one source as a list."""
    files: dict[str, list[str]] = {}
    for source, texts in logs.items():
        for number, text in enumerate([texts] if isinstance(texts, str) else texts):
            path = folder / f"{source}-{number}"
            path.write_text(text)
            files.setdefault(source, []).append(str(path))
    return investigate_files(files)


def founding_with(folder: Path, **changed: str | list[str]) -> Explanation:
    """Explain the founding incident with some of its logs changed."""
    logs: dict[str, str | list[str]] = {name: founding(name) for name in ("coordinator", "gateway", "submitter")}
    return explained(folder, **{**logs, "audit": founding("audit"), **changed})


def causes(answer: Explanation) -> list[tuple[str, str, list[str]]]:
    return [(d.cause.value, d.confidence.value, d.effects) for d in answer.duplicates]


def kinds(answer: Explanation) -> list[tuple[str, str | None]]:
    return [(f.kind, f.run_id) for f in answer.findings]


def turn(name: str, minute: str = "16", end: str = "completed") -> str:
    """Return what the coordinator says of one run with one call; with no `end` it waits for its tool."""
    steps = ["02.000Z create_run", "05.000Z status=requires_action tool_calls=1"]
    steps.append(f"05.010Z dispatch_tool name=create_ticket tool_call_id=call_{name}")
    steps += ["08.000Z status=in_progress", f"09.000Z status={end}"] if end else []
    ids = f"thread=thr_{name} run=run_{name} corr=cr_{name}"
    pairs = [step.split(" ", 1) for step in steps]
    return "".join(f"2026-03-12T10:{minute}:{at} coordinator INFO {ids} {said}\n" for at, said in pairs)


def post(name: str, at: str = "16:05.200", said: str = "200 2.0s", body: str = "") -> str:
    """Return one request with all headers but the hash, which only `body` gives it."""
    ids = f"x-corr-id=cr_{name} x-run-id=run_{name} x-thread-id=thr_{name} tool_call_id=call_{name}"
    return f"10:{at}Z POST /tools/create_ticket {said}\n  {ids}{f' body_hash={body}' if body else ''}\n\n"


def submitted(name: str, minute: str = "16", normal: str = "07.300", submit: str = "07.500") -> str:
    ids = f"submitter INFO corr=cr_{name} run=run_{name} tool_call_id=call_{name}"
    day = f"2026-03-12T10:{minute}"
    return f"{day}:{normal}Z {ids} normalize_ok\n{day}:{submit}Z {ids} submit_tool_outputs status=200\n"


def tickets(*made: tuple[str, str, str]) -> str:
    """Return an audit trail of tickets: id, time and fingerprint."""
    return json.dumps([
        {"event": "ticket.created", "ticket_id": name, "created_at": f"2026-03-12T10:{at}Z",
         "source": "agent-tool-gateway", "request_fingerprint": body} for name, at, body in made
    ])  # fmt: skip


BOTH = ["TCK-774201", "TCK-774202"]


def test_a_request_without_any_header_belongs_to_the_dispatch_that_waits(tmp_path: Path) -> None:
    one = json.dumps(json.loads(founding("audit"))[:1])
    answer = founding_with(tmp_path, gateway=FIRST, audit=one)
    assert (causes(answer), kinds(answer)) == ([], [])


def test_two_requests_without_any_header(tmp_path: Path) -> None:
    answer = founding_with(tmp_path, gateway=f"{FIRST}\n{SECOND}")
    assert causes(answer) == [("redispatch", "medium", BOTH)]
    assert kinds(answer) == []


@pytest.mark.parametrize(
    "left", ["", "  x-run-id=run_4\n", "  x-corr-id=cr_9\n", "  body_hash=9b3f...\n", "cut"], ids=str.strip
)
def test_a_second_request_of_which_little_is_left(left: str, tmp_path: Path) -> None:
    second = SECOND[:40] if left == "cut" else SECOND + left
    answer = founding_with(tmp_path, gateway=founding("gateway").split("\n\n")[0] + "\n\n" + second)
    assert causes(answer) == [("redispatch", "medium", BOTH)]
    assert kinds(answer) == []


def test_a_cut_id_that_begins_several_is_nobodys(tmp_path: Path) -> None:
    other = turn("b").replace("run_b", "run_4ff")
    gateway = founding("gateway").split("\n\n")[0] + "\n\n" + SECOND + "  x-run-id=run_4\n"
    answer = founding_with(tmp_path, gateway=gateway, coordinator=founding("coordinator") + other)
    assert all(cause != "redispatch" for cause, _, _ in causes(answer))


def test_an_equal_request_of_another_thread_that_lost_its_hash(tmp_path: Path) -> None:
    answer = explained(
        tmp_path,
        coordinator=turn("a") + turn("b"),
        gateway=post("a", said="200 0.8s", body="9b3f0a11") + post("b", "16:05.900", "200 1.0s"),
        audit=tickets(("TCK-1", "16:05.900", "9b3f0a11"), ("TCK-2", "16:06.800", "9b3f0a11")),
        submitter=submitted("a") + submitted("b"),
    )
    assert (causes(answer), kinds(answer)) == ([], [])


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("body", ["9b3f", ""])
def test_one_request_with_several_effects_with_and_without_its_hash(count: int, body: str, tmp_path: Path) -> None:
    made = [(f"TCK-{number}", f"16:07.0{number}0", "9b3f") for number in range(count)]
    answer = explained(
        tmp_path,
        coordinator=turn("a"), gateway=post("a", body=body), audit=tickets(*made), submitter=submitted("a"),
    )  # fmt: skip
    assert causes(answer) == [("external_duplicate", "high", [name for name, _, _ in made])]
    assert kinds(answer) == []


@pytest.mark.parametrize("bodies", [("9b3f", "77aa"), ("", "")], ids=["hashes", "no hashes"])
def test_a_retry_beside_a_neighbour_whose_request_ran_meanwhile(bodies: tuple[str, str], tmp_path: Path) -> None:
    one, other = bodies
    late = turn("a").replace("16:08.", "16:17.").replace("16:09.", "16:18.")
    requests = [post("a", said="504 10.0s", body=one), post("b", "16:05.300", "200 3.0s", other)]
    answer = explained(
        tmp_path,
        coordinator=late + turn("b").replace("16:08.", "16:08.9").replace("16:09.", "16:09.9"),
        gateway="".join(requests) + post("a", "16:15.500", "200 1.0s", one),
        audit=tickets(("TCK-1", "16:07.000", "9b3f"), ("TCK-2", "16:07.800", "77aa"), ("TCK-3", "16:16.300", "9b3f")),
        submitter=submitted("a", normal="16.600", submit="16.700") + submitted("b", normal="08.400", submit="08.500"),
    )
    assert causes(answer) == [("gateway_retry", "medium", ["TCK-1", "TCK-3"])]
    assert kinds(answer) == []


@pytest.mark.parametrize("status", ["500", "503", "409", "timeout", "reset", "422"])
def test_a_tool_that_failed_owes_no_effect(status: str, tmp_path: Path) -> None:
    answer = explained(
        tmp_path,
        coordinator=turn("p", "10") + turn("a") + turn("q", "20"),
        gateway=post("p", "10:05.200", body="1111") + post("a", said=f"{status} 2.0s", body="9b3f")
        + post("q", "20:05.200", body="2222"),
        audit=tickets(("TCK-1", "10:07.000", "1111"), ("TCK-2", "20:07.000", "2222")),
        submitter=submitted("p", "10") + submitted("a") + submitted("q", "20"),
    )  # fmt: skip
    assert (causes(answer), kinds(answer)) == ([], [])


def test_a_cut_hash_of_the_audit_trail_does_not_make_two_requests_equal(tmp_path: Path) -> None:
    other = [text.replace("thr_b", "thr_a") for text in (turn("b", "18"), post("b", "18:05.200", body="9b3f2222"))]
    answer = explained(
        tmp_path,
        coordinator=turn("a") + other[0],
        gateway=post("a", body="9b3f1111") + other[1],
        audit=tickets(("TCK-1", "16:07.000", "9b3f"), ("TCK-2", "18:07.000", "9b3f")),
        submitter=submitted("a") + submitted("b", "18"),
    )
    assert (causes(answer), kinds(answer)) == ([], [])


TWO = tickets(("TCK-1", "16:05.250", "9b3f"), ("TCK-2", "16:05.800", "9b3f"))


def test_two_equal_requests_of_one_second_in_one_log(tmp_path: Path) -> None:
    gateway = post("a", "16:05", "200 0.3s", "9b3f") * 2
    answer = explained(tmp_path, coordinator=turn("a"), gateway=gateway, audit=TWO, submitter=submitted("a"))
    assert causes(answer) == [("redispatch", "medium", ["TCK-1", "TCK-2"])]
    assert any("equal gateway lines" in missing for missing in answer.duplicates[0].missing)
    assert len([m for m in answer.duplicates[0].timeline if m.source == "gateway"]) == 2


def test_two_gateways_with_an_equal_request_in_one_millisecond(tmp_path: Path) -> None:
    line = post("a", "16:05.200", "200 0.3s", "9b3f")
    answer = explained(tmp_path, coordinator=turn("a"), gateway=[line, line], audit=TWO, submitter=submitted("a"))
    assert causes(answer) == [("redispatch", "medium", ["TCK-1", "TCK-2"])]


def test_a_gateway_log_given_twice_makes_no_second_request(tmp_path: Path) -> None:
    log = post("b", "16:01.200", body="77aa") + post("a", "16:05.200", "200 0.7s", "9b3f")
    for gateway in (log, [log, log]):
        answer = explained(tmp_path, coordinator=turn("a"), gateway=gateway, audit=TWO, submitter=submitted("a"))
        assert causes(answer) == [("external_duplicate", "medium", ["TCK-1", "TCK-2"])]
    gateway = founding("gateway")
    assert causes(founding_with(tmp_path, gateway=[gateway, gateway])) == [("redispatch", "high", BOTH)]


REFUSED = submitted("a").replace("submit_tool_outputs status=200", "submit_failed status=409")
UNSUBMITTED = REFUSED.splitlines(keepends=True)[0] + submitted("b", "17")


@pytest.mark.parametrize(
    "logs",
    [
        {"submitter": REFUSED},
        {"submitter": REFUSED, "gateway": post("a", body="9b3f"), "audit": tickets(("TCK-1", "16:07.000", "9b3f"))},
        {"submitter": REFUSED, "coordinator": turn("a").split("2026-03-12T10:16:05")[0]},
        {"submitter": UNSUBMITTED, "gateway": post("a", body="9b3f")},
    ],
    ids=["submitter alone", "no coordinator", "two lines of the coordinator lost", "nothing submitted"],
)
def test_a_stall_that_only_the_submitter_shows(logs: dict[str, str], tmp_path: Path) -> None:
    answer = explained(tmp_path, **logs)
    assert kinds(answer) == [("stalled", "run_a")]
    said = "nothing was submitted" if logs["submitter"] is UNSUBMITTED else "The submit was refused"
    assert said in answer.findings[0].because


def test_no_stall_where_a_submit_may_be_yet_to_come_or_the_run_ended(tmp_path: Path) -> None:
    begun = UNSUBMITTED.splitlines(keepends=True)[0]
    assert not explained(tmp_path, submitter=begun, gateway=post("a", body="9b3f")).found
    assert not explained(tmp_path, submitter=UNSUBMITTED, coordinator=turn("a")).found
    assert not explained(tmp_path, submitter=REFUSED + submitted("a", normal="07.800", submit="07.900")).found


def test_a_submit_of_no_call_does_not_settle_a_call_dispatched_after_it(tmp_path: Path) -> None:
    second = turn("a", end="").splitlines(keepends=True)[2].replace("05.010", "07.800").replace("call_a", "call_z")
    answer = explained(
        tmp_path,
        coordinator=turn("a", end="").replace("tool_calls=1", "tool_calls=2") + second,
        gateway=post("a", body="9b3f") + post("a", "16:07.900", "- 3.0s", "77aa").replace("call_a", "call_z"),
        submitter=submitted("a").replace(" tool_call_id=call_a", ""),
    )
    assert [(f.kind, f.tool_call_id) for f in answer.findings] == [("stalled", "call_z")]


def test_a_stall_without_a_submitter_log_says_so(tmp_path: Path) -> None:
    (found,) = explained(tmp_path, coordinator=turn("a", end=""), gateway=post("a", body="9b3f")).findings
    assert "no submitter log is here" in found.because


@pytest.mark.parametrize("cut", [95, 120, 150])
def test_an_audit_trail_cut_before_the_time_of_an_effect(cut: int, tmp_path: Path) -> None:
    answer = founding_with(tmp_path, audit=founding("audit")[:-cut])
    assert causes(answer) == [("redispatch", "medium", BOTH[:1])]
    assert any("could not be read" in missing for missing in answer.duplicates[0].missing)
    because = {out.cause.value: out.because for out in answer.duplicates[0].ruled_out}
    assert "for 2 effects" not in because["external_duplicate"]


def test_an_unread_entry_stands_for_the_effect_of_a_second_run(tmp_path: Path) -> None:
    second = [text.replace("thr_b", "thr_a").replace("16:0", "16:3") for text in (turn("b"), post("b", body="9b3f"))]
    audit = tickets(("TCK-1", "16:07.000", "9b3f"), ("TCK-2", "16:37.000", "9b3f"))
    logs = {"coordinator": turn("a") + second[0], "gateway": post("a", body="9b3f") + second[1]}
    logs["submitter"] = submitted("a") + submitted("b", normal="37.300", submit="37.500")
    whole = explained(tmp_path, **logs, audit=audit)
    assert causes(whole) == [("client_resubmission", "high", ["TCK-1", "TCK-2"])]
    cut = explained(tmp_path, **logs, audit=audit[: audit.index("16:37")])
    assert causes(cut) == [("client_resubmission", "medium", ["TCK-1"])]


def test_without_an_audit_trail_no_effect_is_said_to_be_seen(tmp_path: Path) -> None:
    logs = {name: founding(name) for name in ("coordinator", "gateway", "submitter")}
    (duplicate,) = explained(tmp_path, **logs).duplicates
    assert all("effects: each" not in out.because for out in duplicate.ruled_out)
