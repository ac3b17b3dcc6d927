"""Reads the offsets that the group has committed, and says which of them cannot be read, and since when."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from typing import Final

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition

from ensemble.kafka.errors import PASSING
from ensemble.kafka.worker.heartbeat import Heartbeat

log = structlog.get_logger()

_GRACE_S: Final = 30.0
"""The broker looks for transactions that are over their time every 10 s, and may be busy."""
_FIRST_S: Final = 2.0
_AGAIN_S: Final = 0.5
"""A partition whose offsets are hidden may cost the others so much, ..."""
_EVERY_S: Final = 2.0
"""... this often."""
_REMEDY: Final = (
    "No transaction of a service is open for so long, so the broker may have lost the end of one: see "
    "'Offsets that stay hidden' in docs/operations.md"
)


class GroupOffsets:
    """Reads committed offsets. A predecessor's open transaction hides them until the broker has aborted it.

    Nobody waits for them: a partition whose offsets are hidden is asked about again while the others run. That an
    operator has to look is said once no open transaction of a service can be the reason any more, after `limit_s`.
    """

    def __init__(
        self, transaction_timeout_s: float, heartbeat: Heartbeat, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.limit_s, self._heartbeat, self._now = transaction_timeout_s + _GRACE_S, heartbeat, now
        self._hidden: dict[int, float] = {}
        """Since when the offsets of each partition cannot be read; who was asked about last is at the end."""
        self._reason, self._next_at, self._has_told = "", 0.0, False

    def read(self, consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition] | None:
        """Return the offsets of these places, or None if they are hidden. Raises KafkaException if they are refused."""
        with self._heartbeat.during("asking for the group's offsets", _FIRST_S):
            return self._ask(consumer, places, _FIRST_S) if places else []

    def read_again(self, consumer: Consumer, places: list[TopicPartition]) -> list[TopicPartition] | None:
        """Return and raise like `read`, without keeping other partitions waiting for long."""
        self._next_at = self._now() + _EVERY_S
        return self._ask(consumer, places, _AGAIN_S)

    def _ask(self, consumer: Consumer, places: list[TopicPartition], timeout_s: float) -> list[TopicPartition] | None:
        try:
            return consumer.committed(places, timeout=timeout_s)
        except KafkaException as error:
            if error.args[0].code() not in PASSING:
                raise
            self.note_delay(f"{error.args[0].str()}; an open transaction hides them, or the group has no coordinator")
            return None

    def note_delay(self, reason: str) -> None:
        """Note why what was answered is not enough to begin with."""
        self._reason = reason

    # -- which are hidden -----------------------------------------------------------------------------------------

    def hide(self, partitions: Collection[int]) -> None:
        """Note that the offsets of these partitions cannot be read, and say so."""
        new = sorted(set(partitions) - self._hidden.keys())
        for partition in partitions:
            self._hidden[partition] = self._hidden.pop(partition, self._now())
        if new:
            log.warning("offsets.delayed", partitions=new, reason=self._reason)
        elif partitions:  # asked about again in vain, however long that took
            self._next_at = self._now() + _EVERY_S
        if self.overlong_s and not self._has_told:
            self._has_told = True
            log.error("offsets.hidden", reason=f"{self.describe()}. {_REMEDY}")

    def forget(self, partitions: Collection[int]) -> None:
        """Note that these partitions have their offsets, or are others' now."""
        for partition in partitions:
            self._hidden.pop(partition, None)
        self._has_told = self._has_told and bool(self._hidden)

    def next_hidden(self) -> int | None:
        """Return the partition to ask about now, the one that was last asked about before all others, or None."""
        return next(iter(self._hidden), None) if self._now() >= self._next_at else None

    def describe(self) -> str:
        """Return which partitions wait for their offsets, since when and why; an empty text if none does."""
        hidden = dict(self._hidden)  # another thread may ask
        if not hidden:
            return ""
        numbers, waited_s = ", ".join(map(str, sorted(hidden))), self._now() - min(hidden.values())
        return f"partitions {numbers} wait for the group's offsets for {waited_s:.0f} s: {self._reason}"

    @property
    def overlong_s(self) -> float:
        """Return for how long a partition has waited, or 0 as long as a service's open transaction may explain it."""
        now = self._now()
        waited_s = now - min(dict(self._hidden).values(), default=now)
        return waited_s if waited_s > self.limit_s else 0.0
