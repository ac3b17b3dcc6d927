"""A clock that counts seconds, as `time.monotonic` does, when the test says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class SteadyClock:
    """Time that the test turns, by `clock.now += 2`."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now
