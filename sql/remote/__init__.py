"""Statements about runs whose state a remote service keeps."""

from sql.statement import Statement, scalar, statement


def thread_of(run_id: str) -> Statement[str | None]:
    """The remote thread that a run is on; None before there is one."""
    return statement("remote.thread_of", scalar, run_id=run_id)


def keep_thread(run_id: str, thread_id: str) -> Statement[str]:
    """Keeps the remote thread of a run, and answers the one that is kept: the first."""
    return statement("remote.keep_thread", scalar, run_id=run_id, thread_id=thread_id)
