"""Alembic's entry: everything in one transaction, the version table in schema counterfoil.

`sql.migrate` hands over its connection; the `alembic` command of a developer finds DATABASE_URL itself.
"""

import os

from alembic import context
from sql import migrate

connection = context.config.attributes.get("connection")
if connection is not None:
    migrate.run_in(connection)
elif context.is_offline_mode():
    migrate.print_offline()
else:
    engine = migrate.make_engine(os.environ["DATABASE_URL"])
    with engine.connect() as connection:
        migrate.run_in(connection)
