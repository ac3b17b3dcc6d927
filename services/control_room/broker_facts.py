"""What only the brokers and the launcher know, asked once for all pages that are open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from ensemble import EnsembleError
from ensemble.operations import PartitionLag, Session, read_lag, stopped_services
from services.control_room.demonstration import Demonstration

T = TypeVar("T")


class SharedAnswer(Generic[T]):
    """An answer that many want at once: one of them asks, the others wait for it. So they do for an error."""

    def __init__(self, ask: Callable[[], T], fresh_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask nothing yet."""
        self._ask, self._fresh_s, self._clock = ask, fresh_s, clock
        self._lock = threading.Lock()
        self._asked_at: float | None = None
        self._answer: T | EnsembleError

    def get(self) -> T:
        """Return the answer, a little old at most. Raises the EnsembleError that came instead."""
        with self._lock:
            if self._asked_at is None or self._clock() - self._asked_at >= self._fresh_s:
                try:
                    self._answer = self._ask()
                except EnsembleError as error:
                    self._answer = error
                self._asked_at = self._clock()
            answer = self._answer
        if isinstance(answer, EnsembleError):
            raise answer
        return answer


class BrokerFacts:
    """How far services are behind, and which do not run. Any thread may ask."""

    def __init__(self, session: Session, fresh_s: float, demonstration: Demonstration | None = None) -> None:
        services = list(session.application.services)
        self._demonstration = demonstration
        self._lags = SharedAnswer(lambda: read_lag(session.client, services), fresh_s)
        self._stopped = SharedAnswer(lambda: stopped_services(session, services), fresh_s)

    def lags(self) -> tuple[PartitionLag, ...]:
        """Return how far each service is behind its inputs; nothing if the brokers do not answer."""
        try:
            return self._lags.get()
        except EnsembleError:
            return ()

    def stopped(self) -> frozenset[str]:
        """Return the services of which no process runs, as far as brokers or the launcher say.

        A group loses a member that was killed only when its session has timed out; the launcher knows at once.
        """
        try:
            return self.killed() | self._stopped.get()
        except EnsembleError:
            return self.killed()

    def killed(self) -> frozenset[str]:
        """Return the services of which no process runs, as far as the launcher says. The brokers are not asked."""
        return frozenset() if self._demonstration is None else self._demonstration.stopped()
