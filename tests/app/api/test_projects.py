"""Projects are kept apart: what belongs to another is not there."""

import httpx
import pytest

from tests.app.api.conftest import Ask, Site, made, refused


@pytest.fixture(scope="module")
def stranger(site: Site) -> httpx.Client:
    """A client with another project's key."""
    return site.http(site.new_key("strangers"))


def test_nothing_of_another_project_is_there(
    http: httpx.Client, stranger: httpx.Client, assistant: str, asking: Ask
) -> None:
    body = {"assistant_id": assistant, "thread": {"messages": [{"role": "user", "content": "x"}]}}
    run = made(http.post("/threads/runs", json=body))
    asking(run["id"], "call_a")
    thread = f"/threads/{run['thread_id']}"
    message = made(http.get(f"{thread}/messages"))["data"][0]["id"]
    step = made(http.get(f"{thread}/runs/{run['id']}/steps"))["data"][0]["id"]
    for path in (
        thread,
        f"{thread}/messages",
        f"{thread}/messages/{message}",
        f"{thread}/runs",
        f"{thread}/runs/{run['id']}",
        f"{thread}/runs/{run['id']}/steps",
        f"{thread}/runs/{run['id']}/steps/{step}",
        f"/assistants/{assistant}",
    ):
        made(http.get(path))
        refused(stranger.get(path), 404)
    for path, asked in (
        (thread, {"metadata": {"a": "b"}}),
        (f"{thread}/messages", {"role": "user", "content": "x"}),
        (f"{thread}/messages/{message}", {"metadata": {"a": "b"}}),
        (f"{thread}/runs", {"assistant_id": assistant}),
        (f"{thread}/runs/{run['id']}", {"metadata": {"a": "b"}}),
        (f"{thread}/runs/{run['id']}/cancel", {}),
        (f"{thread}/runs/{run['id']}/submit_tool_outputs", {"tool_outputs": [{"tool_call_id": "call_a"}]}),
        (f"/assistants/{assistant}", {"name": "mine"}),
        ("/threads/runs", {"assistant_id": assistant}),
    ):
        refused(stranger.post(path, json=asked), 404)
    for path in (f"{thread}/messages/{message}", thread, f"/assistants/{assistant}"):
        refused(stranger.delete(path), 404)
    assert made(http.get(f"{thread}/runs/{run['id']}"))["status"] == "requires_action"
    assert made(stranger.get("/assistants"))["data"] == []
    assert refused(stranger.get(f"/assistants?after={assistant}"))["param"] == "after"
