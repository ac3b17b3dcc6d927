"""Times and durations as operators type them: `10m`, `2h`, `2026-01-31T12:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from ensemble.command_line.errors import Mistake

_UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)([smhd])")


def duration_ms(text: str, flag: str) -> int:
    """Parse `30s`, `10m`, `2h` or `1.5d` into milliseconds. Raises Mistake naming `flag`."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise Mistake(f"{flag}: cannot parse {text!r}; use a duration such as 30s, 10m, 2h or 1d")
    return round(float(match[1]) * _UNITS[match[2]])


def moment_ms(text: str, flag: str, now: int) -> int:
    """Parse an age (`10m`) or a date and time (UTC by default) into epoch milliseconds."""
    if _DURATION.fullmatch(text.strip()):
        return now - duration_ms(text, flag)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Mistake(f"{flag}: cannot parse {text!r}; use an age (10m, 2h, 1d) or a date (2026-01-31T12:00)") from None
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
