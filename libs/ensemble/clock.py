"""Tells the time: the machine's clock, one that tests set by hand, and times as text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, TypeVar

T = TypeVar("T")

SKEW_TOLERANCE_MS: Final = 1000
"""Two clocks that differ by more are worth a word."""
_YEAR_10000_MS: Final = 253_402_300_800_000


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        """Return the time in epoch milliseconds."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock that moves only when `advance` is called."""

    def __init__(self, now: int = 1_750_000_000_000) -> None:
        self._now = now

    def now(self) -> int:
        """Return the time in epoch milliseconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._now += round(seconds * 1000)


@lru_cache(maxsize=1)  # each partition of a batch asks for the same time
def rfc3339(at: int) -> str:
    """Return epoch milliseconds as CloudEvents writes a time, such as `2026-11-23T11:35:00.123Z`.

    Never raises: a number that is no time between 1970 and 9999 is returned as it is, such as `-5 ms`.
    """
    moment = moment_of(at)
    return f"{at} ms" if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_of(at: int | None) -> datetime | None:
    """Return epoch milliseconds as a time in UTC, or None for None and for a number that is none of 1970 to 9999.

    Whoever writes a record chooses its timestamp, so it may be negative, or in microseconds.
    """
    if at is None or not 0 <= at < _YEAR_10000_MS:
        return None
    return datetime.fromtimestamp(at // 1000, UTC).replace(microsecond=at % 1000 * 1000)


def clock(at: int) -> str:
    """Return the time of day with milliseconds, UTC; a number that is no time as it is."""
    return _time_of_day(at, "milliseconds")


def clock_seconds(at: int) -> str:
    """Return the time of day in seconds, UTC; a number that is no time as it is."""
    return _time_of_day(at, "seconds")


def _time_of_day(at: int, precision: str) -> str:
    moment = moment_of(at)
    return f"{at} ms" if moment is None else moment.time().isoformat(timespec=precision)


def duration(milliseconds: int) -> str:
    """Return `0.045 s`, `12 s`, `3 min`, `5 h` or `2 d`."""
    seconds = abs(milliseconds) / 1000
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.3f} s"  # noqa: PLR2004  below, every bit counts


def epoch_ms(moment: datetime) -> int:
    """Return a time as epoch milliseconds."""
    return round(moment.timestamp() * 1000)


def until(limit_s: float, pause_s: float = 0.0) -> Iterator[float]:
    """Yield the seconds left, once for each attempt and with a pause between two, until `limit_s` have passed.

    There is at least one attempt, and none begins after the limit.
    """
    deadline = time.monotonic() + limit_s
    left_s = limit_s
    while True:
        yield left_s
        if (left_s := deadline - time.monotonic()) <= 0:
            return
        time.sleep(pause_s)


def retry(attempt: Callable[[], T], limit_s: float, pause_s: float, may_pass: Callable[[Exception], bool]) -> T:
    """Return what `attempt` returns; it is made again, like `until`, while its errors may pass.

    Raises the error of the last attempt: one that does not pass, or the one before `limit_s`.
    """
    problem: Exception | None = None
    for _ in until(limit_s, pause_s):
        try:
            return attempt()
        except Exception as error:
            if not may_pass(error):
                raise
            problem = error
    assert problem is not None, "each attempt returns or fails"
    raise problem
