"""Which Kafka the tests run on: an existing one that the environment names, else an embedded one of their own."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from ensemble.kafka.embedded import EmbeddedKafka, on_stderr


@dataclass(frozen=True)
class Cluster:
    """The Kafka of this test session."""

    bootstrap_servers: str
    embedded: EmbeddedKafka | None = None

    @property
    def broker(self) -> EmbeddedKafka:
        """Return the broker to kill and restart; the test is skipped where it is not ours."""
        if self.embedded is None:
            pytest.skip("needs an embedded Kafka: this one is not ours to kill")
        return self.embedded


def description(environment: Mapping[str, str] = os.environ) -> str:
    named = environment.get("KAFKA_BOOTSTRAP_SERVERS")
    return f"kafka: {named} (KAFKA_BOOTSTRAP_SERVERS)" if named else "kafka: embedded, started when a test asks for it"


@contextmanager
def cluster_for_tests(directory: Path, environment: Mapping[str, str] = os.environ) -> Iterator[Cluster]:
    """Give the session its Kafka. This is the one place that chooses."""
    named = environment.get("KAFKA_BOOTSTRAP_SERVERS")
    if named:
        yield Cluster(named)
        return
    broker = EmbeddedKafka(directory)
    try:
        yield Cluster(broker.start(on_stderr).bootstrap_servers, broker)
    finally:
        broker.stop()
        broker.erase()
