"""gunicorn's worker with threads, whose own refusals have the envelope of the API's errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.util import write_nonblock
from gunicorn.workers.gthread import ThreadWorker
from pydantic_core import to_json

from app import errors
from sql.ids import new_id

if TYPE_CHECKING:
    from socket import socket

# Of a request that never becomes one: what cannot be parsed is 400, as in the API; these two say more.
REFUSALS: Final[dict[type[Exception], tuple[int, str]]] = {
    LimitRequestLine: (414, "The request's address is too long."),
    LimitRequestHeaders: (431, "The request's headers are too large."),
}


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn says no types
    """Answers what it cannot parse as the API would, where gunicorn sends a page."""

    def handle_error(self, req: Any, client: socket, addr: Any, exc: Exception) -> None:
        """Say what is wrong, and close."""
        error: errors.ApiError = errors.ServerError()
        status = error.status
        if isinstance(exc, ParseException):
            status, problem = REFUSALS.get(type(exc), (400, "The request is no valid HTTP."))
            error = errors.BadRequest(problem=problem)
            self.log.warning("request_refused: %s", type(exc).__name__)
        else:
            self.log.exception("request_failed")
        body = to_json(error.envelope())
        head = (
            f"HTTP/1.1 {status} \r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"x-request-id: {new_id('req')}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            write_nonblock(client, head.encode() + body)
        except OSError:
            self.log.debug("the client was gone")
