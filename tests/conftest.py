"""Markers by folder, and examples of Hypothesis. The Kafka that all tests share is the library's plugin."""

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support.class_archive import OPTIONS, java_options, make_archive, note_path

pytest_plugins = ["ensemble.testing.pytest"]

FOLDERS = ("unit", "component", "browser", "contract", "integration", "end_to_end", "containers")
TESTS = Path(__file__).parent
NOWHERE = "1"
SETTINGS = ("KAFKA_", "ENSEMBLE_", "SCHEMA_REGISTRY_", "CONTROL_ROOM_", "PAYMENT_", "OTEL_")
OF_THE_SUITE = {"ENSEMBLE_KAFKA_PORT", "ENSEMBLE_CONFIG_DIR", "ENSEMBLE_JAVA"}
OF_A_CLUSTER = "KAFKA_"
"""The suite may run on a cluster that the environment names, which is nothing to unit and component tests."""
QUICK_START = "-XX:TieredStopAtLevel=1"
"""Brokers of tests live for a minute or two; with the optimizing compiler as well, each start would cost double."""


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    if pluginmanager.hasplugin("xdist"):
        from tests.support import parallel

        pluginmanager.register(parallel)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    _load_hypothesis_profile(config)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # it is for what a script starts in its background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # and would be for each process that a test interrupts
    for name in _settings():
        if not name.startswith(OF_A_CLUSTER):
            del os.environ[name]  # before test files are imported, some of which make services of these settings
    os.environ["ENSEMBLE_KAFKA_PORT"] = NOWHERE  # a system of compose that runs on this machine is not the tests'
    os.environ["ENSEMBLE_CONFIG_DIR"] = str(TESTS / "nowhere")  # profiles of whoever runs the tests are not theirs
    os.environ.setdefault(OPTIONS, QUICK_START + java_options(note_path()))
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # tests start hundreds of processes: each would compile all modules


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Make the archive of Kafka's classes before workers start, for a run that will start dozens of brokers."""
    from ensemble.testing.pytest import KAFKA_CHOICE

    options, note = session.config.option, note_path()
    is_long = bool(getattr(options, "numprocesses", 0)) and not options.markexpr and not options.keyword
    uses_brokers = session.config.stash[KAFKA_CHOICE].kafka == "embedded" and os.environ[OPTIONS] == QUICK_START
    if is_long and uses_brokers and not note.exists():
        make_archive(note)
        os.environ[OPTIONS] = QUICK_START + java_options(note)


def _load_hypothesis_profile(config: pytest.Config) -> None:
    """Try other examples in each run, on whatever machine; a seed that is given tries the same ones again."""
    patient: dict[str, Any] = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
    settings.register_profile("shared machine", derandomize=False, print_blob=True, **patient)
    settings.load_profile("shared machine")
    if config.option.hypothesis_seed is None:  # workers are given the seed of the process that started them
        config.option.hypothesis_seed = random.randrange(2**32)


def pytest_report_header(config: pytest.Config) -> str:
    return f"examples: --hypothesis-seed={config.option.hypothesis_seed} tries the same ones again"


def _settings() -> list[str]:
    """Return the settings in the environment that the suite itself does not need."""
    return [name for name in os.environ if name.startswith(SETTINGS) and name not in OF_THE_SUITE]


@pytest.fixture(autouse=True)
def _nothing_of_the_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings of whoever runs the tests are not those of a test that says itself what is set."""
    if request.node.get_closest_marker("unit") or request.node.get_closest_marker("component"):
        for name in _settings():
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _nothing_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Output is of no width or colour that the terminal of whoever runs the tests has, nor named after another's."""
    monkeypatch.setenv("ENSEMBLE_PROGRAM", "")
    for name in ("COLUMNS", "LINES", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        folder = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
        if folder in FOLDERS:
            item.add_marker(folder)
