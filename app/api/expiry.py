"""Expiry on read: a run whose time is up ends by whoever looks first, in one guarded update."""

from collections.abc import Sequence

from app.api.services import database, services
from app.database import Database, Notifier, Transaction
from sql.ledger import LockedRun, RunEnd, ending, lock_runs
from sql.runs import RunRow
from sql.threads import ActiveRun
from sql.vocabulary import RunStatus


def end_overdue(rows: Sequence[RunRow]) -> bool:
    """Ends those of the runs whose time is up; True when some were, so that they must be read again."""
    return end_overdue_in(database(), services().notifier, rows)


def end_overdue_in(database: Database, notifier: Notifier, rows: Sequence[RunRow]) -> bool:
    """The same outside of a request."""
    ids = [row.id for row in rows if row.overdue]
    if not ids:
        return False

    def work(transaction: Transaction) -> None:
        locked: list[LockedRun] = transaction.one(lock_runs(ids))
        transaction.commit(*ending(expired(locked)))

    database.write(work)
    notifier.hurry()
    return True


def expired(locked: Sequence[LockedRun]) -> list[RunEnd]:
    """Those of locked runs that end because their time is up."""
    return [RunEnd(run.id, RunStatus.EXPIRED) for run in locked if run.active and run.expired]


def end_if_overdue(transaction: Transaction, active: ActiveRun) -> bool:
    """Whether a thread's run is active no more: ends it first, if its time is up."""
    if not active.overdue:
        return False
    locked: list[LockedRun] = transaction.one(lock_runs([active.id]))
    transaction.all(*ending(expired(locked)))
    return all(run.expired or not run.active for run in locked)
