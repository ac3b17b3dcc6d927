"""The time that a service goes by: the brokers', as far as their acknowledgements tell it.

Services on several machines compare times: a command expires at a time that another service has set. A machine's clock
may be wrong, or set while the process runs; what the services have in common is the cluster. On topics with
`message.timestamp.type=LogAppendTime`, as changelogs are made, each acknowledgement says when the broker took a record.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median_high, median_low
from typing import Final, NamedTuple

import structlog
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from ensemble.clock import SKEW_TOLERANCE_MS
from ensemble.kafka.records import TopicPlace
from ensemble.service.ports import Clock

log = structlog.get_logger()

_KEEP_MS: Final = 600_000


def steady_ms() -> int:
    """Return milliseconds of a clock that nobody sets, and that goes on while a machine sleeps, where there is one."""
    boot = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime_ns(boot) // 1_000_000


class _Bounds(NamedTuple):
    """How far the broker of one partition is ahead of the steady clock, in milliseconds."""

    least: int
    most: int
    noted_at: int


class BrokerClock:
    """Tells the machine's time until a broker has told its own; from then on the brokers'.

    It changes its mind only where the machine's clock cannot be right: a record was taken between its sending and its
    acknowledgement. Of several brokers that differ, the median rules. After the first acknowledgement nothing that is
    done to the machine's clock has an effect.
    """

    def __init__(self, machine: Clock, steady: Callable[[], int] = steady_ms) -> None:
        self._machine, self._steady = machine, steady
        self._bounds: dict[TopicPlace, _Bounds] = {}
        self._ahead_ms: int | None = None
        """How far the brokers are ahead of the steady clock; None until one has told."""
        self._has_warned = False

    def now(self) -> int:
        """Return the time in epoch milliseconds."""
        return self._machine.now() if self._ahead_ms is None else self._steady() + self._ahead_ms

    def stamp(self) -> int:
        """Return the time to write on records: the brokers', or 0, with which the client takes the machine's.

        A record stamped far ahead would be refused, one stamped long ago be taken by retention before it is read.
        """
        return 0 if self._ahead_ms is None else self.now()

    @property
    def skew_ms(self) -> int:
        """How far the machine's clock is behind the brokers', at least; negative if it is ahead."""
        return 0 if self._ahead_ms is None else self.now() - self._machine.now()

    def start_write(self) -> int:
        """Return the mark to hand to `note`: nothing that is sent from now on was taken before."""
        return self._steady()

    def note(self, place: TopicPlace, timestamp: tuple[int, int], mark: int) -> None:
        """Take the timestamp of a record that was acknowledged just now, and sent after `mark`."""
        kind, taken_at = timestamp
        if kind != TIMESTAMP_LOG_APPEND_TIME:
            return
        now = self._steady()
        self._bounds[place] = _Bounds(taken_at - now, taken_at - mark, now)
        recent = [bounds for bounds in self._bounds.values() if now - bounds.noted_at <= _KEEP_MS]
        least, most = median_low(b.least for b in recent), median_high(b.most for b in recent)
        before = self._machine.now() - now if self._ahead_ms is None else self._ahead_ms
        self._ahead_ms = min(max(before, least), most)
        self._warn()

    def _warn(self) -> None:
        reason = self.describe()
        if reason and not self._has_warned:
            log.warning("clock.skewed", reason=reason)
        self._has_warned = bool(reason)

    def describe(self) -> str:
        """Return how wrong the machine's clock is, or an empty text."""
        if abs(self.skew_ms) <= SKEW_TOLERANCE_MS:
            return ""
        direction = "behind" if self.skew_ms > 0 else "ahead of"
        return (
            f"this machine's clock is {abs(self.skew_ms) / 1000:.1f} s {direction} the brokers'; the service goes by "
            "theirs, set this one right"
        )
