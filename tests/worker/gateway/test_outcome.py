"""What a reply says, line by line of the design's section 3."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog import Contract, Tool
from worker.gateway.outcome import REPLY_LIMIT, Accepted, Delivered, Refused, Unknown, read_reply

TOOL = Tool("t", "http://127.0.0.1/t", external_id="ticket_id")
ASYNC = Tool("t", "http://127.0.0.1/t", contract=Contract(completion_s=60.0), external_id="ticket_id")
LIMITED = Tool("t", "http://127.0.0.1/t", contract=Contract(refused_statuses=(409, 429, 503)))


def test_json_is_delivered_with_its_id():
    body = b'{"ticket_id": "TCK-1", "b": "\\u0000"}'
    assert read_reply(200, {}, body, TOOL) == Delivered(200, body, body, "TCK-1")
    assert read_reply(201, {}, b'{"ticket_id": 7}', TOOL).external_id == "7"


@pytest.mark.parametrize(
    "found", ["null", "true", "1.5", "[]", '""', '"a\\u0000b"', '"\\ud800"', '"' + "x" * 513 + '"']
)
def test_what_is_no_id_is_none(found):
    outcome = read_reply(200, {}, b'{"ticket_id": %s}' % found.encode(), TOOL)
    assert isinstance(outcome, Delivered)
    assert outcome.external_id is None


@pytest.mark.parametrize("body", [b"null", b"0", b"[]", b'"x"', b"\xef\xbb\xbf{}", b"9" * 5000, b"[1e999]"])
def test_any_json_is_delivered(body):
    outcome = read_reply(200, {}, body, TOOL)
    assert outcome == Delivered(200, body, body.removeprefix(b"\xef\xbb\xbf"))


def test_no_content_is_null():
    assert read_reply(204, {}, b"", TOOL) == Delivered(204, b"", b"null")


@pytest.mark.parametrize(
    "body",
    [b"", b"ok", b"{", b'{"a": NaN}', b"\xff\xfe{\x00}\x00", b'{"a": "\xff"}', b'"\x00"', b"[" * 100_000, b"{}x"],
)
def test_2xx_that_is_not_json_is_unknown(body):
    outcome = read_reply(200, {}, body, TOOL)
    assert isinstance(outcome, Unknown)
    assert (outcome.status, outcome.body) == (200, body)


def test_202_needs_completion_s():
    assert read_reply(202, {}, b'{"ticket_id": "a"}', ASYNC) == Accepted(60.0, b'{"ticket_id": "a"}', "a")
    assert read_reply(202, {}, b"", ASYNC) == Accepted(60.0, b"")
    assert isinstance(read_reply(202, {}, b"{}", TOOL), Unknown)


@pytest.mark.parametrize("status", [301, 302, 304, 307, 408, 409, 425, 500, 502, 503, 504, 599, 101, 600, 999])
def test_doubtful_statuses_are_unknown(status):
    outcome = read_reply(status, {}, b"body", TOOL)
    assert isinstance(outcome, Unknown)
    assert (outcome.status, outcome.body) == (status, b"body")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 429, 499])
def test_other_4xx_is_refused_for_good(status):
    assert read_reply(status, {}, b"no", TOOL) == Refused("failed", f"status {status}", status, b"no")


@pytest.mark.parametrize("status", [409, 429, 503])
def test_declared_statuses_are_refused(status):
    assert read_reply(status, {"Retry-After": "7"}, b"", LIMITED) == Refused(
        "refused", f"status {status}", status, b"", 7.0
    )


@pytest.mark.parametrize(
    ("written", "wait_s"),
    [
        ("0", 0.0),
        ("99999999999999999999", 86400.0),
        ("Thu, 12 Mar 2026 10:16:30 GMT", 30.0),
        ("Thu, 12 Mar 2026 10:15:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("²", None),
        ("", None),
    ],
)
def test_retry_after(written, wait_s):
    headers = {"retry-after": written, "date": "Thu, 12 Mar 2026 10:16:00 GMT"}
    assert read_reply(429, headers, b"", LIMITED).retry_after_s == wait_s


def test_over_the_limit_it_happened_and_the_output_is_cut_and_marked():
    body = ("é" * REPLY_LIMIT).encode()[: REPLY_LIMIT - 1] + b"\0\xc3"
    outcome = read_reply(200, {}, body[: REPLY_LIMIT + 1], TOOL)
    assert isinstance(outcome, Delivered)
    assert outcome.truncated
    assert outcome.external_id is None
    assert outcome.body == body[:REPLY_LIMIT]
    assert b"\0" not in outcome.output
    assert outcome.output.decode().endswith("over 1 MiB]")


def test_at_the_limit_nothing_is_cut():
    body = b'"' + b"x" * (REPLY_LIMIT - 2) + b'"'
    assert read_reply(200, {}, body, TOOL) == Delivered(200, body, body)


@given(
    status=st.integers(100, 999),
    body=st.binary() | st.text().map(str.encode),
    headers=st.dictionaries(st.text(), st.text()),
)
def test_no_reply_raises_and_each_output_is_text(status, body, headers):
    for tool in (TOOL, ASYNC, LIMITED):
        outcome = read_reply(status, headers, body, tool)
        if isinstance(outcome, Delivered):
            assert 200 <= status < 300
            assert "\0" not in outcome.output.decode()
            json.loads(outcome.output)
