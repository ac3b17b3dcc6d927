"""Reads partitions that are assigned by hand: a part at a time, up to given ends, or on and on."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Final, Self

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from ensemble.kafka.errors import PASSING, ClusterError, as_cluster_errors
from ensemble.kafka.records import ReceivedRecord, TopicPlace, topic_place_of

Select = Callable[[Message], bool]
"""Says of a record as the client has it whether it is meant: what is not is never copied."""

_POLL_S: Final = 0.5
_CHUNK: Final = 10_000
_READ: Final = 2_000
"""So many records are held at once: each takes ten times its bytes while it is handled."""


def poll_batch(consumer: Consumer, wait_s: float, limit: int = _CHUNK) -> list[Message]:
    """Wait for one record or event, and return it with what else has come, `limit` in all."""
    first = consumer.poll(wait_s)
    return [] if first is None else [first, *consumer.consume(limit - 1, 0)]


class Reader:
    """Reads partitions from given offsets on and knows how far it is. It commits nothing; use it in a `with`."""

    def __init__(
        self,
        config: Mapping[str, Any],
        on_error: Callable[[KafkaError], None] | None = None,
        *,
        make_consumer: Callable[[dict[str, Any]], Consumer] = Consumer,
    ) -> None:
        self._consumer = make_consumer({**config, "error_cb": on_error} if on_error else dict(config))
        self.positions: dict[TopicPlace, int] = {}
        """The offset of each partition before which everything has been read."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._consumer.close()

    def start(self, offsets: Mapping[TopicPlace, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        self.positions = dict(offsets)
        with as_cluster_errors():
            self._consumer.assign([TopicPartition(topic, p, offset) for (topic, p), offset in offsets.items()])

    def behind(self, ends: Mapping[TopicPlace, int]) -> list[TopicPlace]:
        """Return the partitions that have not been read up to these ends."""
        return [place for place, end in ends.items() if end > self.positions[place]]

    def poll(self, wait_s: float) -> list[Message]:
        """Return the records that have come, after `wait_s` at the latest. Raises ClusterError if reading fails.

        Of the positions, only those of partitions that were read to their present end are moved.
        """
        with as_cluster_errors():
            records = poll_batch(self._consumer, wait_s, _READ)
        return [record for record in records if self._is_record(record)]

    def fetch(self, wait_s: float) -> list[Message]:
        """Return the records like `poll`, and move the positions behind them: the caller handles them now."""
        records = self.poll(wait_s)
        for record in records:
            place = topic_place_of(record)
            self.positions[place] = max(self.positions[place], (record.offset() or 0) + 1)
        return records

    def receive(self, wait_s: float, select: Select | None = None) -> list[ReceivedRecord]:
        """Return the selected of the records that `fetch` returns, as copies."""
        return [ReceivedRecord.of(record) for record in self.fetch(wait_s) if select is None or select(record)]

    def read_to(
        self, ends: Mapping[TopicPlace, int], stall_s: float, select: Select | None = None
    ) -> Iterator[list[ReceivedRecord]]:
        """Yield the selected records before these ends, part by part. A partition at its end is read no further.

        Raises ClusterError if nothing comes for `stall_s`.
        """
        moved_at, reading = time.monotonic(), set(ends)
        while behind := self.behind(ends):
            self._leave(reading.difference(behind))
            before, reading = dict(self.positions), set(behind)
            records = self.receive(_POLL_S, select)
            yield [record for record in records if record.offset < ends[record.topic, record.partition]]
            if self.positions != before:
                moved_at = time.monotonic()
            elif time.monotonic() - moved_at > stall_s:
                raise ClusterError(f"nothing came for {stall_s:g} s while reading {behind[0][0]}; is Kafka up?")

    def _leave(self, places: Collection[TopicPlace]) -> None:
        """Read these partitions no further: what lies behind would be fetched as long as others are read."""
        if places:
            with as_cluster_errors():
                self._consumer.incremental_unassign([TopicPartition(*place) for place in places])

    def _is_record(self, record: Message) -> bool:
        error: Any = record.error()
        if error is None:
            return True
        if error.code() == KafkaError._PARTITION_EOF:
            place = (record.topic() or "", record.partition() or 0)
            self.positions[place] = max(self.positions[place], record.offset() or 0)
        elif error.code() not in PASSING:
            raise ClusterError(f"cannot read {record.topic() or 'from Kafka'}: {error.str()}")
        return False
