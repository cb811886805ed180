"""The body of a Chat Completions request. Pure.

What equals the API's default is left out: many providers reject a field that a model does not know, even
with its default value.
"""

from collections.abc import Mapping
from typing import Any, Final

from worker.models import Incomplete, TurnRequest
from worker.models.context import chat_messages

NO_ARGUMENTS: Final = {"type": "object", "properties": {}, "additionalProperties": False}


def chat_body(request: TurnRequest, model: str, *, stream: bool) -> dict[str, Any]:
    """The whole body. model: the name that the provider knows."""
    body: dict[str, Any] = {"model": model, "messages": chat_messages(request)}
    body |= _sampling(request.settings)
    if request.tools:
        body |= _tools(request)
    if (left := tokens_left(request)) is not None:
        body["max_completion_tokens"] = left
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def spent(request: TurnRequest) -> Incomplete | None:
    """The limit that the run's earlier turns have used up, if they have."""
    left = tokens_left(request)
    if left is not None and left <= 0:
        return Incomplete("max_completion_tokens")
    limit = request.settings.get("max_prompt_tokens")
    if limit is not None and request.usage.prompt_tokens >= limit:
        return Incomplete("max_prompt_tokens")
    return None


def tokens_left(request: TurnRequest) -> int | None:
    """What `max_completion_tokens`, which counts over the whole run, leaves for this turn; None: no limit."""
    limit: int | None = request.settings.get("max_completion_tokens")
    return None if limit is None else limit - request.usage.completion_tokens


def _sampling(settings: Mapping[str, Any]) -> dict[str, Any]:
    chosen: dict[str, Any] = {}
    for name in ("temperature", "top_p"):
        if settings.get(name) not in (None, 1):
            chosen[name] = settings[name]
    if settings.get("response_format") not in (None, "auto", {"type": "text"}):
        chosen["response_format"] = settings["response_format"]
    if settings.get("reasoning_effort") is not None:
        chosen["reasoning_effort"] = settings["reasoning_effort"]
    return chosen


def _tools(request: TurnRequest) -> dict[str, Any]:
    chosen: dict[str, Any] = {"tools": [_tool(tool["function"]) for tool in request.tools]}
    choice = request.settings.get("tool_choice")
    # A choice that forces calls is met once the run has called: forced in each turn, it would never end.
    forced = choice not in (None, "auto", "none")
    if choice not in (None, "auto") and not (forced and _has_called(request)):
        chosen["tool_choice"] = choice
    if request.settings.get("parallel_tool_calls") is False:
        chosen["parallel_tool_calls"] = False
    return chosen


def _has_called(request: TurnRequest) -> bool:
    return any(call.run_id == request.run_id for call in request.calls)


def _tool(function: Mapping[str, Any]) -> dict[str, Any]:
    # `parameters` may be absent in our API (no arguments); not every provider takes that.
    given = {key: function[key] for key in ("name", "description", "strict") if function.get(key) is not None}
    return {"type": "function", "function": {**given, "parameters": function.get("parameters") or NO_ARGUMENTS}}
