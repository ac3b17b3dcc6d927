"""A browser, and the control room on all services in memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, ViewportSize, expect, sync_playwright
from structlog.testing import capture_logs

from tests.browser.seed import seed
from tests.support.room_server import RoomServer, serve_room

expect.set_options(timeout=60_000)  # a busy machine is slow, and not wrong
USUAL: ViewportSize = {"width": 1280, "height": 900}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name what is not run where there is no browser."""
    for item in items:
        if CHROMIUM is None and "tests/browser" in item.path.as_posix():
            item.add_marker(pytest.mark.skip(reason="no Chromium on this machine (apt-get install chromium)"))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of a module: as long as Playwright runs, no other test of the process can run a loop."""
    assert CHROMIUM is not None, "the tests are skipped without one"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def shop() -> Iterator[RoomServer]:
    """A shop in the middle of its day: tests look at it, and change nothing."""
    with capture_logs(), serve_room() as server:
        seed(server)
        yield server


@pytest.fixture
def server() -> Iterator[RoomServer]:
    """An empty shop of the test's own."""
    with capture_logs(), serve_room() as server:
        yield server


@pytest.fixture
def view(browser: Browser) -> Iterator[View]:
    """A page of a browser that knows nothing yet; what it complains about fails the test."""
    view = View(browser)
    yield view
    view.close()
    assert view.complaints == []


@pytest.fixture(scope="module")
def _window(browser: Browser) -> Iterator[View]:
    view = View(browser)
    yield view
    view.close()


@pytest.fixture
def window(_window: View) -> Iterator[View]:
    """A page for tests that only look, one after the other: to open one costs more than what they do in it."""
    _window.page.set_viewport_size(USUAL)
    _window.page.emulate_media(color_scheme="light")
    yield _window
    _window.page.goto("about:blank")
    complaints, _window.complaints = _window.complaints, []
    assert complaints == []


class View:
    """What a person sees, and what the browser complains about meanwhile."""

    def __init__(self, browser: Browser, **options: Any) -> None:
        self._context = browser.new_context(**({"viewport": USUAL} | options))
        self._context.set_default_timeout(60_000)
        self.page: Page = self._context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._note)
        self.page.on("dialog", self._dismiss)

    def close(self) -> None:
        self._context.close()

    def text(self, selector: str = "main") -> str:
        return self.page.inner_text(selector)

    def _note(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(message.text)

    def _dismiss(self, dialog: Dialog) -> None:
        self.complaints.append(f"a dialog says {dialog.message}")
        dialog.dismiss()
