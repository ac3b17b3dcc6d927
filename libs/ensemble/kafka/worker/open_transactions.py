"""Watches for transactions left open: the last stable offset stays behind the high watermark, and readers wait."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

import structlog
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ensemble.kafka.offsets import Answers, collect, request_ends
from ensemble.kafka.records import TopicPlace

log = structlog.get_logger()

EVERY_S: Final = 5.0
_TIMEOUT_S: Final = 4.0
_SUSPECT_S: Final = 15.0
"""Longer than any transaction of a living service takes."""


class OpenTransactions:
    """Asks for both ends of the inputs every few seconds, without waiting for the answers."""

    def __init__(self, admin: AdminClient, clock: Callable[[], float] = time.monotonic) -> None:
        self._admin, self._clock = admin, clock
        self._answers: tuple[Answers, Answers] | None = None
        self._next = 0.0
        self._since: dict[TopicPlace, tuple[int, float]] = {}
        self.records: dict[TopicPlace, int] = {}
        """The number of records that readers cannot see yet, for each partition that has any."""

    def sample(self, places: Iterable[TopicPlace]) -> None:
        """Take the answers that have come, and ask again when it is time."""
        if self._answers is not None:
            self._take(*self._answers)
        now = self._clock()
        if self._answers is None and now >= self._next:
            self._next = now + EVERY_S
            partitions = list(places)
            if partitions:
                self._answers = request_ends(self._admin, partitions, _TIMEOUT_S)

    def longest_s(self) -> float:
        """Return how long the longest open transaction has kept readers of a partition from its records."""
        return max((self._clock() - since for _, since in self._since.values()), default=0.0)

    def describe(self) -> str:
        """Return where somebody's transaction has hidden input for longest, or an empty text. Any thread may ask."""
        since = {place: at for place, at in list(self._since.items()) if self._clock() - at[1] > _SUSPECT_S}
        if not since:
            return ""
        (topic, partition), (offset, at) = min(since.items(), key=lambda item: item[1][1])
        return (
            f"{topic}[{partition}] is hidden from offset {offset} on by a transaction that somebody has left open for "
            f"{self._clock() - at:.0f} s"
        )

    def _take(self, stable: Answers, high: Answers) -> None:
        if not all(future.done() for future in (*stable.values(), *high.values())):
            return
        self._answers = None
        try:
            ends, highs = collect(stable, 0), collect(high, 0)
        except KafkaException:
            return  # a broker that is away knows nothing about transactions
        self.records = {place: highs[place] - end for place, end in ends.items() if highs[place] > end}
        self._note({place: ends[place] for place in self.records})

    def _note(self, behind: dict[TopicPlace, int]) -> None:
        now, before = self._clock(), self._since
        ends = {place: before.get(place, (-1, now)) for place in behind}
        self._since = {place: ends[place] if ends[place][0] == end else (end, now) for place, end in behind.items()}
        for place, (end, since) in self._since.items():
            if now - since > _SUSPECT_S and now - since < _SUSPECT_S + 2 * EVERY_S:
                log.warning("transaction.stalled", topic=place[0], partition=place[1], offset=end, seconds=now - since)
