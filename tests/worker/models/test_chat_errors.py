"""The chat provider against servers that behave badly: what is tried again, and what ends the run."""

import asyncio
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.worker.models.builders import request, user
from tests.worker.models.provider import KEY, answering, ask, asked_call, chat_at, chunk, completion, ending, streaming
from worker.models import Failed, ModelUnavailable
from worker.models.failure import error_in, failure, readable, retry_after_s

HELLO = request(user(1, "hello"), model="gpt-4o")
PREFIX = "the provider of the model gpt-4o answered"


def error(message: str = "no", **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


# Rate limits


def test_rate_limit_in_seconds() -> None:
    unavailable = ask(answering(error("slow down"), 429, {"Retry-After": "7"}), HELLO).error
    assert unavailable.code == "rate_limit_exceeded"
    assert unavailable.retry_after_s == 7
    assert unavailable.reason == f"{PREFIX} 429: slow down"


def test_rate_limit_with_a_date() -> None:
    now = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    headers = {"Retry-After": format_datetime(now + timedelta(seconds=90), usegmt=True)}
    headers["Date"] = format_datetime(now, usegmt=True)
    unavailable = ask(answering(error(), 429, headers), HELLO).error
    assert (unavailable.code, unavailable.retry_after_s) == ("rate_limit_exceeded", 90)


def test_rate_limit_that_says_nothing() -> None:
    unavailable = ask(answering("", 429), HELLO).error
    assert (unavailable.code, unavailable.retry_after_s) == ("rate_limit_exceeded", None)


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"retry-after": "2.5"}, 2.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "-3"}, 0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "Tue, 01 Jan 2030 00:01:00 GMT"}, 60),
        ({"retry-after": "Tue, 01 Jan 2030 00:01:00 -0000"}, 60),
        ({"retry-after": "Mon, 31 Dec 2029 00:00:00 GMT"}, 0),
        ({"retry-after": "Tue, 01 Jan 2030 00:01:00 GMT", "date": "Tue, 01 Jan 2030 00:00:50 GMT"}, 10),
        ({"retry-after": "Tue, 01 Jan 2030 00:01:00 GMT", "date": "nonsense"}, 60),
    ],
)
def test_retry_after(headers: dict[str, str], wait_s: float | None) -> None:
    assert retry_after_s(headers, datetime(2030, 1, 1, tzinfo=UTC)) == wait_s


# Statuses


@pytest.mark.parametrize("status", [408, 409, 425, 500, 502, 503, 504, 529])
def test_statuses_that_speak_of_the_moment_are_tried_again(status: int) -> None:
    unavailable = ask(answering(error("busy"), status, {"Retry-After": "3"}), HELLO, listen=True).error
    assert unavailable.code == "server_error"
    assert unavailable.retry_after_s == 3
    assert unavailable.reason == f"{PREFIX} {status}: busy"


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, error("bad temperature", type="invalid_request_error"), "invalid_prompt"),
        (
            400,
            error("This model's maximum context length is 8192 tokens", code="context_length_exceeded"),
            "invalid_prompt",
        ),
        (400, error("filtered", code="content_filter"), "invalid_prompt"),
        (413, error("too large"), "invalid_prompt"),
        (422, {"detail": [{"msg": "field required"}]}, "invalid_prompt"),
        (401, error("bad key"), "server_error"),
        (402, error("pay"), "server_error"),
        (403, error("no right"), "server_error"),
        (404, error("The model `x` does not exist", code="model_not_found"), "invalid_prompt"),
        (404, {"error": "model 'x' not found"}, "invalid_prompt"),
        (404, "not found", "server_error"),
        (405, "", "server_error"),
        (201, {}, "server_error"),
        (204, "", "server_error"),
        (429, error("You exceeded your quota", code="insufficient_quota"), "rate_limit_exceeded"),
    ],
)
def test_statuses_that_end_the_run(status: int, body: Any, code: str) -> None:
    end = ask(answering(body, status), HELLO).answer.end
    assert isinstance(end, Failed)
    assert end.code == code
    assert end.message.startswith(f"{PREFIX} {status}")


def test_no_redirect_carries_the_key_away() -> None:
    asked = ask(answering("", 307, {"Location": "/elsewhere"}), HELLO)
    assert asked.paths == ["/v1/chat/completions"]
    assert asked.answer.end == Failed("server_error", f"{PREFIX} 307")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"a"}}', "a"),
        (b'{"error":"b"}', "b"),
        (b'[{"error":{"message":"c"}}]', "c"),
        (b'{"message":"d","object":"error"}', "d"),
        (b'{"detail":"e"}', "e"),
        (b'{"detail":[{"msg":"f"}]}', '[{"msg": "f"}]'),
        (b"plain\r\n words\x00", "plain words"),
        (b"<html>busy</html>", ""),
        (b"", ""),
        (b"null", ""),
        (b"[]", ""),
        (b'{"error":null}', ""),
        (b'{"error":{}}', ""),
        (b'"\\ud800x"', "x"),
        (b"\xff", "\ufffd"),
        (b"[" * 9999, "[" * 299 + "…"),
        (b"x" * 9999, "x" * 299 + "…"),
    ],
)
def test_messages_of_providers(body: bytes, message: str) -> None:
    assert readable(error_in(body).get("message"), None) == message
    judged = failure(400, {}, body, "m", None)
    assert isinstance(judged, Failed)
    assert judged.message == "the provider of the model m answered 400" + (f": {message}" if message else "")


def test_no_secret_gets_into_a_message() -> None:
    said = f"Incorrect API key provided: {KEY}, sk-proj-abc123def*****xyz; Bearer eyJhbGciOi.x api_key=12345678"
    end = ask(answering(error(said), 401), HELLO).answer.end
    assert isinstance(end, Failed)
    assert end.message == f"{PREFIX} 401: Incorrect API key provided: [key], [key]; [key] [key]"
    assert readable("risk-averse task-sk keys are none", "none") == "risk-averse task-sk keys are none"


# Answers that are none


@pytest.mark.parametrize("listen", [False, True])
@pytest.mark.parametrize(
    "handler",
    [
        answering(b'{"choices":[{"mess', headers={"Content-Type": "application/json"}),
        answering(b"", headers={"Content-Type": "application/json"}),
        answering([1], headers={"X": "y"}),
        answering({"choices": []}),
        answering({"choices": None}),
        answering({}),
        answering(completion("so", "error")),
        answering(error("overloaded", code=503)),
        answering({"error": "odd"}),
        answering(completion(None, "tool_calls", tool_calls=[asked_call("c", None, "{}")])),
        answering(completion(None, "tool_calls", tool_calls=[asked_call("c", 7, "{}")])),
        answering(completion(None, "tool_calls", tool_calls=[asked_call("c", "", "{}")])),
        answering(completion(None, "tool_calls", tool_calls=[asked_call("c", "n" * 257, "{}")])),
        answering(completion(None, "tool_calls", tool_calls=[{"id": "c"}])),
        answering(b'{"choices":[{"message":{"tool_calls":[{"function":{"name":"f","arguments":{"a":NaN}}}]}}]}'),
        answering(b"[" * 100_000, headers={"Content-Type": "application/json"}),
        answering(b" " * (8 * 1024 * 1024 + 1)),
    ],
)
def test_answers_that_are_none_are_tried_again(handler: Any, listen: bool) -> None:
    assert ask(handler, HELLO, listen=listen).error.code == "server_error"


@pytest.mark.parametrize(
    "handler",
    [
        streaming(done=False),
        streaming(chunk(content="so"), done=False),
        streaming(chunk(content="so"), done=False, then="reset"),
        streaming('data: {"choices":[{"de\n\n'),
        streaming('data: {"choices":[{"de', done=False),
        streaming("data: 7\n\n"),
        streaming(),
        streaming(chunk("error", content="so")),
        streaming(chunk(content="so"), error("overloaded")),
        streaming(chunk(tool_calls=[asked_call("c", None, "{}", index=0)]), chunk("tool_calls")),
    ],
)
def test_streams_that_break_off_are_tried_again(handler: Any) -> None:
    assert ask(handler, HELLO, listen=True).error.code == "server_error"


@pytest.mark.parametrize("listen", [False, True])
def test_errors_in_an_answer_that_began_well(listen: bool) -> None:
    def asked(**more: Any) -> Any:
        answer = error("so", **more)
        return ask(streaming(chunk(content="x"), answer) if listen else answering(answer), HELLO, listen=listen)

    assert asked(type="invalid_request_error").answer.end == Failed("invalid_prompt", f"{PREFIX} 400: so")
    assert asked(code="context_length_exceeded").answer.end == Failed("invalid_prompt", f"{PREFIX} 400: so")
    assert asked(code=401).answer.end == Failed("server_error", f"{PREFIX} 401: so")
    assert asked(type="rate_limit_error").error.code == "rate_limit_exceeded"
    assert asked(code="insufficient_quota").answer.end == Failed("rate_limit_exceeded", f"{PREFIX} 429: so")
    assert asked(code=5).error.code == "server_error"


# Connections


def test_a_server_that_hangs() -> None:
    unavailable = ask(ending("hang"), HELLO, timeout_s=0.2).error
    assert unavailable.reason == "the provider did not answer within 0.2 s"


def test_a_stream_that_hangs() -> None:
    asked = ask(streaming(chunk(content="so"), done=False, then="hang"), HELLO, listen=True, timeout_s=0.3)
    assert asked.error.reason == "the provider did not answer within 0.3 s"
    assert asked.heard == ["so"]


def test_a_reset() -> None:
    for listen in (False, True):
        assert "broke off" in ask(ending("reset"), HELLO, listen=listen).error.reason


def test_a_refused_connection_names_no_address() -> None:
    async def run() -> ModelUnavailable:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            chat = chat_at(f"http://127.0.0.1:{nobody.getsockname()[1]}/v1?secret=x")
            with pytest.raises(ModelUnavailable) as raised:
                await chat.ask(HELLO)
            await chat.close()
        return raised.value

    unavailable = asyncio.run(run())
    assert (unavailable.reason, unavailable.code) == ("the provider cannot be reached", "server_error")


def test_garbage_instead_of_http() -> None:
    async def run(garbage: bytes) -> ModelUnavailable:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(garbage)
            writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            chat = chat_at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
            with pytest.raises(ModelUnavailable) as raised:
                await chat.ask(HELLO)
            await chat.close()
        return raised.value

    for garbage in (
        b"",
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd",
    ):
        assert "broke off" in asyncio.run(run(garbage)).reason


def test_a_key_that_cannot_be_sent() -> None:
    asked = ask(answering(completion("hi")), HELLO, api_key="two\nlines")
    assert asked.error.reason == "the exchange with the provider broke off (ValueError)"
