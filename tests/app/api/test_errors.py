"""Errors: one envelope, statuses that clients do not resend on, the order of checks."""

import http.client
import json
import socket

import httpx
import pytest

from tests.app.api.conftest import Site, made, refused

LARGEST = 8 * 1024 * 1024


def test_no_key_is_401(site: Site) -> None:
    answer = httpx.get(f"{site.url}/v1/assistants")
    assert refused(answer, 401)["code"] == "invalid_api_key"


@pytest.mark.parametrize("header", ["Bearer wrong", "Bearer", "Basic eDp5", "Bearer \u00e9".encode().decode("latin-1")])
def test_a_wrong_key_is_401_whatever_it_looks_like(site: Site, header: str) -> None:
    answer = httpx.post(
        f"{site.url}/v1/threads/nope/runs", headers={"Authorization": header.encode("latin-1")}, content=b"{"
    )
    assert refused(answer, 401)["code"] == "invalid_api_key"


def test_unknown_routes_and_methods_have_the_envelope(http: httpx.Client) -> None:
    refused(http.get("/nope"), 404)
    refused(http.get("/files"), 404)
    refused(http.post("/vector_stores", json={}), 404)
    refused(http.put("/assistants", json={}), 405)
    refused(http.delete("/threads/x/runs/y"), 405)
    refused(http.get("/threads/runs/"), 404)
    refused(http.get("/threads//messages"), 404)
    refused(http.get("//threads"), 404)


def test_old_beta_is_refused_new_and_none_are_not(http: httpx.Client) -> None:
    assert refused(http.get("/assistants", headers={"OpenAI-Beta": "assistants=v1"}))["code"] == "invalid_beta"
    made(http.get("/assistants", headers={"OpenAI-Beta": "assistants=v2"}))
    made(http.get("/assistants"))


@pytest.mark.parametrize(
    "path",
    [
        "/assistants/{}",
        "/threads/{}",
        "/threads/{}/messages",
        "/threads/{}/messages/{}",
        "/threads/{}/runs",
        "/threads/{}/runs/{}",
        "/threads/{}/runs/{}/steps",
        "/threads/{}/runs/{}/steps/{}",
    ],
)
@pytest.mark.parametrize("id", ["thread_x", "a" * 500, "%00", "%F0%9F%98%80", "%FF", "..%2e", "-1", "null"])
def test_any_string_in_a_path_is_404(http: httpx.Client, path: str, id: str) -> None:
    refused(http.get(path.replace("{}", id)), 404)


def test_unknown_ids_name_themselves(http: httpx.Client, thread: str) -> None:
    for path, message in (
        ("/threads/thread_0", "No thread found with id 'thread_0'."),
        ("/assistants/asst_0", "No assistant found with id 'asst_0'."),
        (f"/threads/{thread}/messages/msg_0", "No message found with id 'msg_0'."),
        (f"/threads/{thread}/runs/run_0", "No run found with id 'run_0'."),
        ("/threads/thread_0/runs/run_0", "No thread found with id 'thread_0'."),
    ):
        assert refused(http.get(path), 404)["message"] == message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", None),
        (b"\xff\xfe", None),
        (b'{"role":"user","content":"\\u0000"}', None),
        (b'{"role":"user","content":"\\ud800"}', None),
        (b'{"other":{"\\u0000":1},"role":"user","content":"x"}', None),
        (b'{"role":"user","content":"x","n":NaN}', None),
        (b"[" * 5000, None),
        (b"9" * 5000, None),
        (b"[]", "invalid_type"),
        (b'"text"', "invalid_type"),
        (b"null", "invalid_type"),
    ],
)
def test_bad_bodies_are_400(http: httpx.Client, thread: str, body: bytes, code: str | None) -> None:
    assert refused(http.post(f"/threads/{thread}/messages", content=body))["code"] == code


def test_an_escaped_backslash_before_u0000_is_plain_text(http: httpx.Client, thread: str) -> None:
    answer = http.post(f"/threads/{thread}/messages", content=rb'{"role":"user","content":"\\u0000"}')
    assert made(answer)["content"][0]["text"]["value"] == r"\u0000"


def test_what_is_no_http_is_refused_in_the_envelope(site: Site) -> None:
    for sent, status in (
        (b"GET /v1/threads/" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET /v1/threads HTTP/1.1\r\nx-long: " + b"x" * 40_000 + b"\r\n\r\n", 431),
        (b"GET /v1/threads/\xff HTTP/1.1\r\n\r\n", 400),
        (b"GET /v1/threads HTTP/1.1\r\nContent-Length: many\r\n\r\n", 400),
    ):
        with socket.create_connection(("127.0.0.1", int(site.url.rpartition(":")[2]))) as connection:
            connection.sendall(sent)
            response = http.client.HTTPResponse(connection)
            response.begin()
            error = json.loads(response.read())["error"]
        assert (response.status, error["type"]) == (status, "invalid_request_error")
        assert (response.getheader("x-request-id") or "").startswith("req_")


def test_a_key_that_is_much_too_long_is_told_so(http: httpx.Client) -> None:
    answer = http.post("/threads", json={}, headers={"Idempotency-Key": "k" * 9000})
    assert refused(answer)["param"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("path", "body", "param", "field"),
    [
        ("/threads/runs", {"assistant_id": "a", "thread": {"metadata": 1}}, "metadata", "thread.metadata"),
        ("/threads", {"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages", "content[0].text"),
    ],
)
def test_fields_are_named_whole(http: httpx.Client, path: str, body: object, param: str, field: str) -> None:
    error = refused(http.post(path, json=body))
    assert error["param"] == param
    assert field in error["message"]


def test_the_content_type_does_not_matter(http: httpx.Client) -> None:
    made(http.post("/threads", content=b"{}", headers={"Content-Type": "text/plain"}))
    made(http.post("/threads", content=b"", headers={"Content-Type": "application/json"}))
    made(http.post("/threads"))


def test_numbers_that_json_cannot_hold_are_400(http: httpx.Client) -> None:
    tool = '{"type":"function","function":{"name":"f","parameters":{"n":1e999}}}'
    refused(http.post("/assistants", content=f'{{"model":"m","tools":[{tool}]}}'))
    refused(http.post("/assistants", content='{"model":"m","temperature":1e999}'))


def test_deep_and_long_values_come_back(http: httpx.Client) -> None:
    deep: dict[str, object] = {"n": int("9" * 4000), "x": 1.5e300}
    for _ in range(180):
        deep = {"a": deep}
    tools = [{"type": "function", "function": {"name": "f", "parameters": deep}}]
    shown = made(http.post("/assistants", content=json.dumps({"model": "m" * 1000, "tools": tools})))
    assert (shown["tools"], shown["model"]) == (tools, "m" * 1000)
    run = made(http.post("/threads/runs", json={"assistant_id": shown["id"]}))
    assert run["tools"] == tools
    for _ in range(100):
        deep = {"a": deep}
    refused(http.post("/assistants", content=json.dumps({"model": "m", "metadata": deep})))


def test_bodies_up_to_8_mib(http: httpx.Client) -> None:
    body = b'{"ignored":"' + b"a" * (LARGEST - 14) + b'"}'
    assert len(body) == LARGEST
    made(http.post("/threads", content=body))
    assert refused(http.post("/threads", content=body + b" "), 413)["type"] == "invalid_request_error"

    def chunks() -> list[bytes]:
        return [body[at : at + 65536] for at in range(0, LARGEST, 65536)]

    refused(http.post("/threads", content=iter([*chunks(), b"   "])), 413)


def test_order_of_checks(http: httpx.Client, thread: str, assistant: str) -> None:
    """404 of the path, 400 of the body, 404 of the body, 400 of the state."""
    refused(http.post("/threads/thread_0/runs", content=b"{"), 404)
    refused(http.post("/threads/thread_0/messages", json={}), 404)
    refused(http.post(f"/threads/{thread}/runs/run_0/submit_tool_outputs", json={}), 404)
    refused(http.get("/threads/thread_0/messages?limit=0"), 404)
    made(http.post(f"/threads/{thread}/runs", json={"assistant_id": assistant}))
    assert refused(http.post(f"/threads/{thread}/runs", json={}))["param"] == "assistant_id"
    unknown = http.post(f"/threads/{thread}/runs", json={"assistant_id": "asst_0"})
    assert refused(unknown, 404)["message"] == "No assistant found with id 'asst_0'."
    assert (
        "already has an active run"
        in refused(http.post(f"/threads/{thread}/runs", json={"assistant_id": assistant}))["message"]
    )


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        "x",
        {"k": None},
        {"k": 1},
        {"": "v"},
        {"k" * 65: "v"},
        {"k": "v" * 513},
        {str(i): "v" for i in range(17)},
    ],
)
def test_wrong_metadata_names_its_field(http: httpx.Client, metadata: object) -> None:
    assert refused(http.post("/threads", json={"metadata": metadata}))["param"] == "metadata"


def test_metadata_may_use_all_that_is_allowed(http: httpx.Client) -> None:
    metadata = {"\U0001f600" * 63 + f"{i:1x}": "\U0001f600" * 512 for i in range(16)}
    assert made(http.post("/threads", json={"metadata": metadata}))["metadata"] == metadata


def test_answers_are_json_in_utf_8(http: httpx.Client) -> None:
    answer = http.post("/threads", json={"metadata": {"k": "\u00e4\u4e16\U0001f600\u202e"}})
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.content.decode("utf-8"))["metadata"]["k"] == "\u00e4\u4e16\U0001f600\u202e"
