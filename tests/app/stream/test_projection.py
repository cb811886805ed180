"""From rows to events, without a server: what the clients' helpers trip over, and what is told in which order."""

from dataclasses import replace
from typing import Any

import pytest

from app.api.stream.projection import DONE, Projection, Seen, untold_pieces
from app.api.stream.serve import FAILURE, encoded
from sql.messages import MessageRow
from sql.runs import RunRow
from sql.steps import CallRow, StepRow
from sql.streams import SpokenRow, StreamCall
from tests.support.streams import checked, names, parsed

RUN = RunRow(
    id="run_1",
    created_at=100,
    thread_id="thread_1",
    assistant_id="asst_1",
    status="queued",
    overdue=False,
    error_code=None,
    error_message=None,
    incomplete_reason=None,
    expires_at=700,
    started_at=None,
    ended_at=None,
    model="scripted",
    instructions=None,
    tools=[],
    metadata={},
    settings={},
    rounds=0,
    prompt_tokens=0,
    completion_tokens=0,
    open_ids=None,
    open_names=None,
    open_arguments=None,
    open_key_ids=None,
)
WORKING = replace(RUN, status="in_progress", started_at=101)
OVER = replace(WORKING, status="completed", ended_at=105, rounds=1, prompt_tokens=3, completion_tokens=4)
START = ["thread.run.created", "thread.run.queued", "thread.run.in_progress"]
SPOKEN = [
    "thread.run.step.created",
    "thread.run.step.in_progress",
    "thread.message.created",
    "thread.message.in_progress",
    "thread.message.delta",
]
CALLED = [*SPOKEN[:2], "thread.run.step.delta"]


def step(kind: str = "message_creation", status: str = "in_progress", round: int = 0) -> StepRow:
    ended = None if status == "in_progress" else 104
    message = "msg_1" if kind == "message_creation" else None
    id = f"step_{kind}_{round}"
    return StepRow(id, 102, "asst_1", "thread_1", "run_1", round, kind, message, status, ended, 3, 4, None, None)


def spoken(text: str, pieces: list[int], status: str = "in_progress", reason: str | None = None) -> SpokenRow:
    content = [{"type": "text", "text": {"value": text, "annotations": []}}]
    ended = None if status == "in_progress" else 104
    row = MessageRow("msg_1", 102, "thread_1", "assistant", content, status, reason, ended, "asst_1", "run_1", {})
    return SpokenRow(row, pieces)


def call(id: str, arguments: str = "{}", output: bytes | None = None, executor: str = "client") -> StreamCall:
    return StreamCall("run_1", executor, CallRow(0, id, "act", arguments.encode(), None, output, None))


def seen(run: RunRow, *steps: StepRow, message: SpokenRow | None = None, calls: tuple[StreamCall, ...] = ()) -> Seen:
    return Seen(run, steps, {"msg_1": message} if message else {}, calls)


def told(projection: Projection, *looks: Seen) -> list[Any]:
    """All events of a stream that looked so often; a whole one is read as strictly as a client's would be."""
    events = [event for look in looks for event in projection.advance(look)]
    if projection.ended:
        checked(b"".join(map(encoded, events)).decode())
    return events


def pieces(events: list[Any]) -> list[str]:
    found = [data for name, data in events if name == "thread.message.delta"]
    return [data["delta"]["content"][0]["text"]["value"] for data in found]


def test_a_queued_run_is_told_at_once_and_once() -> None:
    projection = Projection(opening=(("thread.created", {"id": "thread_1"}),))
    assert names(told(projection, seen(RUN), seen(RUN))) == ["thread.created", *START[:2]]
    assert not projection.ended


def test_created_is_as_it_was_though_the_run_is_over() -> None:
    events = told(Projection(), seen(OVER, step(status="completed"), message=spoken("hi", [2], "completed")))
    assert names(events) == [
        *START,
        *SPOKEN,
        "thread.message.completed",
        "thread.run.step.completed",
        "thread.run.completed",
        "done",
    ]
    created = events[0][1]
    assert (created["status"], created["started_at"], created["completed_at"], created["usage"]) == (
        ("queued", None, None, None)
    )
    assert events[-2][1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}


def test_a_text_is_told_in_the_pieces_in_which_it_was_spoken_each_once() -> None:
    looks = (
        seen(WORKING, step(), message=spoken("Hel", [3])),
        seen(WORKING, step(), message=spoken("Hel", [3])),
        seen(WORKING, step(), message=spoken("Hello wor", [3, 3, 3])),
        seen(OVER, step(status="completed"), message=spoken("Hello world", [3, 3, 3, 2], "completed")),
    )
    assert pieces(told(Projection(), *looks)) == ["Hel", "lo ", "wor", "ld"]


@pytest.mark.parametrize(
    ("text", "lengths", "start", "whole", "expected"),
    [
        ("", [], 0, True, [""]),
        ("", [0], 0, True, [""]),
        ("abc", [], 0, True, ["abc"]),
        ("abc", [], 0, False, []),
        ("abc", [0, 3], 0, True, ["abc"]),
        ("abcdef", [3], 3, True, ["def"]),
        ("abcdef", [3, 3], 3, False, ["def"]),
        ("abcdef", [3, 3], 6, True, []),
    ],
)
def test_pieces(text: str, lengths: list[int], start: int, whole: bool, expected: list[str]) -> None:
    assert untold_pieces(text, lengths, start, whole=whole) == expected


def test_a_call_is_named_once_and_its_arguments_come_in_pieces() -> None:
    """Helpers join what they are told twice: an id repeated would become `call_1call_1`."""
    long = '{"text":"' + "x" * 200 + '"}'
    waiting = replace(WORKING, status="requires_action", rounds=1)
    look = seen(waiting, step("tool_calls"), calls=(call("call_a", long), call("call_b", "")))
    projection = Projection()
    events = told(projection, look)
    assert names(events) == [*START, *CALLED, "thread.run.requires_action", "done"]
    deltas = [data["delta"]["step_details"]["tool_calls"][0] for name, data in events if name.endswith("delta")]
    assert [delta.get("id") for delta in deltas] == ["call_a", None, None, None, None, "call_b", None]
    assert "".join(delta["function"]["arguments"] for delta in deltas if delta["index"] == 0) == long
    assert projection.advance(seen(OVER)) == [], "one end, and nothing after it"


def test_the_servers_calls_are_waited_for_in_the_stream() -> None:
    waiting = replace(WORKING, status="requires_action", rounds=1)
    before = (call("call_a", executor="server"),)
    after = (call("call_a", executor="server", output=b'{"ok":1}'),)
    looks = (
        seen(waiting, step("tool_calls"), calls=before),
        seen(WORKING, step("tool_calls", "completed"), calls=after),
        seen(OVER, step("tool_calls", "completed"), calls=after),
    )
    events = told(Projection(), *looks)
    assert names(events) == [*START, *CALLED, "thread.run.step.completed", "thread.run.completed", "done"]
    shown = dict(events)["thread.run.step.completed"]
    assert shown["step_details"]["tool_calls"][0]["function"]["output"] == '{"ok":1}'


def test_a_batch_of_both_kinds_ends_at_once_and_asks_for_the_clients_calls_alone() -> None:
    waiting = replace(WORKING, status="requires_action", rounds=1)
    events = told(
        Projection(),
        seen(waiting, step("tool_calls"), calls=(call("call_s", executor="server"), call("call_c"))),
    )
    asked = events[-2][1]["required_action"]["submit_tool_outputs"]["tool_calls"]
    assert [one["id"] for one in asked] == ["call_c"]


QUEUED_AGAIN = replace(WORKING, status="queued", rounds=1)
ANSWERED = (call("call_a", output=b"1"),)


def test_answers_come_first_when_the_step_is_complete() -> None:
    looks = (
        seen(QUEUED_AGAIN, step("tool_calls", "completed"), calls=ANSWERED),
        seen(replace(QUEUED_AGAIN, status="in_progress"), step("tool_calls", "completed"), calls=ANSWERED),
        seen(OVER, step("tool_calls", "completed"), calls=ANSWERED),
    )
    assert names(told(Projection(answered=0), *looks)) == [
        "thread.run.step.completed",
        *START[1:],
        "thread.run.completed",
        "done",
    ]


def test_answers_come_after_in_progress_while_the_servers_calls_run() -> None:
    waiting = replace(WORKING, status="requires_action", rounds=1)
    both = (call("call_a", output=b"1"), call("call_s", executor="server"))
    looks = (
        seen(waiting, step("tool_calls"), calls=both),
        seen(OVER, step("tool_calls", "completed"), calls=both),
    )
    assert names(told(Projection(answered=0), *looks)) == [
        *START[1:],
        "thread.run.step.completed",
        "thread.run.completed",
        "done",
    ]


@pytest.mark.parametrize("word", ["cancelled", "expired"])
def test_the_end_from_elsewhere_before_a_worker_took_it_up(word: str) -> None:
    ended = replace(RUN, status=word, ended_at=105)
    assert names(told(Projection(), seen(RUN), seen(ended))) == [*START[:2], f"thread.run.{word}", "done"]
    again = replace(QUEUED_AGAIN, status=word, ended_at=105)
    events = told(Projection(answered=0), seen(again, step("tool_calls", "completed"), calls=ANSWERED))
    assert names(events) == ["thread.run.step.completed", "thread.run.queued", f"thread.run.{word}", "done"]


@pytest.mark.parametrize(
    ("word", "step_word"),
    [("cancelled", "cancelled"), ("expired", "expired"), ("failed", "failed"), ("incomplete", "completed")],
)
def test_the_end_in_the_middle_of_a_text(word: str, step_word: str) -> None:
    codes: dict[str, Any] = {"failed": {"error_code": "server_error"}, "incomplete": {"incomplete_reason": "x"}}
    ended = replace(OVER, status=word, **codes.get(word, {}))
    last = seen(ended, step(status=step_word), message=spoken("half", [4], "incomplete", f"run_{word}"))
    events = told(Projection(), seen(WORKING, step(), message=spoken("ha", [2])), last)
    assert names(events)[-5:] == [
        "thread.message.delta",
        "thread.message.incomplete",
        f"thread.run.step.{step_word}",
        f"thread.run.{word}",
        "done",
    ]


def test_an_open_step_of_calls_ends_with_its_run() -> None:
    ended = replace(OVER, status="cancelled")
    calls = (call("call_a", executor="server"), call("call_b"))
    events = told(Projection(), seen(ended, step("tool_calls", "cancelled"), calls=calls))
    assert names(events) == [*START, *CALLED, "thread.run.step.cancelled", "thread.run.cancelled", "done"]
    events = told(Projection(answered=0), seen(ended, step("tool_calls", "cancelled"), calls=calls))
    assert names(events) == ["thread.run.queued", "thread.run.step.cancelled", "thread.run.cancelled", "done"]


def test_failure_after_outputs_was_in_progress() -> None:
    failed = replace(OVER, status="failed", error_code="server_error")
    events = told(Projection(answered=0), seen(failed, step("tool_calls", "completed"), calls=ANSWERED))
    assert names(events) == ["thread.run.step.completed", *START[1:], "thread.run.failed", "done"]


def test_an_event_is_one_line_of_data_whatever_the_text() -> None:
    text = encoded(("thread.message.delta", {"text": 'a\nb\r\n"c"\u2028 \U0001f600'}))
    assert text.count(b"\n") == 3 and text.endswith(b"\n\n")
    [(name, data)] = parsed(text.decode())
    assert (name, data["text"]) == ("thread.message.delta", 'a\nb\r\n"c"\u2028 \U0001f600')


def test_a_lost_stream_says_so_in_the_form_that_clients_raise() -> None:
    events = parsed(b"".join(map(encoded, FAILURE)).decode())
    assert set(events[0][1]) == {"error"} and set(events[0][1]["error"]) == {"message", "type", "param", "code"}
    assert [name for name, _ in events] == ["error", "done"]
    assert DONE == ("done", "[DONE]")
