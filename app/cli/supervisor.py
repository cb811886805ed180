"""Starts the parts of `counterfoil up`, watches them, and ends them in order."""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.request import ProxyHandler, Request, build_opener

from app.cli.errors import CommandError
from app.cli.processes import ROOT

T = TypeVar("T")
READY_LIMIT_S: Final = 60.0
STOP_LIMIT_S: Final = 90.0
PAUSE_S: Final = 0.05
LOG_LIMIT_BYTES: Final = 10_000_000
PR_SET_PDEATHSIG: Final = 1
ENDING: Final = (signal.SIGINT, signal.SIGTERM)
DIRECT: Final = build_opener(ProxyHandler({}))  # a proxy of the environment has no say on the loopback


@dataclass
class Part:
    """One child process. `is_ready` is asked with its process number."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    log_folder: Path
    is_ready: Callable[[int], bool]
    popen: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.log_folder / f"{self.name}.log"

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended."""
        return self.popen is not None and self.popen.poll() is None

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def check(self) -> None:
        """Raise `CommandError` when it has ended."""
        if not self.running:
            code = self.popen.returncode if self.popen else None
            raise CommandError(f"{self.name} ended ({code}): {self.last_words()} (its log: {self.log})")


class Supervisor:
    """Holds parts and other contexts; leaving it ends the parts, last started first, then the contexts."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.contexts = ExitStack()
        self.pass_fds: Sequence[int] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.stop()
        except KeyboardInterrupt:
            self.kill()
        finally:
            self.contexts.close()

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Enter a context that outlives the parts."""
        return self.contexts.enter_context(context)

    def start(self, part: Part) -> None:
        """Start a part; a session of its own keeps the terminal's Ctrl-C from it, so that we set the order."""
        if part.log.exists() and part.log.stat().st_size > LOG_LIMIT_BYTES:
            part.log.replace(part.log.with_suffix(".log.old"))
        # Python swallows what a handler raises amid a fork: Ctrl-C waits until the part is on the list of those to end.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            with part.log.open("ab") as output:
                part.popen = subprocess.Popen(
                    part.command,
                    cwd=ROOT,
                    env=dict(part.environ),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    pass_fds=self.pass_fds,
                    start_new_session=True,
                    preexec_fn=partial(prepare_child, before),  # noqa: PLW1509 - this process has no threads
                )
            self.parts.append(part)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def await_ready(self) -> None:
        """Wait until every part is; `CommandError` when one ends or takes too long."""
        give_up = time.monotonic() + READY_LIMIT_S
        for part in self.parts:
            while not (part.popen and part.is_ready(part.popen.pid)):
                part.check()
                if time.monotonic() > give_up:
                    raise CommandError(f"{part.name} is not ready after {READY_LIMIT_S:.0f} s: {part.last_words()}")
                time.sleep(PAUSE_S)

    def watch(self) -> None:
        """Return never: `CommandError` when a part ends by itself."""
        while True:
            for part in self.parts:
                part.check()
            time.sleep(PAUSE_S * 4)

    def stop(self) -> None:
        """End the parts in order by SIGTERM, the last started first, so that none misses what it works with."""
        give_up = time.monotonic() + STOP_LIMIT_S
        for part in reversed(self.parts):
            if part.popen is not None and part.running:
                part.popen.terminate()
                try:
                    part.popen.wait(max(0.1, give_up - time.monotonic()))
                except subprocess.TimeoutExpired:
                    part.popen.kill()

    def kill(self) -> None:
        """End what is left at once; by design nothing is lost by it."""
        for part in self.parts:
            if part.popen is not None and part.running:
                part.popen.kill()
                part.popen.wait()


def prepare_child(mask: Iterable[int]) -> None:
    """In the child: heed signals again, and, on Linux, be told to end when our parent dies, even of SIGKILL."""
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def is_answered(url: str) -> bool:
    """Whether a GET is answered by 200."""
    try:
        with DIRECT.open(url, timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:  # which HTTPError is, too
        return False


def ask(url: str, key: str, body: object = None) -> Any:
    """GET with an API key, or POST where there is a body; the JSON of the reply. Raises `CommandError`."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = Request(url, None if body is None else json.dumps(body).encode(), headers)
    try:
        with DIRECT.open(request, timeout=30) as reply:
            return json.load(reply)
    except (OSError, ValueError) as error:
        raise CommandError(f"{url} failed: {error}") from error
