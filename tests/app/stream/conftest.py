"""The API's fixtures, and raw streams over plain HTTP."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.app.api.conftest import (  # noqa: F401 - fixtures
    Site,
    asking,
    assistant,
    http,
    module_database,
    rows,
    site,
)
from tests.support.sandbox_process import SandboxProcess, start_sandbox
from tests.support.streams import Event, checked

SERVED_SETTINGS = {"COUNTERFOIL_CONFIG": "counterfoil.toml", "POLL_S": 0.2, "LEASE_S": 2}
HUMAN = [{"type": "function", "function": {"name": "ask_human"}}]


@pytest.fixture(scope="module")
def sandbox(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:  # noqa: F811
    """The outside world, and a worker that knows its tools."""
    with start_sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        site.processes.start_worker(site.dsn, SANDBOX_URL=running.url, **SERVED_SETTINGS)
        yield running


@pytest.fixture
def body(assistant: str) -> Callable[..., dict[str, Any]]:  # noqa: F811
    """The body of a streamed run on a new thread; it plays a script."""

    def make(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
        message = {"role": "user", "content": json.dumps({"script": entries})}
        thread = {"messages": [message]}
        return {"assistant_id": assistant, "thread": thread, "tools": HUMAN, "stream": True, **more}

    return make


Stream = Callable[..., list[Event]]


@pytest.fixture
def stream(http: httpx.Client) -> Stream:  # noqa: F811
    """Posts and reads the whole stream; it keeps to the contract."""

    def post(path: str, content: dict[str, Any], **headers: str) -> list[Event]:
        answer = http.post(path, json=content, headers=headers)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert (answer.headers["cache-control"], answer.headers["x-accel-buffering"]) == ("no-cache", "no")
        return checked(answer.text)

    return post
