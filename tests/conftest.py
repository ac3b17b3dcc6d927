"""Markers by folder, and the Kafka that all tests share."""

import os
import random
import uuid
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.kafka_cluster import CHOICES, Cluster, KafkaChoice, choose, cluster_for_tests, detect_engine

FOLDERS = ("unit", "component", "contract", "integration", "end_to_end", "containers")
TESTS = Path(__file__).parent
NOWHERE = "1"
QUICK_START = "-XX:TieredStopAtLevel=1"
"""Brokers of tests live for a minute or two; with the optimizing compiler as well, each start would cost double."""
KAFKA_CHOICE = pytest.StashKey[KafkaChoice]()


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    if pluginmanager.hasplugin("xdist"):
        from tests.support import parallel

        pluginmanager.register(parallel)
    parser.addoption("--kafka", choices=CHOICES, help="Which Kafka the tests run on; the report's header says which.")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    _load_hypothesis_profile(config)
    os.environ["ENSEMBLE_KAFKA_PORT"] = NOWHERE  # a system of compose that runs on this machine is not the tests'
    os.environ.setdefault("JDK_JAVA_OPTIONS", QUICK_START)
    config.stash[KAFKA_CHOICE] = choose(config.getoption("--kafka"), os.environ, detect_engine)


def _load_hypothesis_profile(config: pytest.Config) -> None:
    """Try other examples in each run, on whatever machine; a seed that is given tries the same ones again."""
    patient: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("shared machine", derandomize=False, print_blob=True, **patient)
    settings.load_profile("shared machine")
    if config.option.hypothesis_seed is None:  # workers are given the seed of the process that started them
        config.option.hypothesis_seed = random.randrange(2**32)


def pytest_report_header(config: pytest.Config) -> list[str]:
    seed = config.option.hypothesis_seed
    return [str(config.stash[KAFKA_CHOICE]), f"examples: --hypothesis-seed={seed} tries the same ones again"]


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
