"""`GET /openapi.json` says what is served, and nothing that it allows, or forbids, makes a 500."""

import json
import re
from pathlib import Path

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, assume, given, settings
from jsonschema.validators import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from tests.app.api.conftest import Ask, Site, made

SERVED = {
    "/v1/assistants": {"get", "post"},
    "/v1/assistants/{assistant_id}": {"get", "post", "delete"},
    "/v1/threads": {"post"},
    "/v1/threads/{thread_id}": {"get", "post", "delete"},
    "/v1/threads/runs": {"post"},
    "/v1/threads/{thread_id}/messages": {"get", "post"},
    "/v1/threads/{thread_id}/messages/{message_id}": {"get", "post", "delete"},
    "/v1/threads/{thread_id}/runs": {"get", "post"},
    "/v1/threads/{thread_id}/runs/{run_id}": {"get", "post"},
    "/v1/threads/{thread_id}/runs/{run_id}/cancel": {"post"},
    "/v1/threads/{thread_id}/runs/{run_id}/submit_tool_outputs": {"post"},
    "/v1/threads/{thread_id}/runs/{run_id}/steps": {"get"},
    "/v1/threads/{thread_id}/runs/{run_id}/steps/{step_id}": {"get"},
    "/v1/models": {"get"},
    "/v1/models/{name}": {"get"},
}
EXAMPLES = 12
KINDS = [
    (method.upper(), path, mode)
    for path, methods in SERVED.items()
    for method in sorted(methods)
    for mode in GenerationMode
    # nothing of the others can be wrong but their ids
    if mode is GenerationMode.POSITIVE or method == "post" or path.endswith(("s", "steps"))
]


@pytest.fixture(scope="module")
def described(site: Site) -> dict[str, object]:
    """The description as served, to anybody."""
    answer = httpx.get(f"{site.url}/openapi.json")
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()
    return found


def test_it_names_every_endpoint(described: dict[str, dict[str, object]]) -> None:
    assert {path: set(methods) for path, methods in described["paths"].items()} == SERVED  # type: ignore[call-overload]


def test_the_page_needs_nothing_from_elsewhere(site: Site) -> None:
    page = httpx.get(f"{site.url}/docs")
    assert page.status_code == 200
    assert "submit_tool_outputs" in page.text
    for word in ("src=", "@import", "url(", "<script", 'rel="stylesheet"'):
        assert word not in page.text


def test_answers_are_of_their_types(
    http: httpx.Client, described: dict[str, dict[str, dict[str, object]]], assistant: str, asking: Ask
) -> None:
    run = made(http.post("/threads/runs", json={"assistant_id": assistant}))
    asking(run["id"], "call_a")
    thread = f"/threads/{run['thread_id']}"
    steps = made(http.get(f"{thread}/runs/{run['id']}/steps"))
    for kind, shown in (
        ("Assistant", made(http.get(f"/assistants/{assistant}"))),
        ("Thread", made(http.get(thread))),
        ("Run", made(http.get(f"{thread}/runs/{run['id']}"))),
        ("ListOf_Run_", made(http.get(f"{thread}/runs"))),
        ("ListOf_Step_", steps),
        ("Step", steps["data"][0]),
        ("ModelList", made(http.get("/models"))),
        ("Envelope", http.get("/threads/thread_0").json()),
    ):
        schemas = json.dumps(described["components"]["schemas"]).replace("#/components/schemas/", "#/$defs/")
        schema = {"$ref": f"#/$defs/{kind}", "$defs": json.loads(schemas)}
        Draft202012Validator(schema).validate(shown)


@pytest.mark.parametrize(("method", "path", "mode"), KINDS)
def test_nothing_makes_a_500(site: Site, method: str, path: str, mode: GenerationMode) -> None:
    """Generated requests, right and wrong, on ids that exist where they can; answers are of their types."""
    operation = schemathesis.openapi.from_url(f"{site.url}/openapi.json")[path][method]
    http = site.http()
    assistant = made(http.post("/assistants", json={"model": "scripted"}))["id"]
    run = made(http.post("/threads/runs", json={"assistant_id": assistant}))
    known = {"thread_id": run["thread_id"], "run_id": run["id"], "assistant_id": assistant}
    ids = {name: id for name, id in known.items() if f"{{{name}}}" in path}
    cases = operation.as_strategy(generation_mode=mode, path_parameters=ids or None)
    headers = {"Authorization": f"Bearer {site.key}"}

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases)
    def ask(case: schemathesis.Case) -> None:
        # A stream stays open as long as its run, and nobody drives these runs: tests/app/stream has them.
        assume(not (isinstance(case.body, dict) and case.body.get("stream") is True))
        answer = case.call(base_url=site.url, headers=headers)
        case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])

    ask()


def test_the_documentation_names_every_endpoint() -> None:
    page = (Path(__file__).parents[3] / "docs" / "api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `([A-Z]+) (/v1/\S+)` \| yes \|", page, re.MULTILINE))
    assert documented == {(method.upper(), path) for path, methods in SERVED.items() for method in methods}
