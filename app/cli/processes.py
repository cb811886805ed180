"""`counterfoil web`, `worker`, `sandbox`: each becomes the process it names.

With DATABASE_URL the command is replaced by it. Without, it stays as its parent to hold the embedded
Postgres, passes signals on, and ends as it ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import click

from app.cli.database import embedded_if_unset, read_settings
from app.settings import Settings

WEB: Final = (sys.executable, "-m", "gunicorn", "--config", "python:app.web_server")
WORKER: Final = (sys.executable, "-m", "worker")
SANDBOX: Final = (sys.executable, "-P", "-m", "sandbox")
ROOT: Final = Path(__file__).resolve().parents[2]  # processes run there: names like `app` are common elsewhere


@click.command(help="Serve the agent API and the console.")
def web() -> None:
    """Become gunicorn with the application."""
    run(WEB, read_settings())


@click.command(help="Drive runs.")
def worker() -> None:
    """Become the worker."""
    run(WORKER, read_settings())


@click.command(
    help="Serve the outside world for demo and tests.",
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sandbox(arguments: tuple[str, ...]) -> None:
    """Become the sandbox, which reads its own options."""
    replace((*SANDBOX, *arguments))


def run(command: Sequence[str], settings: Settings) -> NoReturn:
    """Become `command`, or hold the embedded Postgres for it."""
    os.environ |= places_of(settings)
    os.chdir(ROOT)
    if settings.database_url is not None:
        replace(command)
    with embedded_if_unset(settings) as server:
        assert server is not None
        environ = {**os.environ, "DATABASE_URL": server.dsn()}
        code = shepherd(command, environ, pass_fds=(server.share_with_child(),))
    sys.exit(code)


def places_of(settings: Settings) -> dict[str, str]:
    """Variables that name places, from wherever a process runs."""
    return {"COUNTERFOIL_HOME": str(settings.home), "COUNTERFOIL_CONFIG": str(settings.config)}


def replace(command: Sequence[str]) -> NoReturn:
    """Replace this process by `command`."""
    sys.stdout.flush()
    os.execv(command[0], list(command))


def shepherd(command: Sequence[str], environ: dict[str, str], *, pass_fds: Sequence[int]) -> int:
    """Run `command` as a child to its end, passing SIGTERM and SIGINT on; its exit code."""
    child: subprocess.Popen[bytes] | None = None
    pending: list[int] = []

    def pass_on(number: int, _frame: FrameType | None) -> None:
        if child is None:
            pending.append(number)
        else:
            child.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    child = subprocess.Popen(command, env=environ, pass_fds=pass_fds, start_new_session=True)
    for number in pending:
        child.send_signal(number)
    code = child.wait()
    return code if code >= 0 else 128 - code
