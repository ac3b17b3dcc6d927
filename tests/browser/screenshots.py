"""Makes a picture of every page in both themes: `python -m tests.browser.screenshots DIRECTORY`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from playwright.sync_api import sync_playwright
from structlog.testing import capture_logs

from tests.browser.conftest import CHROMIUM
from tests.browser.seed import seed
from tests.support.room_server import serve_room

README: Final = Path(__file__).parents[2] / "docs/screenshots"
"""Where the pictures of the README are."""
OF_README: Final = {("stage", "dark"), ("order", "light"), ("orders", "light")}
PAGES: Final = {
    "stage": "/",
    "orders": "/orders",
    "order": "/orders/order-no-answer",
    "order-full": "/orders/order-1000?full=true",
    "message": "/orders/order-1000?message=payments.events/1/0",
    "place": "/place",
    "charts": "/charts",
    "stock": "/stock",
    "dead-letters": "/dead-letters",
    "parked": "/parked",
    "pauses": "/pauses",
    "incidents": "/incidents",
    "consumers": "/consumers",
    "policies": "/policies",
    "audit": "/audit",
}
_SETTLE_MS: Final = 1_500
_HEIGHT: Final = 860


def main() -> int:
    """Make all pictures, and those of the README anew. Returns 1 without a browser."""
    directory = Path(sys.argv[1])
    if CHROMIUM is None:
        sys.stderr.write("screenshots: no Chromium on this machine (apt-get install chromium)\n")
        return 1
    directory.mkdir(parents=True, exist_ok=True)
    README.mkdir(exist_ok=True)
    with capture_logs(), serve_room() as server, sync_playwright() as playwright:
        seed(server)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for theme in ("light", "dark"):
            view = {"width": 1280, "height": _HEIGHT}
            page = browser.new_context(viewport=view, color_scheme=theme).new_page()  # type: ignore[arg-type]  # a size
            for name, path in PAGES.items():
                page.goto(server.url + path)
                page.wait_for_timeout(_SETTLE_MS)
                page.screenshot(path=directory / f"{name}-{theme}.png", full_page=True)
                if (name, theme) in OF_README:
                    page.screenshot(path=README / f"{name}.png")
        browser.close()
    sys.stdout.write(f"{2 * len(PAGES)} pictures in {directory}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
