"""The Kafka that is measured on, its topics, and the records put there beforehand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from ensemble import Topic
from ensemble.embedded import EmbeddedKafka
from ensemble.kafka.admin import topics
from ensemble.kafka.client import common_settings, plain_producer
from ensemble.settings import KafkaSettings


@dataclass(frozen=True)
class Cluster:
    """A broker, and what clients need to reach it."""

    bootstrap: str

    @property
    def shared(self) -> dict[str, Any]:
        return common_settings(self.bootstrap, KafkaSettings(bootstrap_servers=self.bootstrap))

    @property
    def admin(self) -> AdminClient:
        return AdminClient(self.shared)

    def make(self, declared: Iterable[Topic]) -> None:
        """Create these topics."""
        topics.apply(self.admin, declared)

    def commit(self, group: str, offsets: Mapping[tuple[str, int], int]) -> None:
        """Have a group read on at these offsets."""
        consumer = Consumer({**self.shared, "group.id": group})
        try:
            positions = [TopicPartition(*place, offset) for place, offset in offsets.items()]
            consumer.commit(offsets=positions, asynchronous=False)
        finally:
            consumer.close()

    def topics(self) -> list[str]:
        """Return the names of all topics, those included that a program has made itself."""
        return list(self.admin.list_topics(timeout=20).topics)

    def drop(self, names: Iterable[str]) -> None:
        """Delete topics, so that the broker's disk and memory stay as they were."""
        for future in self.admin.delete_topics(list(names), operation_timeout=90).values():
            future.exception(120)

    def producer(self, linger_ms: float) -> Producer:
        """Return a producer outside of any service, with room for a whole load."""
        room = {"queue.buffering.max.messages": 2_000_000, "linger.ms": linger_ms}
        return Producer({**plain_producer(self.shared, "benchmark"), **room})


@contextmanager
def broker(heap: str, kept_in: Path | None = None) -> Iterator[Cluster]:
    """Run a broker in a temporary directory, or on the data that `kept_in` has of an earlier run."""
    with ExitStack() as stack:
        directory = kept_in or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ensemble-bench-")))
        running = stack.enter_context(EmbeddedKafka(directory, heap=heap))
        yield Cluster(running.bootstrap_servers)
