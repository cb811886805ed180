"""Builders of threads and runs by SQL, and what the ledger says of them: for tests without a web process."""

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.rows import namedtuple_row

from sql.execute import execute
from sql.ids import new_id
from sql.ledger import RunEnd, ending, lock_runs
from tests.support.processes import wait_until

PROJECT: Final = "proj_tests"
ENDED: Final = ("completed", "failed", "incomplete", "cancelled", "expired")


def call(tool: str, **arguments: Any) -> dict[str, Any]:
    """A tool call, for `asks`."""
    return {"name": tool, "arguments": arguments}


def asks(*calls: dict[str, Any]) -> dict[str, Any]:
    """A turn of the scripted model that asks for tools."""
    return {"tool_calls": list(calls)}


def says(text: str = "done {{outputs}}", *, delay_ms: int = 0) -> dict[str, Any]:
    """A turn of the scripted model that ends the run with a text."""
    return {"say": text, "delay_ms": delay_ms}


class Trace(NamedTuple):
    """What a test compares of a call: its state, and the states of its attempts in order."""

    state: str
    attempts: tuple[str, ...]


class Book:
    """One ledger under test: makes runs, and reads what became of them. `raw` runs SQL in autocommit mode."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.raw = psycopg.connect(dsn, autocommit=True)
        self.raw.execute("insert into counterfoil.projects (id, name) values (%s, %s)", (PROJECT, PROJECT))

    def close(self) -> None:
        """Close the connection."""
        self.raw.close()

    def reconnect(self) -> None:
        """A new connection, after the database was away."""
        self.raw.close()
        wait_until(self._connects, what="the database")
        self.raw = psycopg.connect(self.dsn, autocommit=True)

    def _connects(self) -> bool:
        try:
            psycopg.connect(self.dsn).close()
        except psycopg.OperationalError:
            return False
        return True

    # Making -----------------------------------------------------------------------------------------

    def new_thread(self) -> str:
        """An empty thread."""
        thread = new_id("thread")
        self.raw.execute("insert into counterfoil.threads (id, project_id) values (%s, %s)", (thread, PROJECT))
        return thread

    def new_run(
        self,
        *turns: dict[str, Any],
        thread: str | None = None,
        ledger: str = "enforce",
        ttl_s: float = 600,
        due_in_s: float = 0,
    ) -> str:
        """A queued run of the scripted model that plays these turns; workers are told of it."""
        thread = thread or self.new_thread()
        content = [{"type": "text", "text": {"value": json.dumps({"script": turns}), "annotations": []}}]
        row = self.raw.execute(
            "insert into counterfoil.messages (id, thread_id, role, content) values (%s, %s, 'user', %s) returning seq",
            (new_id("msg"), thread, json.dumps(content)),
        ).fetchone()
        assert row is not None
        run = new_id("run")
        self.raw.execute(
            "insert into counterfoil.runs (id, project_id, thread_id, assistant_id, correlation_id, model, input_seq,"
            " ledger, expires_at, due_at) values (%s, %s, %s, 'asst_1', 'corr_1', 'scripted', %s, %s,"
            " counterfoil.db_now() + make_interval(secs => %s), counterfoil.db_now() + make_interval(secs => %s))",
            (run, PROJECT, thread, row[0], ledger, ttl_s, due_in_s),
        )
        self.raw.execute("notify counterfoil")
        return run

    def end(self, run: str, status: str) -> None:
        """End a run as its client's cancel does; workers are told of it."""
        with self.raw.transaction():
            execute(self.raw, lock_runs([run]))
            for statement in ending([RunEnd(run, status)]):
                execute(self.raw, statement)
        self.raw.execute("notify counterfoil")

    # Reading ----------------------------------------------------------------------------------------

    def rows(self, query: str, *params: object) -> list[Any]:
        """Rows of a query, their columns by name."""
        with self.raw.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(query, params).fetchall()

    def run(self, run: str) -> Any:
        """The row of a run."""
        return self.rows("select * from counterfoil.runs where id = %s", run)[0]

    def calls(self, run: str) -> list[Any]:
        """The rows of a run's calls, in order."""
        return self.rows("select * from counterfoil.tool_calls where run_id = %s order by round, index", run)

    def attempts(self, run: str) -> list[Any]:
        """The rows of a run's attempts, in order."""
        return self.rows("select * from counterfoil.attempts where run_id = %s order by tool_call_id, number", run)

    def traces(self, run: str) -> list[Trace]:
        """The states of a run's calls and of their attempts, in order."""
        attempts = self.attempts(run)
        return [
            Trace(c.state, tuple(a.state for a in attempts if a.tool_call_id == c.tool_call_id))
            for c in self.calls(run)
        ]

    def evidence(self, run: str) -> list[tuple[str, str]]:
        """(kind, says) of all evidence of a run, in order."""
        found = self.rows("select kind, says from counterfoil.evidence where run_id = %s order by id", run)
        return [(row.kind, row.says) for row in found]

    def output(self, run: str, index: int = 0) -> Any:
        """The output of a run's call, as JSON."""
        found = self.rows(
            "select p.bytes from counterfoil.tool_calls as c join counterfoil.payloads as p on p.id = c.output"
            " where c.run_id = %s order by c.round, c.index",
            run,
        )
        return json.loads(bytes(found[index].bytes))

    def events(self, run: str) -> list[str]:
        """What became of a run, in order."""
        return [
            r.event for r in self.rows("select event from counterfoil.run_events where run_id = %s order by id", run)
        ]

    # Waiting ----------------------------------------------------------------------------------------

    def await_that(self, condition: Callable[[], object], run: str) -> None:
        """Wait for a condition; AssertionError with the run's history when it does not come true."""
        try:
            wait_until(condition, limit_s=30)
        except AssertionError:
            calls = [(c.tool, c.reason, c.not_before) for c in self.calls(run)]
            told = f"{self.run(run)}\n{self.traces(run)} {calls}\n{self.events(run)}\n{self.evidence(run)}"
            raise AssertionError(told) from None

    def await_run(self, run: str, *statuses: str) -> None:
        """Wait until the run has one of these statuses, or has ended when none is named."""
        self.await_that(lambda: self.run(run).status in (statuses or ENDED), run)

    def await_call(self, run: str, *states: str, index: int = 0) -> None:
        """Wait until the run's call at `index` has one of these states."""
        self.await_that(lambda: any(c.state in states for c in self.calls(run)[index : index + 1]), run)

    def await_rest(self, run: str) -> None:
        """Wait until the run has ended, or until a person is needed for it."""
        self.await_that(
            lambda: self.run(run).status in ENDED or any(c.state == "needs_operator" for c in self.calls(run)), run
        )
