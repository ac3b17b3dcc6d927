"""The broker that the Kafka client brings along: in the memory of this process, and up within milliseconds.

It keeps topics, records, offsets and transactions. It has no settings, no times of records, and takes no offsets in a
transaction; what a real broker answers to those, the integration tests show.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Producer

from ensemble.kafka.client_config import CLIENT_LOG

PARTITIONS = 4
_LIMIT_S = 60


@contextmanager
def client_broker(*topics: str) -> Iterator[str]:
    """Keep a broker with these topics, and yield its address."""
    owner = Producer({"test.mock.num.brokers": 1, "logger": CLIENT_LOG})
    for topic in topics:
        owner.list_topics(topic, timeout=_LIMIT_S)  # the first to ask for a topic makes it
    [broker] = owner.list_topics(timeout=_LIMIT_S).brokers.values()
    yield f"{broker.host}:{broker.port}"
