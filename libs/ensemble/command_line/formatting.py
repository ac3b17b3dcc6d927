"""Counts and moments in a few words."""

from __future__ import annotations

from datetime import UTC, datetime

from ensemble.clock import duration, epoch_ms


def moment_text(at: datetime) -> str:
    """Return a time with its date and zone, in seconds."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def since(moment: datetime | None) -> str | None:
    """Return how long ago a time was, or None for None."""
    return None if moment is None else duration(epoch_ms(datetime.now(UTC)) - epoch_ms(moment))
