"""A pytest plugin: a real Kafka for the tests of services of your own.

    # conftest.py, at the top of the tests
    pytest_plugins = ["ensemble.testing.pytest"]

A test that takes `kafka` has one: that of KAFKA_BOOTSTRAP_SERVERS if it is set, else one in a container if an engine
answers, else an embedded one, which is fetched once. `pytest --kafka=env|containers|embedded` forces it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest

from ensemble.service.service import Service
from ensemble.testing.clusters import CHOICES, Cluster, KafkaChoice, choose, cluster_for_tests, detect_engine

if TYPE_CHECKING:
    from ensemble.testing.on_kafka import Outsider, ServiceThread

KAFKA_CHOICE: Final = pytest.StashKey[KafkaChoice]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kafka", choices=CHOICES, help="Which Kafka the tests run on; the report's header says which.")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[KAFKA_CHOICE] = choose(config.getoption("--kafka"), os.environ, detect_engine)


def pytest_report_header(config: pytest.Config) -> str:
    return str(config.stash[KAFKA_CHOICE])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Who asks for containers wants them tried: a test that is skipped then has failed."""
    report = yield
    if report.skipped and item.config.getoption("--kafka") == "containers":
        report.outcome = "failed"
        report.longrepr = f"skipped, although --kafka=containers asks for it: {report.longreprtext}"
    return report


@pytest.fixture(scope="session")
def kafka_choice(pytestconfig: pytest.Config) -> KafkaChoice:
    """Return which Kafka was chosen, for `ensemble.testing.clusters.cluster_for_tests`, which starts another one."""
    return pytestconfig.stash[KAFKA_CHOICE]


@pytest.fixture(scope="session")
def kafka(kafka_choice: KafkaChoice, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a Kafka for the whole session: `.bootstrap_servers`, and `.broker` for tests that kill and restart it."""
    with cluster_for_tests(kafka_choice, tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Make a name that no other test uses: `unique("orders")` for topics, groups and services."""
    return lambda name: f"{name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def topic_name(unique: Callable[[str], str]) -> str:
    """Name a topic that no other test uses."""
    return unique("topic")


@pytest.fixture
def outsider_of(kafka: Cluster) -> Iterator[Callable[[Service], Outsider]]:
    """Make the topics of a service, and return who writes its inputs and reads what became of them."""
    from ensemble.testing.on_kafka import Outsider

    with ExitStack() as at_end:
        yield lambda service: at_end.enter_context(Outsider(kafka.bootstrap_servers, service))


@pytest.fixture
def run_service(kafka: Cluster) -> Iterator[Callable[..., ServiceThread]]:
    """Run a service in a thread until the test ends: `run_service(SERVICE, poll_s=0.05)`; its topics have to exist."""
    from ensemble.testing.on_kafka import ServiceThread

    with ExitStack() as at_end:

        def run(service: Service, **settings: Any) -> ServiceThread:
            return at_end.enter_context(ServiceThread(service, kafka.bootstrap_servers, **settings))

        yield run
