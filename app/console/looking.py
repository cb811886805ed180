"""How pages read: all at once, in one round trip, read-only, and never longer than a person waits."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from psycopg import errors

from app.api.services import database
from app.database import Transaction
from sql.statement import Statement, no_rows

T = TypeVar("T")
STATEMENT_TIMEOUT_MS: Final = 2000
LOCK_TIMEOUT_MS: Final = 900
LIMITS: Final = Statement(
    "console_limits",
    f"select set_config('statement_timeout', '{STATEMENT_TIMEOUT_MS}', true),"
    f" set_config('lock_timeout', '{LOCK_TIMEOUT_MS}', true), set_config('transaction_read_only', 'on', true)",
    {},
    no_rows,
)


class TookTooLong(Exception):
    """The database took longer over a page than a person should wait."""


def look(*statements: Statement[Any]) -> list[Any]:
    """What the statements read. Raises `TookTooLong`, and `Unavailable` when there is no database."""

    def work(transaction: Transaction) -> list[Any]:
        transaction.first(LIMITS)
        try:
            return transaction.commit(*statements)
        except (errors.QueryCanceled, errors.LockNotAvailable) as error:
            # psycopg takes for prepared what the broken pipeline never reached, and would fail with it for ever.
            transaction._connection.close()
            raise TookTooLong from error

    return database().write(work)


def look_at(statement: Statement[T]) -> T:
    """What one statement reads."""
    found: T = look(statement)[0]
    return found
