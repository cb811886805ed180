"""`counterfoil up`: all of it on this machine, in one terminal."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Final

import click

from app.cli.database import embedded_if_unset, read_settings
from app.cli.errors import CONFLICT, CommandError
from app.cli.ports import free_port_from, shown_host, url_of
from app.cli.processes import SANDBOX, WEB, WORKER, places_of
from app.cli.supervisor import Part, Supervisor, ask, is_answered
from app.settings import Settings

if TYPE_CHECKING:
    from rich.console import Console

SANDBOX_PORT: Final = 8091
PROJECT: Final = "default"

WELCOME: Final = """
Counterfoil is running.

  Agent API   {web}/v1
  Console     {web}/console/ (log in as {operator})
  Sandbox     {sandbox}/ (tickets, mail and billing, with their audit trails)
  API key     {key} (kept in {run}/api_key)
  Logs        {run}/*.log

Three things to try, in another terminal:

1. A turn whose model opens a ticket:
   curl -sS {web}/v1/threads/runs -H "Authorization: Bearer {key}" \\
        -H "Content-Type: application/json" -d @{run}/first_turn.json
2. The ticket, as the ticket system tells it:
   curl -sS {sandbox}/tickets
3. The founding incident, coordinated as it was and with the ledger:
   ./start demo

Ctrl-C stops everything; the data stay.
"""
SCRIPT: Final = [
    {"tool_calls": [{"name": "create_ticket", "arguments": {"title": "The lift is stuck"}}]},
    {"say": "I have opened a ticket."},
]


@click.command(help="Run everything here: Postgres, web, worker, sandbox.")
def up() -> None:
    """Start all parts, say where they are, and stop them in order at Ctrl-C or SIGTERM; data stay."""
    from rich.console import Console  # noqa: PLC0415

    settings = read_settings()
    progress = Console(stderr=True, highlight=False)
    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)  # also where a shell started us with it ignored, by `&`
    with only_one(settings.home) as run_folder, Supervisor() as parts:
        try:
            serve(settings, run_folder, parts, progress)
        except KeyboardInterrupt:
            progress.print("\nStopping; once more to stop at once.")


def serve(settings: Settings, run_folder: Path, parts: Supervisor, progress: Console) -> None:
    """Start the parts one after the other, print what a person needs, and watch them until one ends."""
    from sql import migrate  # noqa: PLC0415

    progress.print("Starting Counterfoil …")
    server = parts.enter(embedded_if_unset(settings))
    dsn = settings.database_url or (server.dsn() if server else "")
    parts.pass_fds = (server.share_with_child(),) if server else ()
    migrate.migrate_up(dsn)
    key = kept_key(dsn, run_folder / "api_key")
    operator = kept_operator(dsn, run_folder / "operator")
    port = take_port("web", settings.host, settings.port, progress)
    sandbox_port = take_port("sandbox", "127.0.0.1", SANDBOX_PORT, progress)
    sandbox_url = url_of("127.0.0.1", sandbox_port)
    environ = {
        **os.environ,
        "DATABASE_URL": dsn,
        **places_of(settings),
        "PORT": str(port),
        "SANDBOX_URL": os.environ.get("SANDBOX_URL") or sandbox_url,
    }
    web_url = url_of(shown_host(settings.host), port)
    sandbox = [*SANDBOX, "--port", str(sandbox_port)]
    parts.start(Part("sandbox", sandbox, environ, run_folder, lambda _: is_answered(f"{sandbox_url}/healthz")))
    parts.start(Part("worker", WORKER, environ, run_folder, lambda pid: is_registered(dsn, pid)))
    parts.start(Part("web", WEB, environ, run_folder, lambda _: is_answered(f"{web_url}/readyz")))
    parts.await_ready()
    write_first_turn(web_url, key, run_folder / "first_turn.json")
    say_where(web_url, sandbox_url, key, operator, run_folder)
    parts.watch()


def say_where(web_url: str, sandbox_url: str, key: str, operator: str, run_folder: Path) -> None:
    """Print addresses, the key and three things to try, to stdout."""
    click.echo(WELCOME.format(web=web_url, sandbox=sandbox_url, key=key, operator=operator, run=shown(run_folder)))
    sys.stdout.flush()


def write_first_turn(web_url: str, key: str, file: Path) -> None:
    """Make an assistant for the first turn and write the request that plays it, where they are not there yet."""
    with suppress(OSError, ValueError, KeyError, CommandError):
        ask(f"{web_url}/v1/assistants/{json.loads(file.read_text())['assistant_id']}", key)
        return
    tools = [{"type": "function", "function": {"name": "create_ticket"}}]
    assistant = ask(f"{web_url}/v1/assistants", key, {"model": "scripted", "name": "First turn", "tools": tools})
    message = {"role": "user", "content": json.dumps({"script": SCRIPT})}
    turn = {"assistant_id": assistant["id"], "thread": {"messages": [message]}}
    file.write_text(json.dumps(turn, indent=2) + "\n")


def shown(path: Path) -> str:
    """The path as it is reached from here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Make SIGTERM what Ctrl-C is."""
    raise KeyboardInterrupt


@contextmanager
def only_one(home: Path) -> Iterator[Path]:
    """The folder of run files, `home/run`, held by one `up` at a time."""
    run_folder = home / "run"
    run_folder.mkdir(parents=True, exist_ok=True)
    with (run_folder / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            who = lock.read().strip() or "unknown"
            raise CommandError(f"it is running already for {home} (process {who})", CONFLICT) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield run_folder


def take_port(name: str, host: str, port: int, progress: Console) -> int:
    """The port, or the next free one, saying so."""
    taken = free_port_from(host, port)
    if port not in {taken, 0}:
        progress.print(f"Port {port} is taken; {name} takes {taken}.")
    return taken


def kept_key(dsn: str, file: Path) -> str:
    """An API key of the project `default`, made once and kept in a file of mode 0600."""
    import psycopg  # noqa: PLC0415

    from app.cli.keys import hash_of, make_key  # noqa: PLC0415
    from sql import keys  # noqa: PLC0415
    from sql.execute import execute  # noqa: PLC0415

    with psycopg.connect(dsn, autocommit=True) as connection:
        kept = file.read_text().strip() if file.exists() else ""
        if kept and execute(connection, keys.is_key_valid(sha256=hash_of(kept))):
            return kept
        key = make_key(connection, PROJECT)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(key + "\n")
    return key


def kept_operator(dsn: str, file: Path) -> str:
    """How to log in to the console, in words: an admin, made where there is nobody, kept in a file of mode 0600."""
    import psycopg  # noqa: PLC0415

    from app.cli.users import hash_of  # noqa: PLC0415
    from sql.execute import execute  # noqa: PLC0415
    from sql.users import any_user, insert_user  # noqa: PLC0415

    with psycopg.connect(dsn, autocommit=True) as connection:
        if execute(connection, any_user()):
            return f"admin, password {file.read_text().strip()}" if file.exists() else "an operator of `users list`"
        password = secrets.token_urlsafe(12)
        execute(connection, insert_user(name="admin", role="admin", password_hash=hash_of(password)))
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(password + "\n")
    return f"admin, password {password}"


def is_registered(dsn: str, pid: int) -> bool:
    """Whether the worker of this process number has entered itself."""
    import psycopg  # noqa: PLC0415

    from sql import workers  # noqa: PLC0415
    from sql.execute import execute  # noqa: PLC0415

    with psycopg.connect(dsn, autocommit=True) as connection:
        return execute(connection, workers.is_worker_there(pid=pid))
