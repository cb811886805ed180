"""When a call may be sent or looked up again, and how often. Pure."""

from datetime import datetime, timedelta
from typing import Final

FIRST_BACK_OFF_S: Final = 0.5
LONGEST_BACK_OFF_S: Final = 30.0
# A run with a held or paused call looks again so often.
WATCH_S: Final = 2.0


def back_off_s(tries: int) -> float:
    """Seconds to wait after the given number of tries: doubling, from half a second to half a minute."""
    return min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0 ** min(max(tries, 1) - 1, 10))


def after(moment: datetime, seconds: float) -> datetime:
    """The moment so many seconds later."""
    return moment + timedelta(seconds=seconds)
