"""When a call may be sent or looked up again, and how often. Pure."""

from datetime import datetime, timedelta
from typing import Final

FIRST_BACK_OFF_S: Final = 0.5
LONGEST_BACK_OFF_S: Final = 30.0
LONGEST_PAUSE_S: Final = 3600.0
# A run with a held or paused call looks again so often.
WATCH_S: Final = 2.0


def back_off_s(tries: int) -> float:
    """Seconds to wait after the given number of tries: doubling, from half a second to half a minute."""
    return min(LONGEST_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0 ** min(max(tries, 1) - 1, 10))


def pause_s(asked_s: float | None, tries: int) -> float:
    """Seconds until a model is asked again: as its provider wishes, for an hour at most, else the back-off.

    A provider may wish for any number, and calls in doubt, and the calendar, wait no longer than that.
    """
    return min(asked_s or back_off_s(tries), LONGEST_PAUSE_S)


def after(moment: datetime, seconds: float) -> datetime:
    """The moment so many seconds later."""
    return moment + timedelta(seconds=seconds)
