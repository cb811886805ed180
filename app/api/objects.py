"""What clients get, once: types that rows are shown as and that `GET /openapi.json` is made of.

Every key is always there, null where it has no value.
"""

from typing import Any, Generic, Literal, TypeVar

from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from app.api.payloads import text_of
from sql.assistants import AssistantRow
from sql.messages import MessageRow
from sql.runs import RunRow
from sql.steps import CallRow, StepRow
from sql.threads import ThreadRow

AnyObject = dict[str, Any]
T = TypeVar("T")


class Assistant(TypedDict):
    """An assistant."""

    id: str
    object: Literal["assistant"]
    created_at: int
    model: str
    name: str | None
    description: str | None
    instructions: str | None
    tools: list[AnyObject]
    tool_resources: AnyObject
    metadata: dict[str, str]
    temperature: float | None
    top_p: float | None
    response_format: Any
    reasoning_effort: str | None


class Thread(TypedDict):
    """A thread."""

    id: str
    object: Literal["thread"]
    created_at: int
    metadata: dict[str, str]
    tool_resources: AnyObject


class Reason(TypedDict):
    """Why something is incomplete."""

    reason: str


class Message(TypedDict):
    """A message of a thread."""

    id: str
    object: Literal["thread.message"]
    created_at: int
    thread_id: str
    status: Literal["in_progress", "completed", "incomplete"]
    incomplete_details: Reason | None
    completed_at: int | None
    incomplete_at: int | None
    role: Literal["user", "assistant"]
    content: list[AnyObject]
    assistant_id: str | None
    run_id: str | None
    attachments: list[AnyObject]
    metadata: dict[str, str]


class CalledFunction(TypedDict):
    """A function as the model called it; arguments are JSON text."""

    name: str
    arguments: str


class OpenCall(TypedDict):
    """A call that waits for the client."""

    id: str
    type: Literal["function"]
    function: CalledFunction


class OpenCalls(TypedDict):
    """All calls that wait for the client, in call order."""

    tool_calls: list[OpenCall]


class RequiredAction(TypedDict):
    """What a run waits for."""

    type: Literal["submit_tool_outputs"]
    submit_tool_outputs: OpenCalls


class LastError(TypedDict):
    """Why a run or step failed."""

    code: str
    message: str


class Usage(TypedDict):
    """Tokens over all turns."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Run(TypedDict):
    """A run."""

    id: str
    object: Literal["thread.run"]
    created_at: int
    thread_id: str
    assistant_id: str
    status: Literal[
        "queued", "in_progress", "requires_action", "cancelling", "completed", "failed", "incomplete",
        "cancelled", "expired",
    ]  # fmt: skip
    required_action: RequiredAction | None
    last_error: LastError | None
    incomplete_details: Reason | None
    expires_at: int | None
    started_at: int | None
    cancelled_at: int | None
    failed_at: int | None
    completed_at: int | None
    model: str
    instructions: str | None
    tools: list[AnyObject]
    metadata: dict[str, str]
    usage: Usage | None
    temperature: float | None
    top_p: float | None
    max_prompt_tokens: int | None
    max_completion_tokens: int | None
    truncation_strategy: AnyObject
    tool_choice: Any
    parallel_tool_calls: bool
    response_format: Any


class Step(TypedDict):
    """A step of a run: a message written, or a batch of calls."""

    id: str
    object: Literal["thread.run.step"]
    created_at: int
    assistant_id: str
    thread_id: str
    run_id: str
    type: Literal["message_creation", "tool_calls"]
    status: Literal["in_progress", "completed", "failed", "cancelled", "expired"]
    step_details: AnyObject
    last_error: LastError | None
    expired_at: int | None
    cancelled_at: int | None
    failed_at: int | None
    completed_at: int | None
    metadata: dict[str, str]
    usage: Usage | None


class Deleted(TypedDict):
    """A deletion."""

    id: str
    object: Literal["assistant.deleted", "thread.deleted", "thread.message.deleted"]
    deleted: bool


class ModelObject(TypedDict):
    """A model's name that runs may ask for."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ListOf(TypedDict, Generic[T]):
    """A page of a list, in the order asked for."""

    object: Literal["list"]
    data: list[T]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ModelList(TypedDict):
    """All models."""

    object: Literal["list"]
    data: list[ModelObject]


class Problem(TypedDict):
    """What was wrong; param names the field, code is for programs."""

    message: str
    type: str
    param: str | None
    code: str | None


class Envelope(TypedDict):
    """Every answer with a status of 400 or more."""

    error: Problem


def assistant_object(row: AssistantRow) -> Assistant:
    """An assistant as the wire shows it."""
    return {
        "id": row.id,
        "object": "assistant",
        "created_at": row.created_at,
        "model": row.model,
        "name": row.name,
        "description": row.description,
        "instructions": row.instructions,
        "tools": row.tools,
        "tool_resources": {},
        "metadata": row.metadata,
        "temperature": 1.0 if row.temperature is None else row.temperature,
        "top_p": 1.0 if row.top_p is None else row.top_p,
        "response_format": "auto" if row.response_format is None else row.response_format,
        "reasoning_effort": row.reasoning_effort,
    }


def thread_object(row: ThreadRow) -> Thread:
    """A thread as the wire shows it."""
    return {
        "id": row.id,
        "object": "thread",
        "created_at": row.created_at,
        "metadata": row.metadata,
        "tool_resources": {},
    }


def message_object(row: MessageRow) -> Message:
    """A message as the wire shows it."""
    return {
        "id": row.id,
        "object": "thread.message",
        "created_at": row.created_at,
        "thread_id": row.thread_id,
        "status": row.status,  # type: ignore[typeddict-item]  # the database checks the words
        "incomplete_details": {"reason": row.incomplete_reason} if row.incomplete_reason else None,
        "completed_at": row.ended_at if row.status == "completed" else None,
        "incomplete_at": row.ended_at if row.status == "incomplete" else None,
        "role": row.role,  # type: ignore[typeddict-item]
        "content": row.content,
        "assistant_id": row.assistant_id,
        "run_id": row.run_id,
        "attachments": [],
        "metadata": row.metadata,
    }


def wire_status(row: RunRow) -> str:
    """`requires_action` shows only while a call waits for the client; calls of the server's are `in_progress`."""
    return "in_progress" if row.status == "requires_action" and not row.open_ids else row.status


def run_object(row: RunRow) -> Run:
    """A run as the wire shows it."""
    status = wire_status(row)
    asked = row.settings
    return {
        "id": row.id,
        "object": "thread.run",
        "created_at": row.created_at,
        "thread_id": row.thread_id,
        "assistant_id": row.assistant_id,
        "status": status,  # type: ignore[typeddict-item]
        "required_action": required_action(row) if status == "requires_action" else None,
        "last_error": last_error(row) if status == "failed" else None,
        "incomplete_details": {"reason": row.incomplete_reason} if row.incomplete_reason else None,
        "expires_at": row.expires_at if row.ended_at is None or status == "expired" else None,
        "started_at": row.started_at,
        "cancelled_at": row.ended_at if status == "cancelled" else None,
        "failed_at": row.ended_at if status == "failed" else None,
        "completed_at": row.ended_at if status == "completed" else None,
        "model": row.model,
        "instructions": row.instructions,
        "tools": row.tools,
        "metadata": row.metadata,
        "usage": usage(row) if row.ended_at is not None and row.prompt_tokens else None,
        "temperature": asked.get("temperature", 1.0),
        "top_p": asked.get("top_p", 1.0),
        "max_prompt_tokens": asked.get("max_prompt_tokens"),
        "max_completion_tokens": asked.get("max_completion_tokens"),
        "truncation_strategy": asked.get("truncation_strategy", {"type": "auto", "last_messages": None}),
        "tool_choice": asked.get("tool_choice", "auto"),
        "parallel_tool_calls": asked.get("parallel_tool_calls", True),
        "response_format": asked.get("response_format", "auto"),
    }


def required_action(row: RunRow) -> RequiredAction:
    """The calls that wait for the client."""
    open_calls = zip(
        row.open_ids or (), row.open_names or (), row.open_arguments or (), row.open_key_ids or (), strict=True
    )
    calls: list[OpenCall] = [
        {"id": id, "type": "function", "function": {"name": name, "arguments": text_of(arguments, key_id) or ""}}
        for id, name, arguments, key_id in open_calls
    ]
    return {"type": "submit_tool_outputs", "submit_tool_outputs": {"tool_calls": calls}}


def last_error(row: RunRow | StepRow) -> LastError:
    """Why a run failed."""
    return {"code": row.error_code or "server_error", "message": row.error_message or ""}


def usage(row: RunRow | StepRow) -> Usage:
    """Tokens so far."""
    return {
        "prompt_tokens": row.prompt_tokens,
        "completion_tokens": row.completion_tokens,
        "total_tokens": row.prompt_tokens + row.completion_tokens,
    }


def step_object(row: StepRow, calls: list[CallRow]) -> Step:
    """A step as the wire shows it; calls: those of its round, in call order."""
    return {
        "id": row.id,
        "object": "thread.run.step",
        "created_at": row.created_at,
        "assistant_id": row.assistant_id,
        "thread_id": row.thread_id,
        "run_id": row.run_id,
        "type": row.type,  # type: ignore[typeddict-item]
        "status": row.status,  # type: ignore[typeddict-item]
        "step_details": step_details(row, calls),
        "last_error": last_error(row) if row.status == "failed" else None,
        "expired_at": row.ended_at if row.status == "expired" else None,
        "cancelled_at": row.ended_at if row.status == "cancelled" else None,
        "failed_at": row.ended_at if row.status == "failed" else None,
        "completed_at": row.ended_at if row.status == "completed" else None,
        "metadata": {},
        "usage": None if row.status == "in_progress" else usage(row),
    }


def step_details(row: StepRow, calls: list[CallRow]) -> AnyObject:
    """The message or the calls of a step; an output is null until the call is answered."""
    if row.type == "message_creation":
        return {"type": "message_creation", "message_creation": {"message_id": row.message_id}}
    return {
        "type": "tool_calls",
        "tool_calls": [
            {
                "id": call.tool_call_id,
                "type": "function",
                "function": {
                    "name": call.tool,
                    "arguments": text_of(call.arguments, call.arguments_key_id) or "",
                    "output": text_of(call.output, call.output_key_id),
                },
            }
            for call in calls
        ],
    }
