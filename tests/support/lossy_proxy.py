"""A proxy on the loopback that loses requests and answers: what a client sees of a network that breaks."""

from __future__ import annotations

import http.client
import itertools
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

# Says of a request, by its number (from 1), method and path, whether it is lost on its way or on its way back.
Loses = Callable[[int, str, str], bool]


def nothing(_number: int, _method: str, _path: str) -> bool:
    """Loses none."""
    return False


class LossyProxy:
    """Forwards HTTP to `upstream` until it is left. lost: answers that never arrived, though the request was done."""

    def __init__(self, upstream: str, *, answers: Loses = nothing, requests: Loses = nothing) -> None:
        self._place = urlsplit(upstream)
        self._count = itertools.count(1)
        self.answers = answers
        self.requests = requests
        self.lost: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self) -> None:
                proxy.forward(self)

            do_GET = do_POST = do_DELETE = forward  # noqa: N815 - names that the library asks for

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def forward(self, asked: BaseHTTPRequestHandler) -> None:
        """One request: passed on and answered, unless it is to be lost."""
        number = next(self._count)
        body = asked.rfile.read(int(asked.headers.get("Content-Length") or 0))
        if self.requests(number, asked.command, asked.path):
            self._hang_up(asked)
            return
        connection = http.client.HTTPConnection(self._place.hostname or "", self._place.port, timeout=30)
        headers = {name: value for name, value in asked.headers.items() if name.lower() not in {"host", "connection"}}
        connection.request(asked.command, asked.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        if self.answers(number, asked.command, asked.path):
            self.lost.append(f"{asked.command} {asked.path}")
            self._hang_up(asked)
            return
        asked.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                asked.send_header(name, value)
        asked.send_header("Content-Length", str(len(content)))
        asked.end_headers()
        asked.wfile.write(content)

    def _hang_up(self, asked: BaseHTTPRequestHandler) -> None:
        asked.close_connection = True
        asked.connection.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops."""
        self._server.shutdown()
        self._server.server_close()
