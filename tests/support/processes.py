"""Starts the product's own processes for tests, waits for conditions, and never leaves one behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.error import URLError
from urllib.request import urlopen

import psycopg

T = TypeVar("T")
ROOT: Final = Path(__file__).resolve().parents[2]
LIMIT_S: Final = 60.0  # for machines under load; nothing waits so long when all is well


def wait_until(condition: Callable[[], T], *, limit_s: float = LIMIT_S, what: str = "the condition") -> T:
    """Ask again and again until the answer is true, and return it; AssertionError after `limit_s`."""
    give_up = time.monotonic() + limit_s
    while not (answer := condition()):
        assert time.monotonic() < give_up, f"{what} did not come true within {limit_s} s"
        time.sleep(0.02)
    return answer


def free_port() -> int:
    """A port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Process:
    """One started process and its log; its children are in its process group and end with it."""

    def __init__(self, command: Sequence[str], environ: dict[str, str], log: Path, cwd: Path) -> None:
        self.log = log
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                command,
                cwd=cwd,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process number, also its group's."""
        return self.popen.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.popen.poll() is None

    def log_text(self) -> str:
        """What it has written to stdout and stderr so far."""
        return self.log.read_text(errors="replace")

    def terminate(self) -> None:
        """SIGTERM: end in order."""
        self.popen.send_signal(signal.SIGTERM)

    def stop(self, *, limit_s: float = LIMIT_S) -> int:
        """SIGTERM, then wait; returns the exit code."""
        self.terminate()
        return self.wait(limit_s=limit_s)

    def wait(self, *, limit_s: float = LIMIT_S) -> int:
        """Wait for the end; returns the exit code."""
        return self.popen.wait(limit_s)

    def kill(self) -> None:
        """SIGKILL to it and its children, as a crash or a killed container would; returns when it is gone."""
        try:
            os.killpg(self.pid, signal.SIGCONT)  # macOS keeps a stopped process until then
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        self.popen.wait(LIMIT_S)

    def stall(self) -> None:
        """SIGSTOP: it holds everything and does nothing, until `resume`."""
        os.killpg(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `stall`."""
        os.killpg(self.pid, signal.SIGCONT)

    def await_ready(self, ready: Callable[[], object], what: str) -> None:
        """Wait until `ready`; AssertionError with its log when it ends or takes too long."""
        give_up = time.monotonic() + LIMIT_S
        while not ready():
            assert self.running, f"{what} ended with {self.popen.returncode}:\n{self.log_text()[-4000:]}"
            assert time.monotonic() < give_up, f"{what} was not ready in time:\n{self.log_text()[-4000:]}"
            time.sleep(0.02)


class WebProcess(Process):
    """`counterfoil web`, with the address that it serves."""

    url: str = ""


P = TypeVar("P", bound=Process)


class Processes:
    """Starts processes whose home and logs lie in `folder`; leaving the context kills those still running.

    Keyword arguments are environment variables for the process: `LEASE_S=0.5`; None unsets. Of our own
    environment only what `INHERITED` lists is passed on.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self.started):
            process.kill()

    def start_web(self, dsn: str, **env: object) -> WebProcess:
        """Start `counterfoil web` on a free port; returns when ready. Its `url` has no slash at the end."""
        port = free_port()
        env = {"DATABASE_URL": dsn, "HOST": "127.0.0.1", "PORT": port, "WEB_CONCURRENCY": 1, **env}
        process = self._start(WebProcess, "web", [sys.executable, "-m", "app.cli", "web"], env)
        process.url = f"http://127.0.0.1:{env['PORT']}"
        process.await_ready(lambda: answers(f"{process.url}/readyz"), "web")
        return process

    def start_worker(self, dsn: str, **env: object) -> Process:
        """Start `python -m worker`; returns when it has entered itself into `counterfoil.workers`."""
        process = self._start(Process, "worker", [sys.executable, "-m", "worker"], {"DATABASE_URL": dsn, **env})
        with psycopg.connect(dsn, autocommit=True) as connection:
            seen = "select from counterfoil.workers where pid = %s and stopped_at is null"
            process.await_ready(lambda: connection.execute(seen, (process.pid,)).fetchone() is not None, "worker")
        return process

    def start(self, name: str, *command: str, ready: Callable[[], object] | None = None, **env: object) -> Process:
        """Start `python ARGS` of the project, such as `start("sandbox", "-m", "sandbox", "--port", "0")`."""
        process = self._start(Process, name, [sys.executable, *command], env)
        if ready is not None:
            process.await_ready(ready, name)
        return process

    def counterfoil(self, *args: str, **env: object) -> subprocess.CompletedProcess[str]:
        """Run `counterfoil ARGS` to its end; its output is captured as text."""
        return subprocess.run(
            [sys.executable, "-m", "app.cli", *args],
            cwd=ROOT,
            env=self._environ(env),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT_S,
            check=False,
        )

    def _start(self, kind: type[P], name: str, command: Sequence[str], env: dict[str, object]) -> P:
        log = self.folder / f"{name}-{len(self.started)}.log"
        process = kind(command, self._environ(env), log, ROOT)
        self.started.append(process)
        return process

    def _environ(self, env: dict[str, object]) -> dict[str, str]:
        """Our environment without the product's variables, then those of the call."""
        clean = {name: value for name, value in os.environ.items() if name in INHERITED or name.startswith("LC_")}
        chosen = {
            "COUNTERFOIL_HOME": self.folder / "home",
            "COUNTERFOIL_CONFIG": self.folder / "counterfoil.toml",
            **env,
        }
        return clean | {name: str(value) for name, value in chosen.items() if value is not None}


INHERITED: Final = ("PATH", "HOME", "LANG", "TMPDIR", "USER", "VIRTUAL_ENV", "COVERAGE_PROCESS_START", "TZ")


def answers(url: str) -> bool:
    """Whether a GET of `url` is answered by 200."""
    try:
        with urlopen(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False
