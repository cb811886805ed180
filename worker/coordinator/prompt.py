"""What a model is asked: from rows to a `TurnRequest`. Pure."""

from typing import Any, Final

from app.catalog.tool import Catalog
from sql.context import MessageRow, PastCallRow
from sql.decisions import RunRow
from sql.sealing import unseal
from worker.journal import Context
from worker.models import PastCall, ThreadMessage, TurnRequest, Usage

NO_LONGER_KEPT: Final = '{"note":"answered; the output is no longer kept"}'


def turn_request(run: RunRow, context: Context, catalog: Catalog) -> TurnRequest:
    """What the run's model is asked for its next round."""
    prompt = context.prompt
    return TurnRequest(
        run_id=run.id,
        thread_id=run.thread_id,
        model=run.model,
        turn=run.rounds,
        instructions=prompt.instructions,
        tools=tuple(_completed(tool, catalog) for tool in prompt.tools),
        settings=prompt.settings,
        messages=tuple(_message(row) for row in context.messages if not row.deleted),
        deleted_question=next((_message(row) for row in context.messages if row.deleted), None),
        calls=tuple(_past_call(row) for row in context.calls),
        input_seq=prompt.input_seq,
        traceparent=run.traceparent,
        usage=Usage(run.prompt_tokens, run.completion_tokens),
    )


def used_call_ids(context: Context | None) -> set[str]:
    """The ids of the run's calls so far."""
    return {row.tool_call_id for row in context.calls if row.run_id == row.for_run_id} if context else set()


def _completed(tool: dict[str, Any], catalog: Catalog) -> dict[str, Any]:
    """A listed tool; one of the catalog's is offered as the catalog describes it, where the list does not."""
    function = tool.get("function") or {}
    ours = catalog.tools.get(function.get("name", ""))
    if ours is None:
        return tool
    return {"type": "function", "function": {**ours.offer()["function"], **function}}


def _message(row: MessageRow) -> ThreadMessage:
    texts = [part["text"]["value"] for part in row.content if part.get("type") == "text"]
    return ThreadMessage(row.id, row.seq, row.role, "\n".join(texts), row.written_by, row.round)


def _past_call(row: PastCallRow) -> PastCall:
    return PastCall(
        run_id=row.run_id,
        run_seq=row.run_seq,
        round=row.round,
        index=row.index,
        tool_call_id=row.tool_call_id,
        provider_call_id=row.provider_call_id,
        tool=row.tool,
        arguments=(unseal(row.arguments, row.arguments_key_id) or b"{}").decode(),
        output=_output(row),
        input_seq=row.input_seq,
    )


def _output(row: PastCallRow) -> str | None:
    """What the model was told; it must not believe that a call went unanswered because its output is scrubbed."""
    output = unseal(row.output, row.output_key_id)
    if output is not None:
        return output.decode("utf-8", "replace")
    return NO_LONGER_KEPT if row.answered else None
