"""Fault points for the crash matrix: named places where a test may kill or stop this very process.

`COUNTERFOIL_FAULT=NAME` kills (SIGKILL) at the first hit of NAME, `NAME:N` at the Nth, `NAME:N:stop` stops
(SIGSTOP) there. Unset, `point` is an empty function. Read once, when the module is imported; a spec of another
form is a `ValueError`.
"""

import os
import signal
from collections.abc import Callable
from typing import Final

VARIABLE: Final = "COUNTERFOIL_FAULT"
_SIGNALS: Final = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}


def _nothing(_name: str) -> None:
    pass


def _armed(spec: str) -> Callable[[str], None]:
    name, count, how = [*spec.split(":"), "", ""][:3]
    number, how = int(count or 1), how or "kill"
    if not name or number < 1 or how not in _SIGNALS or spec.count(":") > 2:
        raise ValueError(f"{VARIABLE}={spec!r}: write NAME, NAME:N or NAME:N:stop")
    hits = 0

    def point(reached: str) -> None:
        nonlocal hits
        if reached == name:
            hits += 1
            if hits == number:
                os.kill(os.getpid(), _SIGNALS[how])

    return point


def _from_environment() -> Callable[[str], None]:
    spec = os.environ.get(VARIABLE)
    return _armed(spec) if spec else _nothing


point: Callable[[str], None] = _from_environment()
