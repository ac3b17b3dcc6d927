"""Markers by folder, and the Kafka that all tests share."""

import os
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.kafka_cluster import CHOICES, Cluster, KafkaChoice, choose, cluster_for_tests, detect_engine

FOLDERS = ("unit", "component", "contract", "integration", "end_to_end", "containers")
TESTS = Path(__file__).parent
NOWHERE = "1"
KAFKA_CHOICE = pytest.StashKey[KafkaChoice]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kafka", choices=CHOICES, help="Which Kafka the tests run on; the report's header says which.")


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile("shared machine", deadline=None)  # how long an example takes is the neighbours' affair
    settings.load_profile("shared machine")
    os.environ["ENSEMBLE_KAFKA_PORT"] = NOWHERE  # a system of compose that runs on this machine is not the tests'
    config.stash[KAFKA_CHOICE] = choose(config.getoption("--kafka"), os.environ, detect_engine)


def pytest_report_header(config: pytest.Config) -> str:
    return str(config.stash[KAFKA_CHOICE])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if folder in FOLDERS:
            item.add_marker(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Who asks for containers wants them tried: a test that is skipped then has failed."""
    report = yield
    if report.skipped and item.config.getoption("--kafka") == "containers":
        report.outcome = "failed"
        report.longrepr = f"skipped, although --kafka=containers asks for it: {report.longreprtext}"
    return report


@pytest.fixture(scope="session")
def kafka(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a Kafka for the whole session: `.bootstrap_servers`, and `.broker` for tests that kill and restart it."""
    with cluster_for_tests(pytestconfig.stash[KAFKA_CHOICE], tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Make a name that no other test uses: `unique("orders")` for topics, groups and services."""
    return lambda name: f"{name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def topic_name(unique: Callable[[str], str]) -> str:
    """Name a topic that no other test uses."""
    return unique("topic")
