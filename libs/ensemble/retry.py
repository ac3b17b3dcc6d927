"""Retry policy as a value: how often, how long apart, and within what time in all."""

from __future__ import annotations

from dataclasses import dataclass

from ensemble.errors import FatalError, TerminalError


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential backoff within a batch. Times are seconds; `attempts` counts the first one."""

    attempts: int = 5
    initial_s: float = 0.05
    multiplier: float = 2.0
    cap_s: float = 1.0
    budget_s: float = 10.0

    def delay_after(self, attempt: int, error: BaseException, spent_s: float) -> float | None:
        """Seconds to wait before the next attempt, or None when there must be no further one."""
        if isinstance(error, TerminalError | FatalError) or attempt >= self.attempts:
            return None
        delay = min(self.initial_s * self.multiplier ** (attempt - 1), self.cap_s)
        return delay if spent_s + delay <= self.budget_s else None
