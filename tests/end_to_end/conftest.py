"""One system for all tests of the flow; its logs are shown with whatever fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.end_to_end.system import System, running_system

_LOG_CHARACTERS = 6_000


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """The end of each member's log belongs to a failure."""
    report: pytest.TestReport = yield  # type: ignore[assignment]  # what a wrapper gets is the report
    system = getattr(item, "funcargs", {}).get("system")
    if report.failed and isinstance(system, System):
        report.sections += [(f"log of {name}", log[-_LOG_CHARACTERS:]) for name, log in system.logs()]
    return report  # type: ignore[return-value]  # as above


@pytest.fixture(scope="session")
def shared_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture
def system(shared_system: System) -> System:
    """The flow with everybody at work."""
    shared_system.begin_test()
    shared_system.make_whole()
    return shared_system


@pytest.fixture
def order_id(unique: Callable[[str], str]) -> str:
    """An order of the test's own."""
    return unique("order")
