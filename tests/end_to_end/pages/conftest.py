"""A browser on the control room as it runs: a process of its own beside the flow, on the flow's Kafka."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ensemble.testing.pytest import KAFKA_CHOICE
from launcher import CONTROL_ROOM, SANDBOX, Fleet, RemoteControl
from tests.browser.conftest import CHROMIUM, View
from tests.end_to_end.system import System, fresh_system
from tests.support.forks import start_member

_LIMIT_MS = 60_000
_LOG_CHARACTERS = 12_000
_TIMEOUT_S = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test of this folder its time, and name what is not run where there is no browser."""
    for item in items:
        if "tests/end_to_end/pages" in item.path.as_posix():
            item.add_marker(pytest.mark.timeout(_TIMEOUT_S))
            if CHROMIUM is None:
                item.add_marker(pytest.mark.skip(reason="no Chromium on this machine (apt-get install chromium)"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the end of the control room's log to the report of a failure."""
    report: pytest.TestReport = yield  # type: ignore[assignment]  # what a wrapper gets is the report
    fleet = getattr(item, "funcargs", {}).get("control_room")
    if report.failed and isinstance(fleet, Fleet):
        report.sections.append(("log of the control room", fleet.log(CONTROL_ROOM).read_text()[-_LOG_CHARACTERS:]))
    return report  # type: ignore[return-value]  # as above


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for a module: as long as Playwright runs, no other test of the process can run a loop."""
    assert CHROMIUM is not None, "the tests are skipped without one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shared_system(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A flow of the pages' own, whose broker they kill; it ends with them."""
    with fresh_system(pytestconfig.stash[KAFKA_CHOICE], tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture(scope="module")
def control_room(shared_system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """The control room's process, which knows where those of the flow answer, and may kill and restart them."""
    urls = {name: [member.url] for name, member in shared_system.fleet.members.items() if name != SANDBOX}
    environment = {"KAFKA_SECURITY_PROTOCOL": "PLAINTEXT", "ENSEMBLE_HEALTH_URLS": json.dumps(urls)}
    bootstrap, directory = shared_system.access.bootstrap_servers, tmp_path_factory.mktemp("control-room")
    with closing(RemoteControl(shared_system.fleet)) as remote:
        fleet = Fleet(bootstrap, directory, [CONTROL_ROOM], {**environment, **remote.settings})
        fleet.start_with(start_member)
        with fleet:
            yield fleet


@pytest.fixture
def page(chromium: Browser, control_room: Fleet) -> Iterator[Page]:
    """A page of a browser that knows nothing yet; it waits for the flow as long as tests of the flow do."""
    view = View(chromium, base_url=control_room.control_room_url)
    view.page.set_default_timeout(_LIMIT_MS)
    yield view.page
    view.close()
