"""The chat provider against a server that behaves well: what is sent, and what its answers become."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web

from tests.worker.models.builders import assistant, call, request, user
from tests.worker.models.provider import (
    KEY,
    USAGE_CHUNK,
    answering,
    ask,
    asked_call,
    chat_at,
    chunk,
    completion,
    serve,
    streaming,
)
from worker.models import AskedCall, Failed, Incomplete, Turn, TurnRequest, Usage
from worker.models.completion import FILTERED

Piece = dict[str, Any]
HELLO = request(user(1, "hello"), model="gpt-4o")
LOOK = {"type": "function", "function": {"name": "look", "description": "Looks.", "strict": None}}


def body_of(asked: TurnRequest, **entry: Any) -> dict[str, Any]:
    return ask(answering(completion("hi")), asked, **entry).bodies[0]


def with_settings(**settings: Any) -> TurnRequest:
    return request(user(1, "hello"), model="gpt-4o", settings=settings, tools=(LOOK,))


# What is sent


def test_the_request() -> None:
    asked = request(user(1, "hello"), model="gpt-4o", instructions="Be brief.", traceparent="00-a-b-01")
    result = ask(answering(completion("hi")), asked)
    assert result.paths == ["/v1/chat/completions"]
    assert result.headers[0]["authorization"] == f"Bearer {KEY}"
    assert result.headers[0]["traceparent"] == "00-a-b-01"
    assert result.headers[0]["content-type"] == "application/json"
    system, said = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}
    assert result.bodies == [{"model": "gpt-4o", "messages": [system, said]}]
    assert result.answer == Turn("hi", (), Usage(11, 5), None)


def test_the_entry_names_the_model_and_the_address() -> None:
    async def ask_at(suffix: str, **entry: Any) -> tuple[str, dict[str, Any], str | None]:
        async def handle(received: web.Request) -> web.StreamResponse:
            seen.append((received.path_qs, await received.json(), received.headers.get("Authorization")))
            return web.json_response(completion("hi"))

        seen: list[tuple[str, dict[str, Any], str | None]] = []
        async with serve(handle) as base_url:
            chat = chat_at(base_url + suffix, **entry)
            await chat.ask(HELLO)
            await chat.close()
        return seen[0]

    path, body, key = asyncio.run(ask_at("/", model="llama", api_key=None))
    assert (path, body["model"], key) == ("/v1/chat/completions", "llama", None)
    path, _, key = asyncio.run(ask_at("/x?api-version=1", api_key="k\n"))
    assert (path, key) == ("/v1/x/chat/completions?api-version=1", "Bearer k")


def test_past_calls_are_sent_with_the_providers_ids() -> None:
    calls = (call(0, 0, "sunny", provider_call_id="p1", arguments='{"a":1}'),)
    body = body_of(request(user(1, "hello"), turn=1, calls=calls, model="m"))
    assert body["messages"][1:] == [
        {"role": "assistant", "content": None, "tool_calls": [asked_call("p1", "look", '{"a":1}')]},
        {"role": "tool", "tool_call_id": "p1", "content": "sunny"},
    ]


def test_defaults_are_left_out() -> None:
    defaults = {
        "temperature": 1.0,
        "top_p": 1.0,
        "response_format": "auto",
        "reasoning_effort": None,
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "max_prompt_tokens": None,
        "max_completion_tokens": None,
        "truncation_strategy": {"type": "auto", "last_messages": None},
    }
    assert body_of(with_settings(**defaults)).keys() == {"model", "messages", "tools"}
    assert body_of(with_settings(response_format={"type": "text"})).keys() == {"model", "messages", "tools"}


def test_settings_are_sent() -> None:
    chosen = {
        "temperature": 0,
        "top_p": 0.5,
        "response_format": {"type": "json_object"},
        "reasoning_effort": "low",
        "tool_choice": "none",
        "parallel_tool_calls": False,
        "max_completion_tokens": 300,
    }
    body = body_of(with_settings(**chosen))
    assert {name: body[name] for name in chosen} == chosen


def test_tools_always_have_parameters() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    other = {"type": "function", "function": {"name": "b", "parameters": schema, "strict": True}}
    nothing = {"type": "object", "properties": {}, "additionalProperties": False}
    assert body_of(request(user(1, "x"), model="m", tools=(LOOK, other)))["tools"] == [
        {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": nothing}},
        {"type": "function", "function": {"name": "b", "strict": True, "parameters": schema}},
    ]


def test_choices_about_tools_are_not_sent_without_tools() -> None:
    settings = {"tool_choice": "required", "parallel_tool_calls": False}
    assert body_of(request(user(1, "x"), model="m", settings=settings)).keys() == {"model", "messages"}


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "look"}}])
def test_a_forced_choice_is_met_by_one_call(choice: object) -> None:
    def body(**more: Any) -> dict[str, Any]:
        return body_of(request(user(1, "x"), run=2, model="m", tools=(LOOK,), settings={"tool_choice": choice}, **more))

    assert body()["tool_choice"] == choice
    assert body(calls=(call(0, 0, "of another run", run=1, input_seq=0),))["tool_choice"] == choice
    assert "tool_choice" not in body(turn=1, calls=(call(0, 0, "x", run=2),))


def test_limits_count_over_the_whole_run() -> None:
    asked = request(user(1, "x"), model="m", turn=1, settings={"max_completion_tokens": 300}, usage=Usage(50, 100))
    assert body_of(asked)["max_completion_tokens"] == 200


@pytest.mark.parametrize("limit", ["max_completion_tokens", "max_prompt_tokens"])
def test_a_limit_that_is_used_up_ends_the_run_without_a_request(limit: str) -> None:
    asked = request(user(1, "x"), model="m", turn=1, settings={limit: 256}, usage=Usage(256, 256))
    result = ask(answering(completion("never")), asked)
    assert result.bodies == []
    assert result.answer == Turn(end=Incomplete(limit))


# What answers become: whole and streamed alike


def whole(*pieces: str, calls: Sequence[Piece] = (), finish: str = "stop", key: str = "content") -> Turn:
    message: Piece = {"tool_calls": calls} if calls else {}
    answer = completion(None, finish, **message)
    answer["choices"][0]["message"][key] = "".join(pieces) if pieces else None
    return ask(answering(answer), HELLO).answer


def streamed(*pieces: str, calls: Sequence[Piece] = (), finish: str = "stop", key: str = "content") -> Turn:
    chunks = [chunk(role="assistant", content="")]
    chunks += [chunk(**{key: piece}) for piece in pieces]
    chunks += [chunk(tool_calls=[{"index": index, **asked}]) for index, asked in enumerate(calls)]
    result = ask(streaming(*chunks, chunk(finish), USAGE_CHUNK), HELLO, listen=True)
    assert "".join(result.heard) == (result.answer.text or "")
    assert bool(result.heard) == (result.answer.text is not None)
    assert result.bodies[0]["stream"] is True
    assert result.bodies[0]["stream_options"] == {"include_usage": True}
    return result.answer


both = pytest.mark.parametrize("answer", [whole, streamed])
USED = Usage(11, 5)


@both
def test_text(answer: Any) -> None:
    assert answer("Hel", "lo") == Turn("Hello", (), USED)


@both
def test_an_empty_answer_is_an_empty_message(answer: Any) -> None:
    assert answer() == Turn("", (), USED)
    assert answer(" ", "\n") == Turn("", (), USED)


@both
def test_parallel_calls(answer: Any) -> None:
    calls = [asked_call("c1", "look", '{"a":1}'), asked_call("c2", "look", '{"a":2}')]
    wanted = (AskedCall("c1", "look", '{"a":1}'), AskedCall("c2", "look", '{"a":2}'))
    assert answer(calls=calls, finish="tool_calls") == Turn(None, wanted, USED)
    assert answer("Let me ", "look.", calls=calls, finish="tool_calls") == Turn("Let me look.", wanted, USED)
    assert answer(calls=calls, finish="stop") == Turn(None, wanted, USED)


@both
def test_blank_words_before_calls_are_no_message(answer: Any) -> None:
    assert answer("\n", "\n", calls=[asked_call("c1", "look", "{}")], finish="tool_calls").text is None


@both
def test_ids_that_are_empty_missing_or_repeat_are_passed_through(answer: Any) -> None:
    calls = [
        asked_call("c", "a", "{}"),
        asked_call("c", "b", "{}"),
        asked_call("", "c", "{}"),
        asked_call(None, "d", "{}"),
    ]
    turn = answer(calls=calls, finish="tool_calls")
    assert [(asked.provider_id, asked.name) for asked in turn.calls] == [
        ("c", "a"),
        ("c", "b"),
        (None, "c"),
        (None, "d"),
    ]


@both
@pytest.mark.parametrize(
    ("given", "taken"),
    [("", "{}"), (None, "{}"), ("  ", "{}"), ({"ü": [1]}, '{"ü":[1]}'), ("no json", "no json"), (7, "7")],
)
def test_arguments_that_are_missing_or_no_string(answer: Any, given: object, taken: str) -> None:
    assert answer(calls=[asked_call("c", "look", given)], finish="tool_calls").calls[0].arguments == taken


@both
def test_a_refusal_is_the_text(answer: Any) -> None:
    assert answer("I will ", "not.", key="refusal") == Turn("I will not.", (), USED)


@both
def test_length_is_incomplete_and_makes_no_call(answer: Any) -> None:
    cut = asked_call("c", "look", '{"a":')
    assert answer("So", calls=[cut], finish="length") == Turn("So", (), USED, Incomplete("max_completion_tokens"))
    assert answer(calls=[cut], finish="length") == Turn(None, (), USED, Incomplete("max_completion_tokens"))


@both
def test_a_content_filter_fails_the_run(answer: Any) -> None:
    assert answer("So", finish="content_filter") == Turn("So", (), USED, Failed("invalid_prompt", FILTERED))


@both
def test_what_postgres_cannot_store_is_replaced(answer: Any) -> None:
    assert answer("a\0b", "\ud83d", "\ude00", "\udc00").text == "a\ufffdb😀\ufffd"
    asked = answer(calls=[asked_call("c\0", "n\ud800", "\0")], finish="tool_calls").calls[0]
    assert asked == AskedCall("c\ufffd", "n\ufffd", "\ufffd")


def test_content_in_parts() -> None:
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert ask(answering(completion(parts)), HELLO).answer.text == "ab"


def test_usage_that_is_missing_or_odd_is_zero() -> None:
    answer = completion("hi")
    odd: Any
    for odd in (None, {}, [], {"prompt_tokens": -5, "completion_tokens": "7"}):
        answer["usage"] = odd
        assert ask(answering(answer), HELLO).answer.usage == Usage(0, 0)


# Streams


def test_pieces_are_told_while_the_model_speaks() -> None:
    async def run() -> None:
        async def handle(received: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(received)
            await response.write(b'data: {"choices":[{"delta":{"content":"one"}}]}\n\n')
            await heard_one.wait()
            await response.write(b'data: {"choices":[{"delta":{"content":" two"},"finish_reason":"stop"}]}\n\n')
            return response

        async def hear(piece: str) -> None:
            heard.append(piece)
            heard_one.set()

        heard_one = asyncio.Event()
        async with serve(handle) as base_url:
            chat = chat_at(base_url)
            assert (await chat.ask(HELLO, hear)).text == "one two"
            await chat.close()

    heard: list[str] = []
    asyncio.run(run())
    assert heard == ["one", " two"]


def stream_calls(*pieces: dict[str, Any]) -> list[tuple[str | None, str, str]]:
    chunks = [chunk(tool_calls=[piece]) for piece in pieces]
    turn = ask(streaming(*chunks, chunk("tool_calls")), HELLO, listen=True).answer
    return [(asked.provider_id, asked.name, asked.arguments) for asked in turn.calls]


def piece(arguments: str | None = None, name: str | None = None, **more: Any) -> dict[str, Any]:
    return {**more, "function": {"name": name, "arguments": arguments}}


def test_calls_in_pieces_by_index() -> None:
    assert stream_calls(
        piece("", "look", index=1, id="c1"),
        piece('{"a"', index=1),
        piece("", "find", index=3, id="c3"),
        piece("{}", index=3, id=""),
        piece(":1}", index=1, id=None),
    ) == [("c1", "look", '{"a":1}'), ("c3", "find", "{}")]


def test_calls_in_pieces_that_repeat_id_and_name() -> None:
    pieces = (piece('{"a"', "look", index=0, id="c1"), piece(":1}", "look", index=0, id="c1"))
    assert stream_calls(*pieces) == [("c1", "look", '{"a":1}')]


def test_names_in_fragments() -> None:
    pieces = (piece(None, "lo", index=0, id="c1"), piece(None, "ok", index=0), piece("{}", index=0))
    assert stream_calls(*pieces) == [("c1", "look", "{}")]


def test_calls_that_all_have_the_same_index() -> None:
    pieces = (piece('{"a":1}', "look", index=0, id="c1"), piece('{"a":2}', "look", index=0, id="c2"))
    assert stream_calls(*pieces) == [("c1", "look", '{"a":1}'), ("c2", "look", '{"a":2}')]
    nameless = (piece('{"a":1}', "look", index=0, id=""), piece('{"a":2}', "find", index=0, id=""))
    assert stream_calls(*nameless) == [(None, "look", '{"a":1}'), (None, "find", '{"a":2}')]


def test_an_id_that_changes_with_every_piece_of_a_call() -> None:
    pieces = (piece('{"a"', "look", index=0, id="c1"), piece(":1}", index=0, id="c2"))
    assert stream_calls(*pieces) == [("c1", "look", '{"a":1}')]


def test_calls_without_an_index() -> None:
    assert stream_calls(
        piece('{"a"', "look", id="c1"),
        piece(":1}", id="c1"),
        piece("{}", "find", id="c2"),
        piece('{"b"', "look"),
        piece(":2}"),
    ) == [("c1", "look", '{"a":1}'), ("c2", "find", "{}"), (None, "look", '{"b":2}')]


def test_a_server_that_ignores_stream() -> None:
    result = ask(answering(completion("Hello")), HELLO, listen=True)
    assert (result.answer, result.heard) == (Turn("Hello", (), USED), ["Hello"])
    calls = completion(None, "tool_calls", tool_calls=[asked_call("c", "look", "{}")])
    result = ask(answering(calls), HELLO, listen=True)
    assert (result.answer.calls, result.heard) == ((AskedCall("c", "look", "{}"),), [])


def test_streams_of_all_sorts_are_read() -> None:
    odd = b": ping\r\n\r\nevent: message\r\n"
    odd += b'data:{"choices":[{"delta":{"content":"o"}}],"usage":null}\r\n\r\ndata:\r\n\r\n'
    assert ask(streaming(odd, chunk("stop", content="k")), HELLO, listen=True).answer.text == "ok"
    plain = streaming(chunk(content="ok"), chunk("stop"), content_type="text/plain")
    assert ask(plain, HELLO, listen=True).answer.text == "ok"
    # Ended by a finish reason without [DONE], or by [DONE] without a finish reason.
    assert ask(streaming(chunk("stop", content="ok"), done=False), HELLO, listen=True).answer.text == "ok"
    assert ask(streaming(chunk(content="ok")), HELLO, listen=True).answer.text == "ok"
    # Nothing behind [DONE] is waited for.
    assert ask(streaming(chunk("stop", content="ok"), then="hang"), HELLO, listen=True).answer.text == "ok"


# Connections


def test_what_the_listener_raises_is_passed_on() -> None:
    async def run() -> None:
        async def hear(piece: str) -> None:
            raise TimeoutError("not the provider's")

        async with serve(streaming(chunk("stop", content="hi"))) as base_url:
            chat = chat_at(base_url)
            try:
                with pytest.raises(TimeoutError, match="not the provider's"):
                    await chat.ask(HELLO, hear)
            finally:
                await chat.close()

    asyncio.run(run())


def test_cancelling_ends_the_request() -> None:
    async def run() -> None:
        async def handle(received: web.Request) -> web.StreamResponse:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()
            return web.Response()

        begun, ended = asyncio.Event(), asyncio.Event()
        async with serve(handle) as base_url:
            chat = chat_at(base_url)
            task = asyncio.create_task(chat.ask(HELLO))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await ended.wait()
            await chat.close()

    asyncio.run(asyncio.wait_for(run(), 30))


def test_many_runs_ask_at_once_and_a_closed_provider_opens_again() -> None:
    async def run() -> None:
        waiting = 0
        all_here = asyncio.Event()

        async def handle(received: web.Request) -> web.StreamResponse:
            nonlocal waiting
            waiting += 1
            if waiting == 150:
                all_here.set()
            await all_here.wait()
            return web.json_response(completion("hi"))

        async with serve(handle) as base_url:
            chat = chat_at(base_url)
            turns = await asyncio.gather(*(chat.ask(HELLO) for _ in range(150)))
            assert {turn.text for turn in turns} == {"hi"}
            await chat.close()
            assert (await chat.ask(HELLO)).text == "hi"
            await chat.close()
            await chat.close()

    asyncio.run(run())


def test_a_whole_conversation() -> None:
    """Say, call, answer, say again: what one turn asks for is what the next one sends back."""

    async def run() -> list[Any]:
        async def handle(received: web.Request) -> web.StreamResponse:
            body = await received.json()
            seen.append([message["role"] for message in body["messages"]])
            if body["messages"][-1]["role"] == "user":
                return web.json_response(completion("Wait.", "tool_calls", tool_calls=[asked_call("c1", "look", "{}")]))
            return web.json_response(completion(f"It is {body['messages'][-1]['content']}."))

        seen: list[Any] = []
        async with serve(handle) as base_url:
            chat = chat_at(base_url)
            first = await chat.ask(HELLO)
            past = call(0, 0, "sunny", provider_call_id=first.calls[0].provider_id)
            thread = (user(1, "hello"), assistant(2, first.text or "", round=0))
            second = await chat.ask(request(*thread, turn=1, model="m", calls=(past,)))
            assert second.text == "It is sunny."
            await chat.close()
        return seen

    assert asyncio.run(run()) == [["user"], ["user", "assistant", "tool"]]
