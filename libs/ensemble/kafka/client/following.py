"""Reading some partitions on and on, each time to the end of all that was under way when asked."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, TopicPartition

from ensemble.kafka import client_config as clients
from ensemble.kafka.client.access import ClusterClient, ClusterError
from ensemble.kafka.offsets import high_watermarks
from ensemble.kafka.records import ReceivedRecord, TopicPlace

_CHUNK: Final = 5_000
_POLL_S: Final = 0.2
_PASSING: Final = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN})


class Tail:
    """Committed records of some partitions, from given offsets on; use it in a `with`.

    What one transaction wrote to several of them is seen as a whole by the next `read_on` after any part was seen.
    """

    def __init__(self, access: ClusterClient, offsets: Mapping[TopicPlace, int]) -> None:
        self._admin, self._at = access.admin, dict(offsets)
        self._consumer = Consumer(clients.assigned_reader(access.shared, "ensemble-cli"))
        self._consumer.assign([TopicPartition(topic, p, offset) for (topic, p), offset in offsets.items()])

    @classmethod
    def from_beginning(cls, access: ClusterClient, topics: Iterable[str]) -> Tail:
        """Everything that these topics still have, then what comes."""
        return cls(access, access.starts(access.places(topics)))

    @classmethod
    def from_now(cls, access: ClusterClient, topics: Iterable[str]) -> Tail:
        """What is committed from now on."""
        return cls(access, access.ends(access.places(topics)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._consumer.close()

    def read_on(self, limit_s: float = 30.0) -> list[ReceivedRecord]:
        """The records since the last call. Transactions that are open now are waited for.

        ClusterError when they take longer than `limit_s`.
        """
        ends, limit = high_watermarks(self._admin, self._at, limit_s), time.monotonic() + limit_s
        found: list[ReceivedRecord] = []
        while behind := [place for place, end in ends.items() if end > self._at[place]]:
            if time.monotonic() > limit:
                topic, partition = behind[0]
                raise ClusterError(
                    f"{topic}[{partition}] could not be read to its end within {limit_s:g} s: is a transaction open?"
                )
            found += self._polled()
        return found

    def _polled(self) -> list[ReceivedRecord]:
        first = self._consumer.poll(_POLL_S)
        records = [] if first is None else [first, *self._consumer.consume(_CHUNK, 0)]
        return [taken for record in records if (taken := self._taken(record)) is not None]

    def _taken(self, record: Any) -> ReceivedRecord | None:
        error, place = record.error(), (record.topic(), record.partition())
        if error is None:
            self._at[place] = record.offset() + 1
            return ReceivedRecord.of(record)
        if error.code() == KafkaError._PARTITION_EOF:
            self._at[place] = max(self._at[place], record.offset())
        elif error.code() not in _PASSING:
            raise ClusterError(f"cannot read {record.topic() or 'from Kafka'}: {error.str()}")
        return None
