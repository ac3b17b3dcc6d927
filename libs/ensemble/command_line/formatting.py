"""Counts, times of day and durations in a few words."""

from __future__ import annotations

from datetime import UTC, datetime

from ensemble.clock import moment_of


def quantity(number: int, noun: str) -> str:
    """Return `1 order`, or `3 orders`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def clock(at: int) -> str:
    """Return the time of day with milliseconds, UTC; a number that is no time as it is."""
    return _time_of_day(at, "milliseconds")


def clock_seconds(at: int) -> str:
    """Return the time of day in seconds, UTC; a number that is no time as it is."""
    return _time_of_day(at, "seconds")


def _time_of_day(at: int, precision: str) -> str:
    moment = moment_of(at)
    return f"{at} ms" if moment is None else moment.time().isoformat(timespec=precision)


def moment_text(at: datetime) -> str:
    """Return a time with its date and zone, in seconds."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def duration(milliseconds: int) -> str:
    """Return `0.045 s`, `12 s`, `3 min`, `5 h` or `2 d`."""
    seconds = abs(milliseconds) / 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.3f} s"  # noqa: PLR2004  below, every bit counts
