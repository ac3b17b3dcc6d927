"""The drivers that a port's suite runs on."""

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ensemble.testing.clusters import Cluster
from tests.support.scripted_service.drivers import RunningService, ServiceInMemory, ServiceOnKafka
from tests.support.sharing import shared_by_unit


@pytest.fixture(scope="session")
def service_on_kafka(
    pytestconfig: pytest.Config, kafka: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceOnKafka]:
    """One service for all suites; each test takes a key of its own."""
    running = ServiceOnKafka(
        f"contract-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("flags"), kafka.bootstrap_servers
    )
    yield from shared_by_unit(pytestconfig, closing(running))


@pytest.fixture(scope="session")
def service_on_disk(
    pytestconfig: pytest.Config, kafka: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServiceOnKafka]:
    """The same with its accounts on disk."""
    running = ServiceOnKafka(f"disk-{uuid.uuid4().hex[:8]}", tmp_path_factory.mktemp("disk"), kafka.bootstrap_servers)
    yield from shared_by_unit(pytestconfig, closing(running))


@pytest.fixture(params=["memory", "kafka"])
def running(request: pytest.FixtureRequest, tmp_path: Path) -> RunningService:
    if request.param == "memory":
        return ServiceInMemory("contract", tmp_path)
    on_kafka: ServiceOnKafka = request.getfixturevalue("service_on_kafka")
    return on_kafka


@pytest.fixture
def key() -> str:
    """Return an account that no other test uses."""
    return f"a-{uuid.uuid4().hex[:8]}"
