"""The ledger: all tables of the first version, and the state machines.

Revision ID: 0001
Revises:
"""

from pathlib import Path

from sqlalchemy import text

from alembic import op
from worker.coordinator import lifecycle

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Makes the tables by raw SQL and seeds the machines from the one place where they stand."""
    connection = op.get_bind()
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    connection.execution_options(no_parameters=True).exec_driver_sql(script)
    for table, columns, rows in (
        ("run_transitions", ("from_state", "to_state"), lifecycle.run_transitions()),
        ("call_transitions", ("ledger", "from_state", "to_state"), lifecycle.call_transitions()),
        ("attempt_transitions", ("from_state", "to_state"), lifecycle.attempt_transitions()),
    ):
        names = ", ".join(columns)
        places = ", ".join(f":{name}" for name in columns)
        insert = text(f"insert into counterfoil.{table} ({names}) values ({places})")
        connection.execute(insert, [dict(zip(columns, row, strict=True)) for row in rows])
