"""Threads and messages on the wire."""

import httpx
import pytest

from tests.app.api.conftest import made, refused

MESSAGE_KEYS = {
    "id", "object", "created_at", "thread_id", "status", "incomplete_details", "completed_at", "incomplete_at",
    "role", "content", "assistant_id", "run_id", "attachments", "metadata",
}  # fmt: skip


def test_a_thread_with_messages_keeps_their_order(http: httpx.Client) -> None:
    bodies = [{"role": "user" if i % 2 else "assistant", "content": str(i)} for i in range(30)]
    thread = made(http.post("/threads", json={"messages": bodies, "metadata": {"a": "b"}}))
    assert set(thread) == {"id", "object", "created_at", "metadata", "tool_resources"}
    assert (thread["metadata"], thread["tool_resources"]) == ({"a": "b"}, {})
    shown = made(http.get(f"/threads/{thread['id']}/messages?limit=100&order=asc"))["data"]
    assert [one["content"][0]["text"]["value"] for one in shown] == [one["content"] for one in bodies]


def test_a_wrong_message_makes_no_thread(http: httpx.Client) -> None:
    bodies = [{"role": "user", "content": "x"}, {"role": "user", "content": ""}]
    assert refused(http.post("/threads", json={"messages": bodies}))["param"] == "messages"


def test_update_and_delete(http: httpx.Client, thread: str) -> None:
    made(http.post(f"/threads/{thread}/messages", json={"role": "user", "content": "x"}))
    assert made(http.post(f"/threads/{thread}", json={"metadata": {"k": "v"}}))["metadata"] == {"k": "v"}
    assert made(http.post(f"/threads/{thread}", json={"metadata": None}))["metadata"] == {"k": "v"}
    assert made(http.delete(f"/threads/{thread}")) == {"id": thread, "object": "thread.deleted", "deleted": True}
    for path in ("", "/messages", "/runs"):
        refused(http.get(f"/threads/{thread}{path}"), 404)
    refused(http.post(f"/threads/{thread}/messages", json={"role": "user", "content": "x"}), 404)
    refused(http.delete(f"/threads/{thread}"), 404)
    made(http.delete(f"/threads/{thread}", headers={"x-stainless-retry-count": "1"}))


def test_a_message_has_every_key(http: httpx.Client, thread: str) -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": " two \U0001f600\r\n"}]
    shown = made(http.post(f"/threads/{thread}/messages", json={"role": "user", "content": parts, "attachments": None}))
    assert set(shown) == MESSAGE_KEYS
    assert shown["content"] == [{"type": "text", "text": {"value": part["text"], "annotations": []}} for part in parts]
    assert (shown["object"], shown["role"], shown["status"]) == ("thread.message", "user", "completed")
    assert shown["completed_at"] >= shown["created_at"]
    assert [shown[key] for key in ("run_id", "assistant_id", "incomplete_at", "incomplete_details")] == [None] * 4
    assert made(http.get(f"/threads/{thread}/messages/{shown['id']}")) == shown


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({"content": "x"}, "role", "missing_required_parameter"),
        ({"role": "system", "content": "x"}, "role", "invalid_value"),
        ({"role": "user"}, "content", "missing_required_parameter"),
        ({"role": "user", "content": None}, "content", "missing_required_parameter"),
        ({"role": "user", "content": ""}, "content", "invalid_value"),
        ({"role": "user", "content": []}, "content", "invalid_value"),
        ({"role": "user", "content": {}}, "content", "invalid_type"),
        ({"role": "user", "content": 7}, "content", "invalid_type"),
        ({"role": "user", "content": [{"type": "text", "text": ""}]}, "content", "invalid_value"),
        ({"role": "user", "content": [{"type": "text", "text": {"value": "x"}}]}, "content", "invalid_type"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]},
            "content",
            "unsupported_content_type",
        ),
        ({"role": "user", "content": "a" * 256_001}, "content", "string_above_max_length"),
        (
            {"role": "user", "content": [{"type": "text", "text": "a" * 128_001}] * 2},
            "content",
            "string_above_max_length",
        ),
        ({"role": "user", "content": "x", "attachments": [{"file_id": "f"}]}, "attachments", "invalid_value"),
    ],
)
def test_wrong_messages_are_named(
    http: httpx.Client, thread: str, body: dict[str, object], param: str, code: str
) -> None:
    error = refused(http.post(f"/threads/{thread}/messages", json=body))
    assert (error["param"], error["code"]) == (param, code)


def test_the_longest_message_counts_code_points(http: httpx.Client, thread: str) -> None:
    text = "\U0001f600" * 256_000
    shown = made(http.post(f"/threads/{thread}/messages", json={"role": "user", "content": text}))
    assert shown["content"][0]["text"]["value"] == text


def test_messages_are_updated_and_deleted(http: httpx.Client, thread: str) -> None:
    path = f"/threads/{thread}/messages"
    one, two = (made(http.post(path, json={"role": "user", "content": text})) for text in "ab")
    assert made(http.post(f"{path}/{one['id']}", json={"metadata": {"k": "v"}})) == one | {"metadata": {"k": "v"}}
    deletion = {"id": one["id"], "object": "thread.message.deleted", "deleted": True}
    assert made(http.delete(f"{path}/{one['id']}")) == deletion
    refused(http.get(f"{path}/{one['id']}"), 404)
    refused(http.delete(f"{path}/{one['id']}"), 404)
    assert made(http.delete(f"{path}/{one['id']}", headers={"x-stainless-retry-count": "1"})) == deletion
    assert [item["id"] for item in made(http.get(path))["data"]] == [two["id"]]


def test_a_message_under_another_thread_is_not_there(http: httpx.Client, thread: str) -> None:
    other = made(http.post("/threads", json={}))["id"]
    message = made(http.post(f"/threads/{other}/messages", json={"role": "user", "content": "x"}))["id"]
    refused(http.get(f"/threads/{thread}/messages/{message}"), 404)
    refused(http.post(f"/threads/{thread}/messages/{message}", json={}), 404)
    refused(http.delete(f"/threads/{thread}/messages/{message}"), 404)
