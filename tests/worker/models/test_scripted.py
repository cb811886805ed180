"""The scripted model: every row of the contract's section 8."""

import asyncio
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.models.builders import assistant, call, request, user
from worker.models import AskedCall, Failed, Incomplete, Turn, TurnRequest
from worker.models.scripted import Scripted, fill_in, pieces


def ask(asked: TurnRequest) -> Turn:
    """The turn of a request; its pieces, joined, must be its text."""
    heard: list[str] = []

    async def listen(piece: str) -> None:
        heard.append(piece)

    turn = asyncio.run(Scripted().ask(asked, listen))
    assert "".join(heard) == (turn.text or "")
    assert bool(heard) == (turn.text is not None)
    assert turn.usage.prompt_tokens > 0
    assert turn.usage.completion_tokens > 0
    return turn


def play(*entries: Any, turn: int = 0, **more: Any) -> Turn:
    return ask(request(user(1, script(*entries)), turn=turn, **more))


def script(*entries: Any) -> str:
    return json.dumps({"script": entries}, ensure_ascii=False)


# 8.1 Input


def test_a_thread_without_a_user_message() -> None:
    assert ask(request(assistant(1, "hello", run=9))).text == "[no user message]"
    assert ask(request()).text == "[no user message]"


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        '{"script":[',
        "[1]",
        '"script"',
        "7",
        "null",
        '{"say":"x"}',
        "{}",
        "",
        " ",
        '{"script": NaN}',
        "{{outputs}} {{message_count}}",
        "\ufeff{}",
        '{"script":' * 5000,
        "grüße 🎉\n\ttab",
    ],
)
def test_what_is_no_script_is_echoed_unchanged(text: str) -> None:
    turn = ask(request(user(1, text)))
    assert (turn.text, turn.calls, turn.end) == (text, (), None)


def test_the_newest_user_message_counts_also_behind_an_assistant_message() -> None:
    assert ask(request(user(1, "old"), user(2, "new"), assistant(3, "answer", run=9))).text == "new"


def test_messages_after_the_creation_of_the_run_do_not_count() -> None:
    assert ask(request(user(1, "then"), user(5, "later"), input_seq=3)).text == "then"


def test_truncation_does_not_change_the_input() -> None:
    settings = {"truncation_strategy": {"type": "last_messages", "last_messages": 1}}
    assert ask(request(user(1, "hello"), assistant(2, "so", run=9), settings=settings)).text == "hello"


# 8.2 Script


def test_say_alone_completes() -> None:
    turn = play({"say": "hi"}, {"say": "never played"})
    assert (turn.text, turn.calls, turn.end) == ("hi", (), None)


def test_calls_in_order_as_one_batch() -> None:
    turn = play({"tool_calls": [{"name": "b"}, {"name": "a", "arguments": {}}, {"name": "b"}]})
    assert turn.text is None
    assert turn.calls == tuple(AskedCall(None, name, "{}") for name in "bab")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"b": 1, "a": [True, None, 1.5], "ü": 'é"\n'}, '{"b":1,"a":[true,null,1.5],"ü":"é\\"\\n"}'),
        ({}, "{}"),
        ("", ""),
        ("not json {", "not json {"),
        ('{"a": 1}', '{"a": 1}'),
        ({"nul": "\0"}, '{"nul":"\\u0000"}'),
    ],
)
def test_arguments(arguments: object, text: str) -> None:
    assert play({"tool_calls": [{"name": "f", "arguments": arguments}]}).calls[0].arguments == text


@pytest.mark.parametrize(
    ("fail", "failed"),
    [
        ({"code": "rate_limit_exceeded", "message": "no"}, Failed("rate_limit_exceeded", "no")),
        ({}, Failed("server_error", "scripted failure")),
        ({"message": "only"}, Failed("server_error", "only")),
        ({"code": "invalid_prompt"}, Failed("invalid_prompt", "scripted failure")),
    ],
)
def test_fail(fail: dict[str, str], failed: Failed) -> None:
    turn = play({"fail": fail})
    assert (turn.text, turn.calls, turn.end) == (None, (), failed)


@pytest.mark.parametrize("reason", ["max_completion_tokens", "max_prompt_tokens"])
def test_incomplete(reason: str) -> None:
    turn = play({"incomplete": reason})
    assert (turn.text, turn.calls, turn.end) == (None, (), Incomplete(reason))


def test_say_with_each_other_key() -> None:
    assert play({"say": "x", "tool_calls": [{"name": "f"}]}).calls == (AskedCall(None, "f", "{}"),)
    assert play({"say": "x", "tool_calls": [{"name": "f"}]}).text == "x"
    assert play({"say": "x", "fail": {}}).text == "x"
    assert play({"say": "x", "fail": {}}).end == Failed("server_error", "scripted failure")
    assert play({"say": "x", "incomplete": "max_prompt_tokens"}).text == "x"
    assert play({"say": "x", "incomplete": "max_prompt_tokens"}).end == Incomplete("max_prompt_tokens")


def test_a_script_that_is_used_up() -> None:
    turn = play({"tool_calls": [{"name": "f"}]}, turn=1, calls=(call(0, 0, "1"),))
    assert (turn.text, turn.calls, turn.end) == ("done", (), None)


def test_each_run_starts_at_entry_0() -> None:
    first = (call(0, 0, "old", run=1),)
    turn = play({"say": "0 {{outputs}}"}, {"say": "1"}, run=2, calls=first)
    assert turn.text == "0 []"


@pytest.mark.parametrize(
    "value",
    [None, {}, [], "", "say", 0, False, {"say": "hi"}],
)
def test_a_script_that_is_no_array_is_invalid_at_turn_0(value: object) -> None:
    assert_invalid(ask(request(user(1, json.dumps({"script": value})))))


INVALID: list[Any] = [
    {},
    None,
    "say",
    5,
    [],
    {"delay_ms": 5},
    {"unknown": 1},
    {"say": 5},
    {"say": None},
    {"say": ["x"]},
    {"say": "\0"},
    {"say": "\ud800"},
    {"tool_calls": []},
    {"tool_calls": {}},
    {"tool_calls": None},
    {"tool_calls": "f"},
    {"tool_calls": ["f"]},
    {"tool_calls": [{}]},
    {"tool_calls": [{"arguments": {}}]},
    {"tool_calls": [{"name": ""}]},
    {"tool_calls": [{"name": 1}]},
    {"tool_calls": [{"name": "f" * 257}]},
    {"tool_calls": [{"name": "f", "arguments": 1}]},
    {"tool_calls": [{"name": "f", "arguments": []}]},
    {"tool_calls": [{"name": "f", "arguments": None}]},
    {"tool_calls": [{"name": "f", "arguments": {"a": "\udfff"}}]},
    {"tool_calls": [{"name": "f"}, {"name": None}]},
    {"fail": None},
    {"fail": "x"},
    {"fail": {"code": 5}},
    {"fail": {"message": None}},
    {"incomplete": "content_filter"},
    {"incomplete": None},
    {"incomplete": ["max_prompt_tokens"]},
    {"incomplete": True},
    {"say": "x", "delay_ms": -1},
    {"say": "x", "delay_ms": 60001},
    {"say": "x", "delay_ms": "5"},
    {"say": "x", "delay_ms": True},
    {"say": "x", "delay_ms": None},
    {"say": "x", "chunk_ms": -1},
    {"say": "x", "chunk_ms": 1001},
    {"say": "x", "chunk_ms": []},
    {"tool_calls": [{"name": "f"}], "fail": {}},
    {"tool_calls": [{"name": "f"}], "incomplete": "max_prompt_tokens"},
    {"fail": {}, "incomplete": "max_prompt_tokens"},
    {"say": "x", "fail": {}, "tool_calls": [{"name": "f"}], "incomplete": "max_prompt_tokens"},
]


@pytest.mark.parametrize("entry", INVALID, ids=lambda entry: json.dumps(entry)[:60])
def test_invalid_entries_fail_when_they_are_reached(entry: object) -> None:
    text = json.dumps({"script": [{"tool_calls": [{"name": "f"}]}, entry]})
    assert ask(request(user(1, text))).end is None
    assert_invalid(ask(request(user(1, text), turn=1, calls=(call(0, 0, "1"),))))


def test_numbers_that_json_can_say_and_we_cannot_are_invalid() -> None:
    assert_invalid(ask(request(user(1, '{"script":[{"tool_calls":[{"name":"f","arguments":{"a":1e999}}]}]}'))))
    assert_invalid(ask(request(user(1, '{"script":[{"say":"x","delay_ms":1e999}]}'))))


def assert_invalid(turn: Turn) -> None:
    assert (turn.text, turn.calls) == (None, ())
    assert isinstance(turn.end, Failed)
    assert turn.end.code == "invalid_prompt"
    assert turn.end.message.startswith("scripted model:")
    assert turn.end.message.isprintable()


def test_unknown_keys_are_ignored() -> None:
    turn = play({"say": "x", "colour": 5, "tool_calls": [{"name": "f", "id": "call_7"}]})
    assert (turn.text, turn.calls) == ("x", (AskedCall(None, "f", "{}"),))


def test_settings_do_not_influence_it() -> None:
    settings = {
        "tool_choice": "none",
        "parallel_tool_calls": False,
        "max_completion_tokens": 256,
        "response_format": {"type": "json_object"},
    }
    entry = {"tool_calls": [{"name": "f"}, {"name": "g"}]}
    assert play(entry, settings=settings) == play(entry)


KEYS = st.sampled_from(["say", "tool_calls", "fail", "incomplete", "delay_ms", "chunk_ms", "name", "arguments"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1) | st.text(st.characters(), max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=2), st.integers(0, 2))
def test_no_script_whatsoever_raises(entries: list[Any], turn: int) -> None:
    said = ask(request(user(1, json.dumps({"script": entries})), turn=turn))
    assert said.text is not None or said.calls or said.end is not None
    assert not (said.calls and said.end)
    for text in (said.text or "", *(asked.name + asked.arguments for asked in said.calls)):
        assert "\0" not in text.encode().decode()


# Times


def test_cancelling_interrupts_the_delay_and_the_text() -> None:
    async def cancel_soon(entry: dict[str, Any], heard: list[str]) -> None:
        spoke = asyncio.Event()

        async def listen(piece: str) -> None:
            heard.append(piece)
            spoke.set()

        task = asyncio.create_task(Scripted().ask(request(user(1, script(entry))), listen))
        await asyncio.sleep(0)
        if "chunk_ms" in entry:
            await spoke.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    heard: list[str] = []
    asyncio.run(asyncio.wait_for(cancel_soon({"say": "x" * 99, "delay_ms": 60000}, heard), 50))
    assert heard == []
    asyncio.run(asyncio.wait_for(cancel_soon({"say": "x" * 99, "chunk_ms": 1000}, heard), 50))
    assert heard == ["x" * 16]


def test_delay_and_pauses_are_kept_without_a_listener_too() -> None:
    async def finish(name: str, entry: dict[str, Any]) -> None:
        await Scripted().ask(request(user(1, script(entry))))
        order.append(name)

    async def race() -> None:
        await asyncio.gather(
            finish("delay of 60", {"say": "x", "delay_ms": 60}),
            finish("two pauses of 15", {"say": "x" * 33, "chunk_ms": 15}),
            finish("delay of 15", {"say": "x", "delay_ms": 15}),
            finish("none", {"say": "x", "chunk_ms": 1000}),
        )

    order: list[str] = []
    asyncio.run(race())
    assert order == ["none", "delay of 15", "two pauses of 15", "delay of 60"]


def test_what_the_listener_raises_is_passed_on() -> None:
    async def listen(piece: str) -> None:
        raise LookupError(piece)

    with pytest.raises(LookupError):
        asyncio.run(Scripted().ask(request(user(1, "hello")), listen))


# 8.3 Placeholders


def filled(say: str, **more: Any) -> str:
    return fill_in(say, request(user(1, "x"), **more))


ROUNDS = (
    call(1, 1, "d ü"),
    call(0, 1, 'b"'),
    call(0, 0, "a"),
    call(1, 0, ""),
    call(0, 0, "of another run", run=0),
)


@pytest.mark.parametrize(
    ("say", "text"),
    [
        ("{{outputs}}", '["","d ü"]'),
        ("{{all_outputs}}", '["a","b\\"","","d ü"]'),
        ("<{{outputs.0}}|{{outputs.1}}|{{outputs.2}}|{{outputs.01}}>", "<|d ü||d ü>"),
        ("{{outputs." + "9" * 5000 + "}}", ""),
        ("{{outputs.-1}}{{outputs.}}{{ outputs }}{{OUTPUTS}}", "{{outputs.-1}}{{outputs.}}{{ outputs }}{{OUTPUTS}}"),
        ("{{outputs.٣}}{{nothing}}{{}}{{{outputs.1}}}", "{{outputs.٣}}{{nothing}}{{}}{d ü}"),
        ("\\1 $& {outputs}", "\\1 $& {outputs}"),
    ],
)
def test_outputs(say: str, text: str) -> None:
    assert filled(say, calls=ROUNDS) == text


def test_outputs_when_there_are_none() -> None:
    assert filled("{{outputs}}{{all_outputs}}<{{outputs.0}}>") == "[][]<>"


def test_a_batch_that_is_not_wholly_answered_does_not_count() -> None:
    calls = (call(0, 0, "a"), call(1, 0, "b"), call(1, 1, None))
    assert filled("{{outputs}} {{all_outputs}}", calls=calls) == '["a"] ["a"]'


def test_inserted_text_is_not_searched_again() -> None:
    assert filled("{{outputs.0}}", calls=(call(0, 0, "{{instructions}} \\g<0>"),)) == "{{instructions}} \\g<0>"


def test_instructions_and_tools() -> None:
    tools = tuple({"type": "function", "function": {"name": name}} for name in ("one", "two"))
    assert filled("<{{instructions}}|{{tools}}>") == "<|>"
    assert filled("<{{instructions}}|{{tools}}>", instructions="Be brief.", tools=tools) == "<Be brief.|one,two>"


def test_message_count_is_cut_by_the_truncation_strategy() -> None:
    thread = (user(1, "x"), assistant(2, "y", run=0), user(3, "z"), assistant(4, "w"))

    def count(strategy: object) -> str:
        return fill_in("{{message_count}}", request(*thread, settings={"truncation_strategy": strategy}))

    assert count(None) == count({"type": "auto", "last_messages": None}) == "4"
    assert count({"type": "last_messages", "last_messages": 2}) == "2"
    assert count({"type": "last_messages", "last_messages": 9}) == "4"


# 8.4 Output form


@pytest.mark.parametrize(
    ("length", "lengths"),
    [
        (0, [0]),
        (1, [1]),
        (16, [16]),
        (17, [16, 1]),
        (800, [16] * 50),
        (801, [17] * 47 + [2]),
        (5000, [100] * 50),
    ],
)
def test_pieces(length: int, lengths: list[int]) -> None:
    text = "é🎉" * (length // 2) + "z" * (length % 2)
    assert [len(piece) for piece in pieces(text)] == lengths
    assert "".join(pieces(text)) == text


def test_usage_follows_from_the_input() -> None:
    def usage(run: int, text: str) -> object:
        return ask(request(user(1, text), run=run)).usage

    assert usage(1, "hello") == usage(2, "hello")
    assert usage(1, "hello") != usage(1, "hello" * 9)


# 8.5 Examples


def test_example_open_case() -> None:
    text = '{"script":[{"tool_calls":[{"name":"open_case","arguments":{"title":"A"}}]},{"say":"done {{outputs}}"}]}'
    assert ask(request(user(1, text))).calls == (AskedCall(None, "open_case", '{"title":"A"}'),)
    assert ask(request(user(1, text), turn=1, calls=(call(0, 0, "T-1"),))).text == 'done ["T-1"]'


def test_example_two_rounds() -> None:
    text = (
        '{"script":[{"tool_calls":[{"name":"a"},{"name":"b"}]},{"tool_calls":[{"name":"c"}]},'
        '{"say":"{{outputs.0}} after {{all_outputs}}"}]}'
    )
    calls = (call(0, 0, "1"), call(0, 1, "2"))
    assert [asked.name for asked in ask(request(user(1, text))).calls] == ["a", "b"]
    assert [asked.name for asked in ask(request(user(1, text), turn=1, calls=calls)).calls] == ["c"]
    assert ask(request(user(1, text), turn=2, calls=(*calls, call(1, 0, "3")))).text == '3 after ["1","2","3"]'


def test_example_rate_limit() -> None:
    text = '{"script":[{"fail":{"code":"rate_limit_exceeded","message":"no"}}]}'
    assert ask(request(user(1, text))).end == Failed("rate_limit_exceeded", "no")
