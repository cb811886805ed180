"""Steps of a run: one for each message written and one for each batch of calls."""

from collections.abc import Sequence

from flask import Blueprint, Response

from app.api.answers import answer
from app.api.lists import asked_page, find_page, list_object
from app.api.objects import Step, step_object
from app.api.paths import is_id, missing
from app.api.runs import require as require_run
from app.api.services import database, project
from sql.statement import Statement
from sql.steps import StepRow, calls_of_rounds, page_steps, read_steps

routes = Blueprint("steps", __name__)


@routes.get("/threads/<thread_id>/runs/<run_id>/steps")
def index(thread_id: str, run_id: str) -> Response:
    """The run's steps."""
    require_run(thread_id, run_id)
    page = asked_page()

    def read(ids: Sequence[str]) -> Statement[list[StepRow]]:
        return read_steps(project(), thread_id, run_id, ids)

    rows, more = find_page(page, page.scan(page_steps, project(), thread_id, run_id), read, lambda: None)
    return answer(list_object([dict(step) for step in shown(run_id, rows)], more))


@routes.get("/threads/<thread_id>/runs/<run_id>/steps/<step_id>")
def retrieve(thread_id: str, run_id: str, step_id: str) -> Response:
    """One step."""
    require_run(thread_id, run_id)
    rows: list[StepRow] = []
    if is_id(step_id):
        rows = database().read_one(read_steps(project(), thread_id, run_id, [step_id]))
    if not rows:
        raise missing("run_step", step_id)
    return answer(shown(run_id, rows)[0])


def shown(run_id: str, rows: list[StepRow]) -> list[Step]:
    """Steps as the wire shows them, with their calls."""
    rounds = [row.round for row in rows if row.type == "tool_calls"]
    calls = database().read_one(calls_of_rounds(run_id, rounds)) if rounds else []
    return [step_object(row, [call for call in calls if call.round == row.round]) for row in rows]
