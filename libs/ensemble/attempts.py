"""Trying again within a batch: one loop for records and timers, with and without await."""

from __future__ import annotations

from types import TracebackType

from ensemble.clock import RuntimeClock
from ensemble.errors import FatalError
from ensemble.retry import RetryPolicy


class Attempts:
    """Counts attempts after a first failure.

    Use: `while attempts.again(): with attempts: work()`, then look at `error`.

    A failing `work` is swallowed and kept in `error`, except FatalError, which passes.
    """

    def __init__(self, policy: RetryPolicy, clock: RuntimeClock, error: Exception) -> None:
        self.error: BaseException | None = error
        self.made = 1
        self._policy, self._clock, self._spent = policy, clock, 0.0
        self._delay = self._next_delay()

    def again(self) -> bool:
        """Wait for the next attempt; False when the last one succeeded or none is left."""
        if self._delay is None:
            return False
        self._clock.sleep(self._delay)
        self.made += 1
        return True

    async def again_async(self) -> bool:
        """As `again`, letting others run meanwhile."""
        if self._delay is None:
            return False
        await self._clock.sleep_async(self._delay)
        self.made += 1
        return True

    def __enter__(self) -> None:
        self.error = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        self.error = error
        self._delay = self._next_delay()
        return isinstance(error, Exception) and not isinstance(error, FatalError)

    def _next_delay(self) -> float | None:
        if self.error is None:
            return None
        if isinstance(self.error, FatalError):
            raise self.error
        delay = self._policy.delay_after(self.made, self.error, self._spent)
        self._spent += delay or 0.0
        return delay
