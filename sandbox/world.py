"""The whole of the outside world: three systems, the faults that are on, and the log of requests."""

import asyncio
import fcntl
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final, TypeVar

from sandbox.access import AccessLog
from sandbox.billing import Billing
from sandbox.events import Events
from sandbox.faults import Spec
from sandbox.log import log
from sandbox.mail import Mail
from sandbox.plan import FaultPlan
from sandbox.register import Register
from sandbox.tickets import Tickets

T = TypeVar("T")


class HomeTakenError(Exception):
    """{home} is in use by another sandbox"""

    def __init__(self, home: Path) -> None:
        super().__init__(f"{home} is in use by another sandbox")


class World:
    """State of one sandbox process under `home`, rebuilt from the trails; one process may have it at a time.

    Raises HomeTakenError, and TrailError when a trail cannot be read. The lock falls with the process.
    """

    def __init__(self, home: Path, faults: Spec, events: Events | None = None) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home: Final = home
        self._lock = os.open(home / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise HomeTakenError(home) from None
        self.tickets, self.mail, self.billing = Tickets(home), Mail(home), Billing(home)
        self.actions: Final = {**self.tickets.actions, **self.mail.actions, **self.billing.actions}
        self.access: Final = AccessLog(home)
        self.plan: Final = FaultPlan(faults)
        self.events: Final = events
        self.tasks: Final[set[asyncio.Task[Any]]] = set()

    @property
    def registers(self) -> dict[str, Register]:
        """The registers by the name under which /audit and the pages show them."""
        registers = (self.tickets.register, self.mail.register, self.billing.register)
        return {register.kind.name: register for register in registers}

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work that goes on whether or not its client stays."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log("error", "failed", error=repr(error))

    async def forget(self) -> None:
        """Empty the trails and the access log, and drop what is still under way, late effects included."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for register in self.registers.values():
            register.clear()
        self.tickets.forget()
        self.billing.forget()
        self.access.clear()

    def close(self) -> None:
        """Let go of the files and of the home."""
        for register in self.registers.values():
            register.close()
        self.access.close()
        os.close(self._lock)
