"""Outputs of the client's calls: accepted as a whole, once, and again when the very same come again."""

from collections.abc import Sequence

from flask import Blueprint, Response

from app import errors
from app.api import resend
from app.api.answers import answer
from app.api.bodies import read_body
from app.api.objects import run_object, wire_status
from app.api.paths import check_ids
from app.api.payloads import new_payload, text_of
from app.api.runs import locked_run, require, shown
from app.api.services import database, services
from app.api.stream.serve import stream_of
from app.api.wire import SubmitBody, ToolOutput
from app.database import Transaction
from sql.ledger import complete_steps, insert_payloads, wake_runs
from sql.runs import ClientCall, RunRow, answer_calls, client_calls
from sql.vocabulary import RunStatus

routes = Blueprint("submit", __name__)


@routes.post("/threads/<thread_id>/runs/<run_id>/submit_tool_outputs")
def submit(thread_id: str, run_id: str) -> Response:
    """Hands in the outputs of all open calls of the client's; the run has left `requires_action` when this answers."""
    body = read_body(SubmitBody, exists=lambda: require(thread_id, run_id))
    check_ids(thread=thread_id, run=run_id)
    asked = resend.asked("runs.submit_tool_outputs", counted=False, exists=lambda: require(thread_id, run_id))

    def work(transaction: Transaction) -> RunRow:
        if asked.earlier(transaction) is not None:
            return shown(transaction, thread_id, run_id)
        row, calls = locked_run(transaction, thread_id, run_id, client_calls(run_id))
        if not is_resubmission(body.tool_outputs, calls):
            check(row, body.tool_outputs, calls)
            accept(transaction, run_id, body.tool_outputs)
        asked.remember(transaction, run_id)
        return shown(transaction, thread_id, run_id)

    row = database().write(work)
    services().notifier.hurry()
    if body.stream:
        calls = database().read_one(client_calls(run_id))
        return stream_of(run_id, answered=round_of(body.tool_outputs, calls))
    return answer(run_object(row))


def round_of(outputs: Sequence[ToolOutput], calls: Sequence[ClientCall]) -> int:
    """The round that the outputs answer: all of them were accepted for one."""
    submitted = {one.tool_call_id for one in outputs}
    return next(call.round for call in calls if call.tool_call_id in submitted)


def is_resubmission(outputs: Sequence[ToolOutput], calls: Sequence[ClientCall]) -> bool:
    """Whether the outputs equal, as a set, those already accepted for one batch of the run."""
    submitted = {one.tool_call_id: one.output for one in outputs}
    if not submitted or len(submitted) != len(outputs):
        return False
    rounds = {call.round for call in calls if call.tool_call_id in submitted}
    if len(rounds) != 1:
        return False
    accepted = {
        call.tool_call_id: text_of(call.output, call.key_id) for call in calls if call.round in rounds and call.answered
    }
    return accepted == submitted


def check(row: RunRow, outputs: Sequence[ToolOutput], calls: Sequence[ClientCall]) -> None:
    """Raises unless the run waits for exactly these calls, each once."""
    status = wire_status(row)
    if status != RunStatus.REQUIRES_ACTION:
        raise errors.OutputsNotAwaited(status=status)
    expected = [call.tool_call_id for call in calls if not call.settled]
    got = [one.tool_call_id for one in outputs]
    if sorted(expected) != sorted(got):
        raise errors.OutputsMismatch(param="tool_outputs", expected=expected, got=got)


def accept(transaction: Transaction, run_id: str, outputs: Sequence[ToolOutput]) -> None:
    """Stores the outputs, answers the calls with them and wakes the run."""
    payloads = [new_payload(one.output) for one in outputs]
    transaction.last(
        insert_payloads(payloads),
        answer_calls(run_id, [one.tool_call_id for one in outputs], [one.id for one in payloads]),
        complete_steps([run_id]),
        wake_runs([run_id], fruitful=True),
    )
