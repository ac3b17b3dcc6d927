"""Notices a clock that is wrong: a record that was written later than now.

No request of Kafka's returns the broker's time. On a topic with `message.timestamp.type=LogAppendTime` a record carries
it; elsewhere the time is its sender's, and one of the two clocks is wrong.
"""

from __future__ import annotations

from typing import Final

import structlog
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, TIMESTAMP_NOT_AVAILABLE, Message

from ensemble.clock import SKEW_TOLERANCE_MS
from ensemble.service.ports import Clock

log = structlog.get_logger()

_KEEP_MS: Final = 300_000


class ClockSkew:
    """Keeps the largest skew of the last minutes. It costs one look at a record for each poll."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._skew_ms, self._seen_at, self._source = 0, 0, ""

    def note(self, record: Message) -> None:
        """Compare a record that has just come with this machine's clock."""
        kind, written_at = record.timestamp()
        if kind == TIMESTAMP_NOT_AVAILABLE:
            return
        now = self._clock.now()
        skew_ms = written_at - now
        if skew_ms > self.current_ms:
            is_new = self.current_ms <= SKEW_TOLERANCE_MS
            self._skew_ms, self._seen_at, self._source = skew_ms, now, _source(kind, record.topic())
            if is_new and skew_ms > SKEW_TOLERANCE_MS:
                log.warning("clock.skewed", reason=self.describe())

    @property
    def current_ms(self) -> int:
        """The largest skew of the last minutes, in milliseconds."""
        return self._skew_ms if abs(self._clock.now() - self._seen_at) < _KEEP_MS else 0

    def describe(self) -> str:
        """Return how wrong the clock is, or an empty text."""
        skew_ms = self.current_ms
        if skew_ms <= SKEW_TOLERANCE_MS:
            return ""
        return f"this machine's clock is at least {skew_ms / 1000:.1f} s behind {self._source}"


def _source(kind: int, topic: str | None) -> str:
    if kind == TIMESTAMP_LOG_APPEND_TIME:
        return "the broker's"
    return f"that of a sender to {topic}, or that one is ahead"
