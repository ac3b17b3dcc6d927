"""Times and durations as operators type them: `10m`, `2h`, `2026-01-31T12:00`."""

from __future__ import annotations

from ensemble.command_line.errors import Mistake
from ensemble.operations import Invalid, times


def duration_ms(text: str, flag: str) -> int:
    """Parse `30s`, `10m`, `2h` or `1.5d` into milliseconds. Raises Mistake naming `flag`."""
    try:
        return times.duration_ms(text)
    except Invalid as error:
        raise Mistake(f"{flag}: {error}") from None


def moment_ms(text: str, flag: str, now: int) -> int:
    """Parse an age (`10m`) or a date and time (UTC by default) into epoch milliseconds."""
    try:
        return times.moment_ms(text, now)
    except Invalid as error:
        raise Mistake(f"{flag}: {error}") from None
