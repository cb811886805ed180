"""What a run is made with: the request's values, else the assistant's, copied so that later edits stay out."""

from typing import Any, Final

from app.api.bodies import stored
from app.api.services import project
from app.api.wire import RunBody, TruncationStrategy
from app.settings import Settings
from sql.assistants import AssistantRow
from sql.ids import new_id
from sql.runs import NewRun

WHOLE_THREAD: Final = TruncationStrategy(type="auto")


def run_of(
    body: RunBody, assistant: AssistantRow, thread_id: str, settings: Settings, traceparent: str | None
) -> NewRun:
    """The run to make."""
    return NewRun(
        id=new_id("run"),
        project_id=project(),
        thread_id=thread_id,
        assistant_id=assistant.id,
        correlation_id=new_id("corr"),
        traceparent=traceparent,
        ledger=settings.ledger,
        model=body.model or assistant.model,
        instructions=instructions_of(body, assistant),
        tools=stored(assistant.tools if body.tools is None else body.tools),
        metadata=stored(assistant.metadata if body.metadata is None else body.metadata),
        settings=stored(effective(body, assistant)),
        ttl_s=settings.run_ttl_s if body.expires_in_seconds is None else float(body.expires_in_seconds),
        fixed_expiry=body.expires_in_seconds is not None,
    )


def instructions_of(body: RunBody, assistant: AssistantRow) -> str | None:
    """The request's replace the assistant's; additional ones are appended."""
    base = assistant.instructions if body.instructions is None else body.instructions
    if body.additional_instructions is None:
        return base
    return body.additional_instructions if base is None else f"{base}\n\n{body.additional_instructions}"


def effective(body: RunBody, assistant: AssistantRow) -> dict[str, Any]:
    """The rest of the values, as the wire shows them."""
    return {
        "temperature": first(body.temperature, assistant.temperature, 1.0),
        "top_p": first(body.top_p, assistant.top_p, 1.0),
        "max_prompt_tokens": body.max_prompt_tokens,
        "max_completion_tokens": body.max_completion_tokens,
        "truncation_strategy": (body.truncation_strategy or WHOLE_THREAD).model_dump(),
        "tool_choice": first(body.tool_choice, "auto"),
        "parallel_tool_calls": first(body.parallel_tool_calls, True),
        "response_format": first(body.response_format, assistant.response_format, "auto"),
        "reasoning_effort": first(body.reasoning_effort, assistant.reasoning_effort),
    }


def first(*values: Any) -> Any:
    """The first value that is there."""
    return next((value for value in values if value is not None), None)
