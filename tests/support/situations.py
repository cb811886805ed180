"""Named situations of the ledger, `tests/situations/*.sql`: one story each, loaded as it stands.

A test module that wants them says `situation = situations.situation`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

FOLDER: Final = Path(__file__).resolve().parents[1] / "situations"
NAMES: Final = tuple(sorted(path.stem for path in FOLDER.glob("*.sql")))
DEFAULT_SANDBOX: Final = "http://127.0.0.1:8091"


@dataclass(frozen=True)
class Situation:
    """A loaded situation: the newest run of its thread and that run's call; `elder` is the run before, if any."""

    name: str
    run_id: str
    tool_call_id: str
    elder: tuple[str, str] | None

    @property
    def key(self) -> tuple[str, str]:
        """(run, call)."""
        return self.run_id, self.tool_call_id


Load = Callable[..., Situation]


@pytest.fixture
def situation(connection: psycopg.Connection) -> Load:
    """Loads a situation by name into `database`; sandbox: where its lookups go instead of port 8091."""

    def load(name: str, *, sandbox: str = DEFAULT_SANDBOX) -> Situation:
        text = (FOLDER / f"{name}.sql").read_text(encoding="utf-8").replace(DEFAULT_SANDBOX, sandbox)
        before = max_seq(connection)
        connection.execute(text.encode())
        runs = connection.execute("select id from counterfoil.runs where seq > %s order by seq", (before,)).fetchall()
        keys = [(run, call_of(connection, run)) for (run,) in runs]
        return Situation(name, *keys[-1], keys[0] if len(keys) > 1 else None)

    return load


def max_seq(connection: psycopg.Connection) -> int:
    """The newest run's place."""
    return int(one(connection, "select coalesce(max(seq), 0) from counterfoil.runs"))


def call_of(connection: psycopg.Connection, run_id: str) -> str:
    """The run's only call, or nothing."""
    found = one(connection, "select min(tool_call_id) from counterfoil.tool_calls where run_id = %s", run_id)
    return str(found or "")


def one(connection: psycopg.Connection, text: str, *params: object) -> Any:
    """The first column of the first row."""
    row = connection.execute(text.encode(), params).fetchone()
    assert row is not None
    return row[0]
