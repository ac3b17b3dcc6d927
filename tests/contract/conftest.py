"""The drivers that a port's suite runs on."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kafka_cluster import Cluster
from tests.support.scripted_service.drivers import KafkaPlay, MemoryPlay, Play


@pytest.fixture(scope="session")
def kafka_play(kafka: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaPlay]:
    """One service for all suites; each test takes a key of its own."""
    play = KafkaPlay(f"contract-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("flags"), kafka.bootstrap_servers)
    yield play
    play.close()


@pytest.fixture(params=["memory", "kafka"])
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Play:
    if request.param == "memory":
        return MemoryPlay("contract", tmp_path)
    on_kafka: KafkaPlay = request.getfixturevalue("kafka_play")
    return on_kafka


@pytest.fixture
def key() -> str:
    """An account that no other test uses."""
    return f"a-{uuid.uuid4().hex[:8]}"
