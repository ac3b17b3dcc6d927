"""What an outsider does with a cluster: publish a record, read topics to their end, follow them. It commits nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from ensemble.errors import ConfigurationError, EnsembleError
from ensemble.kafka import client_config as clients
from ensemble.kafka.authorization import REFUSALS, hidden_topics, principal, refusal
from ensemble.kafka.connection import connect
from ensemble.kafka.offsets import low_watermarks, stable_ends
from ensemble.kafka.records import ReceivedRecord, TopicPlace
from ensemble.settings import KafkaSettings

__all__ = ["ClusterClient", "ClusterError", "Follower", "KafkaException", "open_client"]

Headers = list[tuple[str, Any]]
OnRead = Callable[[int, int], None]
"""Told how many records were read, of about how many."""

_ANSWER_S: Final = 10.0
_STALL_S: Final = 20.0
_CHUNK: Final = 5_000


class ClusterError(EnsembleError):
    """The cluster was there, but did not do what was asked of it."""


@dataclass(frozen=True)
class ClusterClient:
    """A cluster that has answered."""

    shared: dict[str, Any]
    admin: AdminClient

    @property
    def bootstrap_servers(self) -> str:
        return str(self.shared["bootstrap.servers"])

    def topics(self) -> dict[str, int]:
        """Every topic there is, with its number of partitions."""
        found = self.admin.list_topics(timeout=_ANSWER_S).topics
        return {name: len(topic.partitions) for name, topic in found.items()}

    def places(self, topics: Iterable[str]) -> list[TopicPlace]:
        """All partitions of these topics; ConfigurationError names those that do not exist."""
        wanted, there = list(topics), self.topics()
        if missing := [name for name in wanted if name not in there]:
            if unseen := hidden_topics(self.admin, missing):
                raise ConfigurationError(refusal(principal(self.shared), f"READ topic {', '.join(unseen)}"))
            raise ConfigurationError(
                f"no topic {', '.join(missing)} on {self.bootstrap_servers}; "
                "`ensemble topics apply` makes what is missing"
            )
        return [(name, partition) for name in wanted for partition in range(there[name])]

    def ends(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        """The end of what is committed, for each partition."""
        return stable_ends(self.admin, places, _ANSWER_S)

    def starts(self, places: Collection[TopicPlace]) -> dict[TopicPlace, int]:
        """The first offset that each partition still has."""
        return low_watermarks(self.admin, places, _ANSWER_S)

    def read(self, places: Collection[TopicPlace], on_read: OnRead | None = None) -> Iterator[ReceivedRecord]:
        """Every committed record of these partitions up to the ends they have now, partition by partition in order."""
        starts, ends = self.starts(places), self.ends(places)
        left = {place: end for place, end in ends.items() if end > starts[place]}
        total = sum(end - starts[place] for place, end in left.items())
        if not left:
            return
        consumer = Consumer(clients.assigned_reader(self.shared, "ensemble-cli"))
        try:
            consumer.assign([TopicPartition(topic, p, starts[topic, p]) for topic, p in left])
            yield from _read(consumer, left, on_read or (lambda *_: None), total)
        finally:
            consumer.close()

    def follow(self, places: Collection[TopicPlace], *, from_beginning: bool = False) -> Follower:
        """What is committed from now on, or from the beginning; close it."""
        return Follower(self, self.starts(places) if from_beginning else self.ends(places))

    def publish(self, topic: str, key: bytes, value: bytes, headers: Headers) -> tuple[int, int]:
        """Write one record and wait until it is safe; its partition and offset."""
        reports: list[Any] = []
        producer = Producer(_one_record_producer(self.shared))
        try:
            producer.produce(topic, value, key, headers=headers, on_delivery=lambda *report: reports.append(report))
        except KafkaException as error:
            raise ClusterError(f"{topic}: {error.args[0].str()}") from None
        producer.flush(_ANSWER_S + 2)
        if reports and reports[0][0] is not None and reports[0][0].code() in REFUSALS:
            raise ConfigurationError(refusal(principal(self.shared), f"WRITE topic {topic}"))
        return _delivered(topic, reports)


class Follower:
    """A reader that never ends. `poll` returns what has come, at the latest after its timeout."""

    def __init__(self, access: ClusterClient, offsets: dict[TopicPlace, int]) -> None:
        self.problem = ""
        """Why the cluster cannot be reached just now, or nothing."""
        self._ends = access.ends(offsets)
        config = {**clients.assigned_reader(access.shared, "ensemble-cli"), "error_cb": self._on_error}
        self._consumer = Consumer(config)
        self._consumer.assign([TopicPartition(topic, p, offset) for (topic, p), offset in offsets.items()])
        self._behind = {place for place, end in self._ends.items() if end > offsets[place]}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def has_caught_up(self) -> bool:
        """Whether everything that was there at the start has been read."""
        return not self._behind

    def poll(self, timeout_s: float) -> list[ReceivedRecord]:
        """The next records, none when nothing came in time."""
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        found = []
        for record in (first, *self._consumer.consume(_CHUNK, 0)):
            error = record.error()
            if error is None:
                self.problem = ""
                found.append(ReceivedRecord.of(record))
            elif error.code() not in {KafkaError._PARTITION_EOF, KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN}:
                raise ClusterError(f"cannot read {record.topic() or 'from Kafka'}: {error.str()}")
            self._behind -= self._passed(record)
        return found

    def close(self) -> None:
        self._consumer.close()

    def _passed(self, record: Any) -> set[TopicPlace]:
        place = (record.topic(), record.partition())
        error = record.error()
        at_end = error is not None and error.code() == KafkaError._PARTITION_EOF
        return {place} if at_end or (error is None and record.offset() + 1 >= self._ends.get(place, 0)) else set()

    def _on_error(self, error: Any) -> None:
        self.problem = error.str()


def _one_record_producer(shared: dict[str, Any]) -> dict[str, Any]:
    """Without idempotence, whose producer id costs half a second: if a retry writes a record twice, its id tells."""
    return {
        **clients.plain_producer(shared, "ensemble-cli"),
        "enable.idempotence": False,
        "message.timeout.ms": round(_ANSWER_S * 1000),
    }


def open_client(kafka: KafkaSettings, timeout_s: float = 8.0, *, quiet: bool = False) -> ClusterClient:
    """The cluster that the settings name; ConfigurationError when it cannot be reached."""
    shared, admin = connect(kafka, timeout_s, quiet=quiet)
    return ClusterClient(shared, admin)


def _read(consumer: Consumer, left: dict[TopicPlace, int], on_read: OnRead, total: int) -> Iterator[ReceivedRecord]:
    moved, read = time.monotonic(), 0
    while left:
        first = consumer.poll(0.5)
        if first is None:
            if time.monotonic() - moved > _STALL_S:
                raise ClusterError(f"nothing came for {_STALL_S:g} s while reading {next(iter(left))[0]}; is Kafka up?")
            continue
        moved = time.monotonic()
        for record in (first, *consumer.consume(_CHUNK, 0)):
            if received := _taken(record, left):
                read += 1
                yield received
        on_read(read, total)


def _taken(record: Any, left: dict[TopicPlace, int]) -> ReceivedRecord | None:
    """The record, if it is one, and lies before the end that was asked for."""
    place, error = (record.topic(), record.partition()), record.error()
    if error is not None:
        if error.code() == KafkaError._PARTITION_EOF:
            _finish(place, record.offset(), left)
        elif error.fatal() or not (error.retriable() or error.code() == KafkaError._TRANSPORT):
            raise ClusterError(f"cannot read {record.topic()}: {error.str()}")
        return None
    if place not in left or record.offset() >= left[place]:
        left.pop(place, None)
        return None
    _finish(place, record.offset() + 1, left)
    return ReceivedRecord.of(record)


def _finish(place: TopicPlace, offset: int, left: dict[TopicPlace, int]) -> None:
    if offset >= left.get(place, 0):
        left.pop(place, None)


def _delivered(topic: str, reports: list[Any]) -> tuple[int, int]:
    if not reports:
        raise ClusterError(f"{topic}: Kafka did not confirm the record within {_ANSWER_S:g} s; it may yet be written")
    error, record = reports[0]
    if error is not None and error.code() == KafkaError._UNKNOWN_TOPIC:
        raise ConfigurationError(f"no topic {topic}; `ensemble topics apply` makes what is missing")
    if error is not None:
        raise ClusterError(f"{topic}: {error.str()}")
    return (record.partition(), record.offset())
