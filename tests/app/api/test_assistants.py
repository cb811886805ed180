"""Assistants on the wire."""

import httpx
import pytest

from tests.app.api.conftest import made, refused

KEYS = {
    "id", "object", "created_at", "model", "name", "description", "instructions", "tools", "tool_resources",
    "metadata", "temperature", "top_p", "response_format", "reasoning_effort",
}  # fmt: skip


def test_every_key_is_there_with_its_default(http: httpx.Client) -> None:
    shown = made(http.post("/assistants", json={"model": "gpt-4o", "later_field": 1, "name": None}))
    assert set(shown) == KEYS
    assert shown["id"].startswith("asst_")
    assert shown["id"].removeprefix("asst_").isalnum()
    assert shown | {"id": "", "created_at": 0} == {
        "id": "",
        "object": "assistant",
        "created_at": 0,
        "model": "gpt-4o",
        "name": None,
        "description": None,
        "instructions": None,
        "tools": [],
        "tool_resources": {},
        "metadata": {},
        "temperature": 1.0,
        "top_p": 1.0,
        "response_format": "auto",
        "reasoning_effort": None,
    }


def test_tools_come_back_as_they_were_sent(http: httpx.Client) -> None:
    tools = [
        {"type": "function", "function": {"name": "no_parameters"}},
        {"type": "function", "function": {"name": "a-b_1", "description": None, "parameters": {"z": 1, "a": [2.5]}}},
        {"type": "function", "function": {"name": "f", "strict": True, "later": {"x": None}}},
    ]
    shown = made(http.post("/assistants", json={"model": "m", "tools": tools}))
    assert shown["tools"] == tools
    assert made(http.get(f"/assistants/{shown['id']}")) == shown


def test_update_replaces_what_is_given(http: httpx.Client) -> None:
    one = made(http.post("/assistants", json={"model": "m", "name": "n", "metadata": {"a": "1", "b": "2"}}))
    two = made(http.post(f"/assistants/{one['id']}", json={"metadata": {"c": "3"}, "name": None, "temperature": 0}))
    assert two == one | {"metadata": {"c": "3"}, "temperature": 0.0}
    assert made(http.post(f"/assistants/{one['id']}", json={})) == two
    assert made(http.post(f"/assistants/{one['id']}", json={"model": "n", "metadata": None})) == two | {"model": "n"}


def test_deleted_ones_are_gone(http: httpx.Client) -> None:
    id = made(http.post("/assistants", json={"model": "m"}))["id"]
    assert made(http.delete(f"/assistants/{id}")) == {"id": id, "object": "assistant.deleted", "deleted": True}
    for answer in (
        http.get(f"/assistants/{id}"),
        http.post(f"/assistants/{id}", json={}),
        http.delete(f"/assistants/{id}"),
    ):
        refused(answer, 404)
    made(http.delete(f"/assistants/{id}", headers={"x-stainless-retry-count": "1"}))


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("model", None, "missing_required_parameter"),
        ("model", "", "invalid_value"),
        ("model", 4, "invalid_type"),
        ("name", "n" * 257, "string_above_max_length"),
        ("description", "d" * 513, "string_above_max_length"),
        ("instructions", "i" * 256_001, "string_above_max_length"),
        ("temperature", 2.1, "invalid_value"),
        ("temperature", "1", "invalid_type"),
        ("temperature", True, "invalid_type"),
        ("top_p", 1.5, "invalid_value"),
        ("tools", {}, "invalid_type"),
        ("tools", [{"type": "function", "function": {"name": "f"}}] * 129, "array_above_max_length"),
        ("tools", [{"type": "code_interpreter"}], "unsupported_tool"),
        ("tools", [{"type": "file_search"}], "unsupported_tool"),
        ("tools", [{"type": "function"}], "missing_required_parameter"),
        ("tools", [{"type": "function", "function": {"name": "a b"}}], "invalid_value"),
        ("tools", [{"type": "function", "function": {"name": "n" * 65}}], "invalid_value"),
        ("tools", [{"type": "function", "function": {"name": "n\n"}}], "invalid_value"),
        ("tools", [{"type": "function", "function": {"name": "f", "parameters": []}}], "invalid_type"),
        ("tool_resources", {"file_search": {"vector_store_ids": ["vs"]}}, "invalid_value"),
        ("response_format", "json", "invalid_value"),
        ("response_format", 5, "invalid_type"),
        ("response_format", {"type": "xml"}, "invalid_value"),
        ("reasoning_effort", 1, "invalid_type"),
    ],
)
def test_wrong_fields_are_named(http: httpx.Client, field: str, value: object, code: str) -> None:
    error = refused(http.post("/assistants", json={"model": "m", field: value}))
    assert (error["param"], error["code"]) == (field, code)


@pytest.mark.parametrize(
    "format",
    [
        "auto",
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "s", "x": None}},
    ],
)
def test_response_formats(http: httpx.Client, format: object) -> None:
    assert made(http.post("/assistants", json={"model": "m", "response_format": format}))["response_format"] == format
