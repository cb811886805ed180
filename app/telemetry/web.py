"""What the web process says of its requests: a span for each, and a line where a run is made or answered."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

from flask import g, request

from app import telemetry
from app.api.paths import is_id
from app.logs import get_logger

if TYPE_CHECKING:
    from flask import Flask, Response

MADE: Final = frozenset({"api.runs.create", "api.runs.create_with_thread"})
SUBMITTED: Final = "api.submit.submit"
_log = get_logger(part="api")


def watch(flask_app: Flask) -> None:
    """Adds the hooks; before the first request."""
    flask_app.before_request(begin)
    flask_app.after_request(tell)
    flask_app.teardown_request(end)


def begin() -> None:
    """Opens the request's span; what the request says of its trace is what runs are stored with."""
    if not telemetry.enabled():
        return
    stack = g.telemetry = ExitStack()
    route = request.url_rule.rule if request.url_rule is not None else ""
    attributes = {"http.request.method": request.method, "http.route": route}
    parent = request.headers.get("traceparent")
    g.span = stack.enter_context(
        telemetry.span(f"{request.method} {route}".strip(), attributes, parent=parent, kind="server")
    )
    if g.span.traceparent is not None:
        request.environ["HTTP_TRACEPARENT"] = g.span.traceparent


def tell(response: Response) -> Response:
    """Writes the line of a run that was made, or whose outputs were submitted."""
    if "span" in g:
        g.span.set(http__response__status_code=response.status_code)
        if response.status_code >= 500:
            g.span.fail(str(response.status_code))
    endpoint = request.endpoint
    if endpoint in MADE and response.status_code == 200 and response.is_json:
        run = response.get_json()
        _log.info("create_run", run=run["id"], thread=run["thread_id"], status=run["status"])
    elif endpoint == SUBMITTED and response.status_code in (200, 400, 409):
        ids = {name.removesuffix("_id"): value for name, value in (request.view_args or {}).items() if is_id(value)}
        event = "submit_tool_outputs" if response.status_code == 200 else "submit_failed"
        _log.info(event, **ids, status=response.status_code)
    return response


def end(_error: BaseException | None) -> None:
    """Closes the span."""
    if "telemetry" in g:
        g.telemetry.close()
