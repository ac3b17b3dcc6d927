"""Markers by folder, and the Kafka that all tests share."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cluster import Cluster, cluster_for_tests, description

FOLDERS = ("unit", "component", "contract", "integration", "end_to_end")
TESTS = Path(__file__).parent


def pytest_report_header() -> str:
    return description()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if folder in FOLDERS:
            item.add_marker(folder)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Kafka for the whole session: `.bootstrap_servers`, and `.broker` for tests that kill and restart it."""
    with cluster_for_tests(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Make a name that no other test uses: `unique("orders")` for topics, groups and services."""
    return lambda name: f"{name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def topic_name(unique: Callable[[str], str]) -> str:
    """Name a topic that no other test uses."""
    return unique("topic")
