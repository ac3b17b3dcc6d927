"""One system for all tests of the flow; its logs are shown with whatever fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ensemble.testing.pytest import KAFKA_CHOICE
from tests.end_to_end.system import System, fresh_system
from tests.support.sharing import shared_by_unit

_HERE = Path(__file__).parent
_LOG_CHARACTERS = 6_000
_TIMEOUT_S = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test the time in which a dozen processes start: the first one waits for them."""
    for item in items:
        if item.path.parent == _HERE and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_TIMEOUT_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the end of each member's log to the report of a failure."""
    report: pytest.TestReport = yield  # type: ignore[assignment]  # what a wrapper gets is the report
    system = getattr(item, "funcargs", {}).get("system")
    if report.failed and isinstance(system, System):
        report.sections += [(f"log of {name}", log[-_LOG_CHARACTERS:]) for name, log in system.logs()]
    return report  # type: ignore[return-value]  # as above


@pytest.fixture(scope="session")
def shared_system(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    choice, directory = pytestconfig.stash[KAFKA_CHOICE], tmp_path_factory.mktemp("system")
    yield from shared_by_unit(pytestconfig, fresh_system(choice, directory))


@pytest.fixture
def system(shared_system: System) -> System:
    """Return the flow with every member running."""
    shared_system.begin_test()
    shared_system.make_whole()
    return shared_system


@pytest.fixture
def order_id(unique: Callable[[str], str]) -> str:
    """Return an order id of the test's own."""
    return unique("order")
