"""Outages to order: the provider is up, down, hanging or in error, for ever or for a while."""

import time
from collections.abc import Callable

from services.payment_sandbox.requests import OutageOrder


class Outage:
    """The mode that holds now; an outage with a duration ends by itself."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._ordered = OutageOrder(mode="up")
        self._until = 0.0

    def order(self, ordered: OutageOrder) -> None:
        """Replace the outage that was ordered before."""
        self._ordered = ordered
        self._until = self._clock() + (ordered.for_s or 0.0)

    def now(self) -> OutageOrder:
        """Return the mode and, if it is limited, the seconds that remain."""
        if self._ordered.mode == "up" or self._ordered.for_s is None:
            return self._ordered
        remaining_s = self._until - self._clock()
        return OutageOrder(mode=self._ordered.mode, for_s=remaining_s) if remaining_s > 0 else OutageOrder(mode="up")
