"""Times as logs write them: with a day and a zone, without a zone, or a time of day alone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Final

DAY_US: Final = 86_400_000_000
HOUR_US: Final = 3_600_000_000
_NO_DAY_US: Final = 7 * DAY_US
"""Times of day of which no source tells the day are counted from 1970 on."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FULL: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d?):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?\s?(Z|z|UTC|[+-]\d\d:?\d\d|[+-]\d\d)?$"
)
_CLOCK: Final = re.compile(r"(\d\d?):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(Z|z|UTC|[+-]\d\d:?\d\d|[+-]\d\d)?$")


def _zone_us(zone: str | None) -> int:
    """Return how far a zone is ahead of UTC; no zone is UTC."""
    if not zone or zone[0] not in "+-":
        return 0
    digits = zone[1:].replace(":", "").ljust(4, "0")
    ahead = int(digits[:2]) * HOUR_US + int(digits[2:]) * 60_000_000
    return ahead if zone[0] == "+" else -ahead


def _fraction_us(digits: str | None) -> int:
    return int((digits or "").ljust(6, "0")[:6])


_minutes: dict[str, int] = {}


def _minute_us(text: str) -> int:
    """Return the microseconds of ``YYYY-MM-DDTHH:MM`` in UTC, remembered: logs stay in a minute for long."""
    if len(_minutes) > 100_000:
        _minutes.clear()
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    known = _minutes[text] = (moment - _EPOCH) // (moment.resolution)
    return known


def moment_us(text: str) -> int:
    """Return the microseconds since 1970 of a full timestamp; ValueError where it is none."""
    if len(text) == 24 and text[23] == "Z" and text[19] == ".":
        base = _minutes.get(text[:16])
        if base is None:
            base = _minute_us(text[:16])
        if text[17:19] < "61" and text[16] == ":":
            return base + int(text[17:19]) * 1_000_000 + int(text[20:23]) * 1000
    found = _FULL.match(text.strip())
    if not found:
        raise ValueError(f"no timestamp: {text[:40]!r}")
    day, hour, minute, second, fraction, zone = found.groups()
    base = _minute_us(f"{day}T{int(hour):02d}:{minute}")
    return base + int(second or 0) * 1_000_000 + _fraction_us(fraction) - _zone_us(zone)


def any_moment_us(value: object) -> int | None:
    """Return the microseconds of a timestamp in JSON: text, seconds or milliseconds since 1970; else None."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        scale = 1e6 if value < 1e11 else 1e3 if value < 1e14 else 1
        return int(value * scale) if 0 < value < 1e17 else None
    try:
        return moment_us(str(value))
    except ValueError:
        return None


_clocks: dict[str, int] = {}


def clock_us(text: str) -> int:
    """Return the microseconds since midnight UTC of a time of day; ValueError where it is none."""
    if len(text) == 13 and text[12] == "Z" and text[8] == ".":
        base = _clocks.get(text[:8])
        if base is not None:
            return base + int(text[9:12]) * 1000
    found = _CLOCK.match(text)
    if not found:
        raise ValueError(f"no time: {text[:40]!r}")
    hour, minute, second, fraction, zone = found.groups()
    if int(hour) > 23 or int(minute) > 59 or int(second) > 60:
        raise ValueError(f"no time: {text[:40]!r}")
    base = int(hour) * HOUR_US + int(minute) * 60_000_000 + int(second) * 1_000_000
    if not zone or zone in "Zz":
        _clocks[text[:8]] = base
    return (base + _fraction_us(fraction) - _zone_us(zone)) % DAY_US


class Days:
    """Gives times of day their day: the one nearest the line before, or the next one when an ordered log wraps."""

    def __init__(self, first_day: date | None, near_us: int | None) -> None:
        """Start from the day that the caller knows, from a moment of another source, or from 1970."""
        self._day = (first_day - date(1970, 1, 1)).days * DAY_US if first_day else None
        self._near = near_us
        self._last: int | None = None
        self._highest = 0
        self._ordered = 0
        self.guessed = first_day is None and near_us is None

    def place(self, clock: int) -> int:
        """Return the full time of a time of day, the lines given in the order of the log."""
        if self._last is None:
            at = self._first(clock)
        else:
            at = _nearest(clock, self._last)
            back = self._highest - at
            if back > HOUR_US and self._ordered >= 20:
                at += DAY_US
            elif back > 60_000_000:
                self._ordered = -1_000_000_000
        self._ordered += 1
        self._last = at
        self._highest = max(self._highest, at)
        return at

    def _first(self, clock: int) -> int:
        if self._day is None:
            return clock if self._near is None else _nearest(clock, self._near)
        if self._near is None:
            return self._day + clock
        days = (self._day, self._day + DAY_US, self._day - DAY_US)
        near = min(abs(day + clock - self._near) for day in days)
        if near > 12 * HOUR_US:
            return self._day + clock
        return next(day + clock for day in days if abs(day + clock - self._near) == near)


def _nearest(clock: int, near: int) -> int:
    base = near - near % DAY_US
    return min((base + clock + shift for shift in (0, DAY_US, -DAY_US)), key=lambda at: abs(at - near))


def iso(at_us: int) -> str:
    """Write a time as ``2026-03-12T10:16:05.410Z``; microseconds, and a day, only where there are any."""
    whole, micros = divmod(at_us, 1_000_000)
    form = "%H:%M:%S" if abs(at_us) < _NO_DAY_US else "%Y-%m-%dT%H:%M:%S"
    text = datetime.fromtimestamp(whole, UTC).strftime(form)
    return f"{text}.{micros // 1000:03d}Z" if micros % 1000 == 0 else f"{text}.{micros:06d}Z"
