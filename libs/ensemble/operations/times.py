"""Times and durations as operators write them: `10m`, `2h`, `2026-01-31T12:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from ensemble.operations.errors import Invalid

_UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", re.ASCII)


def duration_ms(text: str) -> int:
    """Parse `30s`, `10m`, `2h` or `1.5d` into milliseconds. Raises Invalid."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise Invalid(f"cannot parse {text!r}", hint="use a duration such as 30s, 10m, 2h or 1d", subject=text)
    return round(float(match[1]) * _UNITS[match[2]])


def moment_ms(text: str, now: int) -> int:
    """Parse an age (`10m`) or a date and time (UTC by default) into epoch milliseconds. Raises Invalid."""
    if _DURATION.fullmatch(text.strip()):
        return now - duration_ms(text)
    try:
        at = datetime.fromisoformat(text)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except ValueError:
        hint = "use an age (10m, 2h, 1d) or a date (2026-01-31T12:00)"
        raise Invalid(f"cannot parse {text!r}", hint=hint, subject=text) from None
