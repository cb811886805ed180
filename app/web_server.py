"""gunicorn's configuration for `counterfoil web`: processes with threads, and an orderly end."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import TYPE_CHECKING, Any

from app import telemetry
from app.settings import Settings

STREAM_THREADS = 500

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

settings = Settings.from_environment(os.environ)

wsgi_app = "app:create_app()"
bind = f"[{settings.host}]:{settings.port}" if ":" in settings.host else f"{settings.host}:{settings.port}"
workers = settings.web_concurrency
worker_class = "app.web_worker.Worker"
# A stream occupies a thread that waits; the others stay free for calls (docs/decisions/streams-in-threads.md).
threads = settings.web_threads + STREAM_THREADS
timeout = 60  # a worker process that does not even beat for so long is replaced
graceful_timeout = 12 if settings.drain_s is None else max(1, int(settings.drain_s))
keepalive = 5
limit_request_line = 8190  # any id may come in a path; longer ones are nobody's
limit_request_fields = 200
limit_request_field_size = 32768  # so that a key that is too long is told so in the API's words
control_socket_disable = True
proc_name = "counterfoil-web"
# Heartbeats off the disk; gunicorn makes unnamed files there.
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None  # noqa: PTH112  # nosec B108
logconfig_dict: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "app.logs.formatter", "service": "web"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json"}},
    "root": {"level": "INFO", "handlers": ["stderr"]},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["stderr"], "propagate": False},
        "gunicorn.access": {"level": "WARNING", "handlers": [], "propagate": False},
    },
}


def post_fork(arbiter: Arbiter, worker: Worker) -> None:
    """Start exporting telemetry here: its threads would not survive the fork."""
    telemetry.configure("web")


def worker_exit(arbiter: Arbiter, worker: Worker) -> None:
    """Send what is left of it."""
    telemetry.shut_down()


def when_ready(arbiter: Arbiter) -> None:
    """Make a second SIGTERM mean now: gunicorn itself would go on waiting for the first."""
    asked = False

    def on_term(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            arbiter.kill_workers(signal.SIGKILL)
            os._exit(0)
        asked = True
        arbiter.signal(number, frame)

    signal.signal(signal.SIGTERM, on_term)


def post_worker_init(worker: Worker) -> None:
    """Make SIGTERM also end open streams in order, shortly before their threads are given up."""
    from app.api.stream.serve import close_within  # noqa: PLC0415 - only a worker process serves streams

    def on_term(number: int, frame: FrameType | None) -> None:
        close_within(graceful_timeout)
        worker.handle_exit(number, frame)

    signal.signal(signal.SIGTERM, on_term)
    signal.siginterrupt(signal.SIGTERM, False)
