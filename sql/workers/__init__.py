"""Statements about worker processes."""

from sql.statement import Statement, scalar, statement


def is_worker_there(*, pid: int) -> Statement[bool]:
    """Whether a worker process of this number, on any host, has entered itself and not left."""
    return statement("workers.is_worker_there", scalar, pid=pid)
