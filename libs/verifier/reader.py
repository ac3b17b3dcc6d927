"""The check's own reader: everything that is committed, up to ends that are taken in a certain order.

1. the groups' positions, stable ones only  2. the cut: what is committed now  3. the payment provider's ledger
4. the ends to read to, open transactions included: whatever 1 to 3 refer to lies before them
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Final, TypeVar

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as At
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # an unmarked re-export

from ensemble.kafka.client import assigned_reader, readable
from ensemble.waiting import ignore, wait_for
from verifier.facts import Place
from verifier.flow import STATE_TOPICS
from verifier.source import CannotCheck, Take

Tell = Callable[[str], None]
T = TypeVar("T")

_ANSWER_S: Final = 60.0
_CHUNK: Final = 2_000
_QUEUE: Final = {"queued.min.messages": 10_000, "queued.max.messages.kbytes": 16_384, "fetch.max.bytes": 8_388_608}
"""What the client reads ahead: by default far more, and in each process."""
_POSITIONS: Final = "__consumer_offsets"
"""Kafka makes it when a group first asks; until then no group has read anything."""
_TELL_EVERY_S: Final = 2.0
_PATIENCE_S: Final = 60.0


@dataclass(frozen=True)
class Cluster:
    """A cluster to read from, as `verifier.source.Source` promises."""

    shared: Mapping[str, Any]
    admin: AdminClient
    tell: Tell
    stall_s: float = 60.0
    """Without any progress for so long, reading is given up."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what makes a copy in another process, which can read there and is told nothing else."""
        return Cluster, (self.shared, None, ignore, self.stall_s)

    def now(self) -> int:
        """Return the time in epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def partitions(self) -> dict[str, int]:
        """Return every topic with its partition count."""
        topics = self._patiently("topics", lambda: self.admin.list_topics(timeout=_ANSWER_S).topics)
        return {name: len(topic.partitions) for name, topic in topics.items() if topic.error is None}

    def committed(self, groups: Iterable[str]) -> dict[str, dict[Place, int]]:
        """Return each group's positions, waiting for open transactions."""
        if _POSITIONS not in self.partitions():
            return {group: {} for group in groups}
        return {
            group: self._patiently(f"the positions of group {group}", partial(self._committed, group))
            for group in groups
        }

    def _committed(self, group: str) -> dict[Place, int]:
        groups = [ConsumerGroupTopicPartitions(group)]
        answer = self.admin.list_consumer_group_offsets(groups, require_stable=True, request_timeout=_ANSWER_S)
        positions = answer[group].result(_ANSWER_S)
        return {(at.topic, at.partition): at.offset for at in positions.topic_partitions if at.offset >= 0}

    def committed_ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """Return the end of the committed records of each partition."""
        return self._offsets(places, OffsetSpec.latest(), IsolationLevel.READ_COMMITTED)  # type: ignore[no-untyped-call]  # the client's

    def ends(self, places: Iterable[Place]) -> dict[Place, int]:
        """Return the end of each partition, including open transactions."""
        return self._offsets(places, OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED)  # type: ignore[no-untyped-call]  # as above

    def firsts(self, places: Iterable[Place]) -> dict[Place, int]:
        """Return the first offset that each partition still has."""
        return self._offsets(places, OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED)  # type: ignore[no-untyped-call]  # as above

    def offsets_at(self, places: Iterable[Place], at: int) -> dict[Place, int]:
        """Return the first offset of each partition that was written at this time or later."""
        partitions = list(places)
        ends = self.ends(partitions)
        offsets = self._offsets(partitions, OffsetSpec.for_timestamp(at), IsolationLevel.READ_UNCOMMITTED)
        return {place: offsets[place] if offsets[place] >= 0 else ends[place] for place in partitions}

    def read(self, firsts: Mapping[Place, int], ends: Mapping[Place, int], take: Take) -> None:
        """Hand over every committed record, each partition in order, up to these ends or a little beyond.

        Each partition is read to the end of a transaction, so that no transaction is seen in part.
        """
        remaining = {place: end for place, end in ends.items() if end > firsts[place]}
        if not remaining:
            return
        consumer = Consumer({**assigned_reader(dict(self.shared), "ensemble-verify"), **_QUEUE})
        try:
            consumer.assign([At(topic, partition, firsts[topic, partition]) for topic, partition in remaining])
            self._read(consumer, remaining, take, sum(remaining[place] - firsts[place] for place in remaining))
        finally:
            consumer.close()

    def _read(self, consumer: Consumer, remaining: dict[Place, int], take: Take, total: int) -> None:
        read, moved, reported = 0, time.monotonic(), time.monotonic()
        while remaining:
            records = self._next(consumer)
            before = (read, len(remaining))
            for record in records:
                read += _taken(record, remaining, take)
            now = time.monotonic()
            if (read, len(remaining)) != before:
                moved = now
            elif now - moved > self.stall_s:
                raise CannotCheck(_stalled(remaining, self.stall_s))
            if now - reported > _TELL_EVERY_S:
                reported = now
                self.tell(f"verify: {min(read, total)} of {total} records read")

    def _next(self, consumer: Consumer) -> list[Any]:
        """Return what comes next. Headers cost as much to read as all the rest, and those of states are never read."""
        first = consumer.poll(0.5)
        records = () if first is None else (first, *consumer.consume(_CHUNK, 0))
        return [record if record.topic() in STATE_TOPICS else readable(record) for record in records]

    def _offsets(self, places: Iterable[Place], spec: Any, isolation: IsolationLevel) -> dict[Place, int]:
        specs = {At(topic, partition): spec for topic, partition in places}
        return self._patiently("offsets", partial(self._list_offsets, specs, isolation)) if specs else {}

    def _list_offsets(self, specs: dict[At, Any], isolation: IsolationLevel) -> dict[Place, int]:
        answers = self.admin.list_offsets(specs, isolation_level=isolation, request_timeout=_ANSWER_S)
        return {(at.topic, at.partition): future.result(_ANSWER_S).offset for at, future in answers.items()}

    def _patiently(self, what: str, ask: Callable[[], T]) -> T:
        """Return the answer; it may take a while, and be asked for again."""
        return wait_for(
            partial(_asked_again, what, ask),
            inf,
            lambda: what,
            lambda _: self.tell(f"verify: waiting for Kafka: {what}"),
        )


def _asked_again(what: str, ask: Callable[[], T]) -> T:
    """Return the answer, asking again for a while: leaders and coordinators move, transactions are open."""
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return ask()
        except (KafkaException, TimeoutError) as error:
            why = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
            if "uthoriz" in why or time.monotonic() > deadline:
                raise CannotCheck(f"cannot read {what}: {why}") from None
        time.sleep(0.1)


def _taken(record: Any, remaining: dict[Place, int], take: Take) -> int:
    """Return 1 if the record was taken, else 0; a partition ends with its committed records, once far enough."""
    place, error = (record.topic(), record.partition()), record.error()
    if error is None:
        if place not in remaining:
            return 0
        take(record)
        return 1
    if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the client's own spelling
        if record.offset() >= remaining.get(place, 0):
            remaining.pop(place, None)
    elif error.fatal() or not (error.retriable() or error.code() == KafkaError._TRANSPORT):  # noqa: SLF001  as above
        raise CannotCheck(f"cannot read {record.topic() or 'from Kafka'}: {error.str()}")
    return 0


def _stalled(remaining: Mapping[Place, int], seconds: float) -> str:
    places = ", ".join(f"{topic}[{partition}]" for topic, partition in sorted(remaining)[:5])
    return (
        f"nothing could be read for {seconds:g} s from {places}: a transaction hangs open there, or the broker is "
        "away; check again once the services run"
    )
