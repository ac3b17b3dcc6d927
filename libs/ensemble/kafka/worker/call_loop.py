"""Runs async calls in turns with the other work of the loop's thread, and lets no turn of others look like silence.

While the thread polls, handles records or commits, nothing listens to the calls in flight. So the clock of their timers
stands still then, but for a moment that keeps a busy process from waiting for ever, and what has arrived meanwhile is
taken before any timer is judged.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from math import inf
from typing import Any, Final

from ensemble.errors import ConfigurationError
from ensemble.interceptors import Interceptor
from ensemble.kafka.worker.adapters import Adapters
from ensemble.service.service import Service

_COUNTED_PAUSE_S: Final = 0.25
"""How much of a pause counts for calls in flight: about a batch under load. A slow commit takes longer."""
_PASSES: Final = 10
"""An answer in the socket's buffer is handed to its handler within four passes of the event loop."""


class CallLoop:
    """An event loop that runs now and then."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._adapters: Adapters | None = None
        self._loop = _HeldLoop(clock)
        self._runner = asyncio.Runner(loop_factory=lambda: self._loop)
        self._runner.get_loop()

    def run(self, work: Coroutine[Any, Any, None], *, has_calls: bool) -> None:
        """Run `work` to its end, and the calls in flight meanwhile; `has_calls`: whether there were any before."""
        try:
            self._loop.run_until_complete(self._listen_first(work, _COUNTED_PAUSE_S if has_calls else inf))
        finally:
            self._loop.hold()

    def open(self, service: Service, limit_s: float, interceptors: Sequence[Interceptor] = ()) -> None:
        """Open the service's adapters, then the interceptors.

        Raises ConfigurationError that names the one which fails, or takes longer.
        """
        self._adapters = Adapters(service, interceptors)
        try:
            self._runner.run(asyncio.wait_for(self._adapters.open(), limit_s))
        except TimeoutError:
            raise ConfigurationError(f"adapters cannot be opened: they take longer than {limit_s:g} s") from None
        finally:
            self._loop.hold()

    def close(self) -> None:
        """Close the adapters that are open, cancel what still runs, and close the event loop."""
        self._loop.release(inf)
        with self._runner:
            if self._adapters is not None:
                self._runner.run(self._adapters.close())

    async def _listen_first(self, work: Coroutine[Any, Any, None], counted_s: float) -> None:
        for _ in range(_PASSES):
            await asyncio.sleep(0)
        self._loop.release(counted_s)
        await work


class _HeldLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock is held while it does not run."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._time, self._left_out_s = clock, 0.0
        self._held_at: float | None = None
        super().__init__()

    def time(self) -> float:
        """Return the time in seconds, without what was left out of it."""
        return self._time() - self._left_out_s if self._held_at is None else self._held_at

    def hold(self) -> None:
        """Stop the clock."""
        self._held_at = self.time()

    def release(self, counted_s: float) -> None:
        """Let the clock go on; of the time since `hold`, `counted_s` at most are counted."""
        held_at, self._held_at = self._held_at, None
        if held_at is not None:
            self._left_out_s += max(0.0, self.time() - held_at - counted_s)
