"""The clock that `send_by` is counted on: it goes on while the machine sleeps, and nobody sets it."""

import time
from typing import Final

_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def boot_now() -> float:
    """Seconds on CLOCK_BOOTTIME; where there is none (macOS), on the monotonic clock."""
    return time.monotonic() if _BOOTTIME is None else time.clock_gettime(_BOOTTIME)
