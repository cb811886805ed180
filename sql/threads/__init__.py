"""Statements about threads, each within one project."""

from dataclasses import dataclass

from sql.statement import Statement, no_rows, row_of, scalar, statement


@dataclass(frozen=True)
class ThreadRow:
    """A thread as stored; `created_at` in Unix seconds."""

    id: str
    created_at: int
    metadata: dict[str, str]


@dataclass(frozen=True)
class ActiveRun:
    """The run that a thread is busy with; `overdue` once its time is up though nobody has ended it yet."""

    id: str
    overdue: bool


def insert_thread(id: str, project_id: str, metadata: str) -> Statement[None]:
    """Stores a new thread; metadata is JSON text."""
    return statement("threads.insert_thread", no_rows, id=id, project_id=project_id, metadata=metadata)


def read_thread(id: str, project_id: str) -> Statement[ThreadRow | None]:
    """A thread; None when deleted, another project's or unknown."""
    return statement("threads.read_thread", row_of(ThreadRow), id=id, project_id=project_id)


def lock_thread(id: str, project_id: str) -> Statement[str | None]:
    """Locks a thread until the transaction ends; None when there is none."""
    return statement("threads.lock_thread", scalar, id=id, project_id=project_id)


def active_run(id: str) -> Statement[ActiveRun | None]:
    """The thread's active run, to be read under the thread's lock."""
    return statement("threads.active_run", row_of(ActiveRun), id=id)


def update_thread(id: str, project_id: str, metadata: str | None) -> Statement[None]:
    """Replaces the metadata; None leaves them."""
    return statement("threads.update_thread", no_rows, id=id, project_id=project_id, metadata=metadata)


def delete_thread(id: str, project_id: str) -> Statement[str | None]:
    """Marks a thread as deleted and answers its id."""
    return statement("threads.delete_thread", scalar, id=id, project_id=project_id)


def deleted_lately(id: str, project_id: str) -> Statement[str | None]:
    """The id, if the thread was deleted within 15 minutes."""
    return statement("threads.deleted_lately", scalar, id=id, project_id=project_id)


def thread_exists(thread_id: str) -> Statement[bool]:
    """Whether there is, or was, such a thread, whoever's it is."""
    return statement("threads.thread_exists", scalar, thread_id=thread_id)
