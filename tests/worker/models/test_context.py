"""Truncation, and messages and calls in order: no answer without its call, no call without its answer."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.worker.models.builders import assistant, call, request, user
from worker.models import PastCall, ThreadMessage
from worker.models.context import UNANSWERED, call_ids, chat_messages, sendable_arguments, visible_messages


def shape(*messages: ThreadMessage, **more: Any) -> list[str]:
    """The context in short: role, text, and for calls and answers their ids."""
    short = []
    for message in chat_messages(request(*messages, **more)):
        words = [message["role"], message.get("tool_call_id"), message["content"]]
        words += [asked["id"] for asked in message.get("tool_calls", ())]
        short.append(" ".join(word for word in words if word is not None))
    return short


def last(count: int) -> dict[str, Any]:
    return {"truncation_strategy": {"type": "last_messages", "last_messages": count}}


def test_instructions_come_first() -> None:
    assert shape(user(1, "hi"), instructions="Be brief.") == ["system Be brief.", "user hi"]
    assert shape(user(1, "hi"), instructions="") == ["user hi"]


def test_a_round_without_words() -> None:
    calls = (call(0, 1, "two"), call(0, 0, "one"))
    assert shape(user(1, "hi"), calls=calls) == [
        "user hi",
        "assistant call_1_0_0 call_1_0_1",
        "tool call_1_0_0 one",
        "tool call_1_0_1 two",
    ]


def test_words_and_calls_of_a_round_are_one_message() -> None:
    thread = (user(1, "hi"), assistant(2, "Let me look.", round=0), assistant(3, "And again.", round=2))
    assert shape(*thread, calls=(call(2, 0, "c"), call(1, 0, "b"), call(0, 0, "a"))) == [
        "user hi",
        "assistant Let me look. call_1_0_0",
        "tool call_1_0_0 a",
        "assistant call_1_1_0",
        "tool call_1_1_0 b",
        "assistant And again. call_1_2_0",
        "tool call_1_2_0 c",
    ]


def test_empty_words_with_calls_are_none() -> None:
    thread = (user(1, "hi"), assistant(2, "", round=0))
    assert shape(*thread, calls=(call(0, 0, "a"),)) == ["user hi", "assistant call_1_0_0", "tool call_1_0_0 a"]
    assert chat_messages(request(*thread, calls=(call(0, 0, "a"),)))[1]["content"] is None


def test_an_empty_message_of_the_assistant_is_left_out() -> None:
    assert shape(user(1, "hi"), assistant(2, "", run=0), user(3, "so?")) == ["user hi", "user so?"]


def test_calls_of_earlier_runs_stand_where_they_were_asked() -> None:
    thread = (user(1, "one"), assistant(2, "first", run=1, round=1), user(3, "two"))
    calls = (call(0, 0, "x", run=1, input_seq=1), call(0, 0, "y", run=2))
    assert shape(*thread, run=2, calls=calls) == [
        "user one",
        "assistant call_1_0_0",
        "tool call_1_0_0 x",
        "assistant first",
        "user two",
        "assistant call_2_0_0",
        "tool call_2_0_0 y",
    ]


def test_an_unanswered_call_gets_a_filler() -> None:
    thread = (user(1, "one"), user(2, "two"))
    assert shape(*thread, run=2, calls=(call(0, 0, None, run=1, input_seq=1),)) == [
        "user one",
        "assistant call_1_0_0",
        f"tool call_1_0_0 {UNANSWERED}",
        "user two",
    ]
    assert json.loads(UNANSWERED)


def test_without_a_place_it_is_guessed() -> None:
    talked = (user(1, "one"), assistant(2, "first", run=1, round=1), user(3, "two"))
    assert shape(*talked, run=2, calls=(call(0, 0, "x", run=1),))[1] == "assistant call_1_0_0"
    silent = (user(1, "one"), user(2, "two"))
    assert shape(*silent, run=2, calls=(call(0, 0, "x", run=1),))[1] == "assistant call_1_0_0"


def test_two_silent_runs_after_one_message_stay_in_order() -> None:
    calls = (call(1, 0, "c", run=2, input_seq=1), call(0, 0, "b", run=2, input_seq=1), call(0, 0, "a", input_seq=1))
    assert [line for line in shape(user(1, "hi"), run=3, calls=calls) if line.startswith("tool")] == [
        "tool call_1_0_0 a",
        "tool call_2_0_0 b",
        "tool call_2_1_0 c",
    ]


def test_truncation_keeps_the_last_messages() -> None:
    thread = (user(1, "one"), assistant(2, "first", run=0), user(3, "two"))
    assert shape(*thread, settings=last(2)) == ["assistant first", "user two"]
    assert shape(*thread, settings=last(9)) == ["user one", "assistant first", "user two"]
    assert shape(*thread, settings={"truncation_strategy": {"type": "auto", "last_messages": None}})[0] == "user one"


def test_truncation_drops_the_batches_of_earlier_runs_with_their_message() -> None:
    thread = (user(1, "one"), assistant(2, "first", run=1, round=1), user(3, "two"))
    calls = (call(0, 0, "x", run=1, input_seq=1), call(0, 1, "y", run=1, input_seq=1))
    assert shape(*thread, run=2, calls=calls, settings=last(2)) == ["assistant first", "user two"]
    assert shape(*thread, run=2, calls=calls, settings=last(3))[1] == "assistant call_1_0_0 call_1_0_1"


def test_truncation_never_drops_the_batches_of_this_run() -> None:
    thread = (user(1, "hi"), assistant(2, "Look.", round=0), assistant(3, "Again.", round=1))
    calls = (call(0, 0, "a"), call(1, 0, "b"))
    assert shape(*thread, calls=calls, settings=last(1)) == [
        "assistant call_1_0_0",
        "tool call_1_0_0 a",
        "assistant Again. call_1_1_0",
        "tool call_1_1_0 b",
    ]


def test_the_providers_ids_are_used_where_they_can_be() -> None:
    calls = (
        call(0, 0, provider_call_id="p1"),
        call(0, 1, provider_call_id=""),
        call(1, 0, provider_call_id="p1"),
        call(0, 0, run=2, provider_call_id=None),
    )
    assert list(call_ids(calls).values()) == ["p1", "call_1_0_1", "call_1_1_0", "call_2_0_0"]


def test_an_id_that_was_taken_by_a_provider_is_told_apart() -> None:
    calls = (call(0, 0, provider_call_id="call_1_0_1"), call(0, 1), call(0, 2, provider_call_id="call_1_0_1"))
    assert list(call_ids(calls).values()) == ["call_1_0_1", "call_1_0_1_2", "call_1_0_2"]


def test_arguments_are_sent_as_an_object() -> None:
    assert sendable_arguments('{"a": 1}') == '{"a": 1}'
    assert sendable_arguments("") == "{}"
    assert sendable_arguments('{"a": ') == '{"arguments": "{\\"a\\": "}'
    assert sendable_arguments("[1]") == '{"arguments": "[1]"}'


@st.composite
def threads(draw: st.DrawFn) -> tuple[list[ThreadMessage], list[PastCall]]:
    """Runs that speak or not, call or not, and are answered or not, among messages of the user."""
    messages: list[ThreadMessage] = []
    calls: list[PastCall] = []
    for run in range(1, draw(st.integers(1, 4)) + 1):
        messages += [user(len(messages) + 1, "u") for _ in range(draw(st.integers(0, 2)))]
        input_seq = len(messages)
        for round in range(draw(st.integers(0, 3))):
            if draw(st.booleans()):
                messages.append(assistant(len(messages) + 1, draw(st.sampled_from(["", "t"])), run, round))
            for index in range(draw(st.integers(0, 2))):
                output = draw(st.sampled_from([None, "", "o"]))
                id = draw(st.sampled_from([None, "", "p", "call_1_0_0"]))
                calls.append(call(round, index, output, run, provider_call_id=id, input_seq=input_seq))
    return messages, calls


@given(threads(), st.integers(1, 8))
def test_calls_and_answers_always_belong_together(thread: tuple[list[ThreadMessage], list[PastCall]], n: int) -> None:
    messages, calls = thread
    asked = request(*messages, run=4, calls=tuple(calls), settings=last(n), input_seq=len(messages))
    open_ids: list[str] = []
    seen: set[str] = set()
    for message in chat_messages(asked):
        if message["role"] == "tool":
            assert message["tool_call_id"] == open_ids.pop(0)
            continue
        assert open_ids == []
        open_ids = [asked_call["id"] for asked_call in message.get("tool_calls", ())]
        assert not seen & set(open_ids)
        seen |= set(open_ids)
        assert len(set(open_ids)) == len(open_ids)
    assert open_ids == []
    assert len(seen) >= len([call for call in calls if call.run_id == "run_4"])
    assert len(visible_messages(asked)) == min(n, len(messages))
