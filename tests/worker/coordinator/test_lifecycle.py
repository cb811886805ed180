"""The machines stand once: what the database refuses and what the coordinator believes are the same."""

import psycopg
import pytest

from sql.vocabulary import AttemptState, CallState, RunStatus
from tests.support.ledger import Book, says
from tests.worker.builders import claim
from worker.coordinator import lifecycle


@pytest.mark.parametrize(
    ("table", "columns", "rows"),
    [
        ("run_transitions", "from_state, to_state", lifecycle.run_transitions()),
        ("call_transitions", "ledger, from_state, to_state", lifecycle.call_transitions()),
        ("attempt_transitions", "from_state, to_state", lifecycle.attempt_transitions()),
    ],
)
def test_the_database_holds_the_same_machine(
    connection: psycopg.Connection, table: str, columns: str, rows: list[tuple[str, ...]]
) -> None:
    found = connection.execute(f"select {columns} from counterfoil.{table}").fetchall()
    assert sorted(found) == sorted(tuple(str(word) for word in row) for row in rows)


def test_every_state_has_its_line() -> None:
    assert set(lifecycle.RUN_TRANSITIONS) == set(RunStatus)
    assert set(lifecycle.CALL_TRANSITIONS) == set(CallState)
    assert set(lifecycle.ATTEMPT_TRANSITIONS) == set(AttemptState)


def test_what_has_ended_stays_so() -> None:
    assert {"completed", "failed", "incomplete", "cancelled", "expired"} == lifecycle.ENDED
    assert {"succeeded", "failed", "cancelled"} == lifecycle.SETTLED


def test_attempts_move_only_towards_knowledge() -> None:
    """Nothing is ever open again, and nothing that is known becomes unknown."""
    known = lifecycle.NOTHING_HAPPENED | {AttemptState.SUCCEEDED}
    for old, following in lifecycle.ATTEMPT_TRANSITIONS.items():
        assert AttemptState.OPEN not in following
        assert old not in known or set(following) <= {AttemptState.SUCCEEDED}, "only proof of an effect outweighs"


def test_postgres_refuses_what_is_not_listed(database: str) -> None:
    book = Book(database)
    run = book.new_run(says())
    claim(book)
    book.raw.execute("update counterfoil.runs set status = 'completed', ended_at = now() where id = %s", (run,))
    with pytest.raises(psycopg.errors.CheckViolation, match="cannot go from completed to in_progress"):
        book.raw.execute("update counterfoil.runs set status = 'in_progress', ended_at = null where id = %s", (run,))
    assert book.run(run).status == "completed"
    book.close()
