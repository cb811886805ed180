"""Lists: order, cursors both ways, exact `has_more`, bad input."""

from collections.abc import Callable

import httpx
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.app.api.conftest import Site, made, refused

LENGTH = 7


@pytest.fixture(scope="module")
def listed(http: httpx.Client) -> tuple[str, list[str]]:
    """A thread's path of messages, and their ids, oldest first; they tie in `created_at`."""
    thread = made(http.post("/threads", json={"messages": [{"role": "user", "content": "x"}] * LENGTH}))["id"]
    path = f"/threads/{thread}/messages"
    return path, [one["id"] for one in made(http.get(f"{path}?order=asc"))["data"]]


def expected(ids: list[str], limit: int, after: str | None, before: str | None) -> tuple[list[str], bool]:
    """A page of ids that are in the order asked for, by the words of the contract."""
    start = ids.index(after) + 1 if after else 0
    end = ids.index(before) if before else len(ids)
    window = ids[start:end]
    if before and not after:
        return window[-limit:], len(window) > limit
    return window[:limit], len(window) > limit


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    limit=st.integers(1, LENGTH + 1),
    order=st.sampled_from(["asc", "desc", None]),
    after=st.none() | st.integers(0, LENGTH - 1),
    before=st.none() | st.integers(0, LENGTH - 1),
)
def test_every_page(
    http: httpx.Client,
    listed: tuple[str, list[str]],
    limit: int,
    order: str | None,
    after: int | None,
    before: int | None,
) -> None:
    path, ids = listed
    query = {"limit": limit, "order": order}
    cursors = {name: ids[place] for name, place in (("after", after), ("before", before)) if place is not None}
    page = made(http.get(path, params={k: v for k, v in (query | cursors).items() if v is not None}))
    ordered = ids if order == "asc" else ids[::-1]
    want, more = expected(ordered, limit, cursors.get("after"), cursors.get("before"))
    assert [one["id"] for one in page["data"]] == want
    assert page["has_more"] == more
    assert (page["first_id"], page["last_id"]) == ((want[0], want[-1]) if want else (None, None))
    assert page["object"] == "list"


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=--5", "limit"),
        ("limit=x", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("order=up", "order"),
        ("after=msg_0", "after"),
        ("before=msg_0", "before"),
        ("after=%00", "after"),
        ("before=a%20b", "before"),
    ],
)
def test_bad_input_is_named(
    http: httpx.Client, listed: tuple[str, list[str]], assistant: str, query: str, param: str
) -> None:
    for path in (listed[0], "/assistants"):
        assert refused(http.get(f"{path}?{query}"))["param"] == param


def test_a_cursor_of_another_list_is_refused(http: httpx.Client, listed: tuple[str, list[str]], thread: str) -> None:
    path, ids = listed
    other = made(http.post(f"/threads/{thread}/messages", json={"role": "user", "content": "x"}))["id"]
    assert refused(http.get(f"{path}?after={other}"))["param"] == "after"
    assert refused(http.get(f"{path}?run_id=run_0&after={ids[0]}"))["param"] == "after"


def test_include_is_ignored_and_unknown_runs_have_no_messages(
    http: httpx.Client, listed: tuple[str, list[str]]
) -> None:
    path, _ = listed
    assert len(made(http.get(f"{path}?include%5B%5D=x.y"))["data"]) == LENGTH
    for run in ("run_0", "%00", ""):
        assert made(http.get(f"{path}?run_id={run}"))["data"] == []


def test_the_official_client_pages_to_the_end(client: openai.OpenAI, site: Site, http: httpx.Client) -> None:
    messages = [{"role": "user", "content": str(i)} for i in range(23)]
    thread = made(http.post("/threads", json={"messages": messages}))["id"]
    texts: Callable[..., list[str]] = lambda pages: [one.content[0].text.value for one in pages]  # noqa: E731
    forwards = client.beta.threads.messages.list(thread, limit=5, order="asc")
    assert texts(forwards) == [str(i) for i in range(23)]
    newest = client.beta.threads.messages.list(thread, limit=10)
    assert texts(newest) == [str(i) for i in reversed(range(23))]
    last = next(iter(client.beta.threads.messages.list(thread, limit=1)))
    before = client.beta.threads.messages.list(thread, limit=5, order="asc", before=last.id)
    assert texts(before) == [str(i) for i in range(17, 22)]


def test_assistants_runs_and_steps_page_too(site: Site) -> None:
    own = site.http(site.new_key("paging"))
    ids = [made(own.post("/assistants", json={"model": "m"}))["id"] for _ in range(5)]
    shown = made(own.get(f"/assistants?limit=2&after={ids[3]}"))
    assert ([one["id"] for one in shown["data"]], shown["has_more"]) == ([ids[2], ids[1]], True)
    thread = made(own.post("/threads", json={}))["id"]
    runs = []
    for _ in range(3):
        run = made(own.post(f"/threads/{thread}/runs", json={"assistant_id": ids[0]}))["id"]
        made(own.post(f"/threads/{thread}/runs/{run}/cancel"))
        runs.append(run)
    shown = made(own.get(f"/threads/{thread}/runs?limit=1&order=asc&after={runs[0]}"))
    assert ([one["id"] for one in shown["data"]], shown["has_more"]) == ([runs[1]], True)
    steps = f"/threads/{thread}/runs/{runs[0]}/steps"
    assert made(own.get(steps)) == {
        "object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False,
    }  # fmt: skip
    assert refused(own.get(f"{steps}?after=step_0"))["param"] == "after"
