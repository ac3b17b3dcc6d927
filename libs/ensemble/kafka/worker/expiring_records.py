"""Watches for unread records that retention will remove: a pause, or a full partition, that lasts for days."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.kafka.offsets import Answers, collect, request_ends, request_offsets_at
from ensemble.kafka.records import TopicPlace
from ensemble.service.ports import Clock

log = structlog.get_logger()

EVERY_S: Final = 60.0
_TIMEOUT_S: Final = 10.0
_WARN_AT: Final = 0.5
"""The share of the retention that an unread record may have used up without a word."""


class ExpiringRecords:
    """Asks now and then, without waiting for the answers, how old the unread records of the inputs are."""

    def __init__(
        self,
        admin: AdminClient,
        clock: Clock,
        retention_s: Mapping[str, float],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Ask nothing yet. `retention_s` has the topics that do not keep their records for ever."""
        self._admin, self._clock, self._retention_s, self._monotonic = admin, clock, retention_s, monotonic
        self._answers: tuple[Answers, Answers] | None = None
        self._next = 0.0
        self.places: frozenset[TopicPlace] = frozenset()
        """The partitions with unread records that have used up half of their topic's retention."""

    def sample(self, positions: Mapping[TopicPlace, int]) -> None:
        """Take the answers that have come, and ask again when it is time."""
        if self._answers is not None:
            self._take(*self._answers, positions)
        now = self._monotonic()
        if self._answers is None and now >= self._next:
            self._next = now + EVERY_S
            since = {p: self._warned_before(p[0]) for p in positions if p[0] in self._retention_s}
            if since:
                stable, _ = request_ends(self._admin, list(since), _TIMEOUT_S)
                self._answers = request_offsets_at(self._admin, since, _TIMEOUT_S), stable

    def _warned_before(self, topic: str) -> int:
        return self._clock.now() - round(self._retention_s[topic] * _WARN_AT * 1000)

    def _take(self, younger: Answers, stable: Answers, positions: Mapping[TopicPlace, int]) -> None:
        if not all(answer.done() for answer in (*younger.values(), *stable.values())):
            return
        self._answers = None
        try:
            firsts, ends = collect(younger, 0), collect(stable, 0)
        except KafkaException:
            return  # a broker that is away removes nothing
        old = {p: firsts[p] if firsts[p] >= 0 else end for p, end in ends.items()}
        expiring = frozenset(p for p, first in old.items() if p in positions and positions[p] < min(first, ends[p]))
        for topic, partition in sorted(expiring - self.places):
            log.warning(
                "records.expiring",
                topic=topic,
                partition=partition,
                offset=positions[topic, partition],
                reason=f"unread records have used up half of the {self._retention_s[topic] / 3600:g} h that the topic "
                "keeps them; let the partition go on, or raise the topic's retention.ms, before they are lost",
            )
        self.places = expiring
