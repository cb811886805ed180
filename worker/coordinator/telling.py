"""What the coordinator says of its work: log lines that `counterfoil investigate` reads, spans, numbers.

The lines have the words of the four logs of old: `status` and `dispatch_tool` of the coordinator, `tool_request` of
the gateway, `normalize_ok` and `submit_tool_outputs` of the submission handler. Ids, states and times only.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import structlog

from app import telemetry
from app.catalog.tool import Catalog
from sql.decisions import RunRow
from sql.vocabulary import RunStatus
from worker.gateway.client import ToolRequest
from worker.gateway.outcome import Accepted, Delivered, Outcome
from worker.models import ModelUnavailable, Turn, TurnRequest
from worker.records import LearntResult, Write

log = structlog.get_logger()
OURS: Final = "scripted"


@contextmanager
def stretch(run: RunRow, owner: str, claim: str | None) -> Iterator[None]:
    """Around one claimed stretch of a run. claim: the traceparent of the claim, which is linked to."""
    tell_status(run, RunStatus(run.status), owner=owner)
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.id": run.assistant_id,
        "gen_ai.conversation.id": run.thread_id,
        "counterfoil.run.id": run.id,
        "counterfoil.lease.epoch": run.epoch,
    }
    with telemetry.span(f"invoke_agent {run.assistant_id}", attributes, parent=run.traceparent, link=claim):
        yield


def tell_status(run: RunRow, status: RunStatus, **more: Any) -> None:
    """Says what a run's status is now."""
    log.info(
        "run_status",
        thread=run.thread_id,
        run=run.id,
        correlation=run.correlation_id,
        status=status.value,
        epoch=run.epoch,
        **more,
    )


def tell_round(run: RunRow, write: Write) -> None:
    """Says what a round that was just stored made of its run."""
    if write.end is not None:
        tell_status(run, RunStatus(write.end.status))
    elif write.calls:
        tell_status(run, RunStatus.REQUIRES_ACTION, tool_calls=len(write.calls))


# The model ------------------------------------------------------------------------------------------


class Asking:
    """One request to a model, being told of."""

    def __init__(self, span: telemetry.Span, label: str) -> None:
        self._span, self._label = span, label

    def traced(self, request: TurnRequest) -> TurnRequest:
        """The request, as part of its span's trace."""
        return request if self._span.traceparent is None else replace(request, traceparent=self._span.traceparent)

    def answered(self, turn: Turn) -> Turn:
        """Counts what the turn took."""
        for kind, tokens in (("input", turn.usage.prompt_tokens), ("output", turn.usage.completion_tokens)):
            if tokens:
                telemetry.count("tokens", self._label, kind, by=tokens)
        return turn


@contextmanager
def asking(run: RunRow, catalog: Catalog) -> Iterator[Asking]:
    """Around a request to a model. Its label is the catalog's pattern: any client may name any model."""
    entry = catalog.model_for(run.model)
    label = OURS if run.model == OURS or entry is None else entry.pattern
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": run.model,
        "gen_ai.conversation.id": run.thread_id,
        "counterfoil.run.id": run.id,
    }
    began, error = time.monotonic(), ""
    with telemetry.span(f"chat {run.model}", attributes, kind="client") as span:
        try:
            yield Asking(span, label)
        except ModelUnavailable:
            error = "unavailable"
            raise
        except BaseException as other:
            error = type(other).__name__
            raise
        finally:
            telemetry.observe("model_duration", time.monotonic() - began, label, error)


# Tools ----------------------------------------------------------------------------------------------


def ids(request: ToolRequest) -> dict[str, Any]:
    """What every line about a call has."""
    return {
        "thread": request.thread_id,
        "run": request.run_id,
        "tool_call": request.tool_call_id,
        "correlation": request.correlation_id,
        "tool": request.tool.name,
        "attempt": request.attempt,
    }


def of_call(request: ToolRequest) -> dict[str, Any]:
    """Attributes of a request about a call."""
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.conversation.id": request.thread_id,
        "gen_ai.tool.name": request.tool.name,
        "gen_ai.tool.call.id": request.tool_call_id,
        "counterfoil.run.id": request.run_id,
        "counterfoil.attempt": request.attempt,
    }


class Sending:
    """One request to a tool, being told of."""

    def __init__(self, request: ToolRequest, span: telemetry.Span) -> None:
        self._request, self._span = request, span
        self._began = time.monotonic()

    def traced(self, request: ToolRequest) -> ToolRequest:
        """The request, as part of its span's trace."""
        return request if self._span.traceparent is None else replace(request, traceparent=self._span.traceparent)

    def answered(self, outcome: Outcome) -> Outcome:
        """Says what came back."""
        word = type(outcome).__name__.lower()
        self._span.set(counterfoil__effect__state=word, http__response__status_code=outcome.status)
        if not isinstance(outcome, Delivered | Accepted):
            self._span.fail(str(outcome.status) if outcome.status is not None else word)
        log.info(
            "tool_request",
            **ids(self._request),
            method=self._request.tool.method,
            status=outcome.status,
            duration_s=round(time.monotonic() - self._began, 3),
            outcome=word,
        )
        return outcome


@contextmanager
def sending(request: ToolRequest, owner: str) -> Iterator[Sending]:
    """Around a request to a tool."""
    log.info("dispatch_tool", **ids(request), fingerprint=request.fingerprint, owner=owner)
    name = f"execute_tool {request.tool.name}"
    with telemetry.span(name, of_call(request), kind="client") as span:
        yield Sending(request, span)


def tell_learnt(request: ToolRequest, outcome: Outcome, result: LearntResult, owner: str) -> None:
    """Says what became of an outcome once it is recorded: it joined the run, or came late."""
    if isinstance(outcome, Delivered):
        log.info("normalize_ok", **ids(request), owner=owner, conflict=result.conflict)
    if result.settled:
        log.info("submit_tool_outputs", **ids(request), status="200", owner=owner)
    elif isinstance(outcome, Delivered):
        log.info("duplicate_event", **ids(request), action="dropped", owner=owner)
