"""Makes a picture of every page, in both themes, wide and narrow: `make screenshots`."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, sync_playwright
from structlog.testing import capture_logs

from backoffice.order_history import read_history
from ensemble.operations import Actor, DeadLetterFilter, Failures, Intent
from services.control_room.control_room import VIA
from services.control_room.work_actions import Redrive, StartPause
from tests.browser.conftest import CHROMIUM
from tests.browser.seed import bring_traffic, seed
from tests.support.room_server import RoomServer, serve_room

ROOT: Final = Path(__file__).parents[2]
README: Final = ROOT / "docs/screenshots"
"""Where the pictures of the README are."""
DIGEST: Final = README / "pages.sha256"
"""What they were made of."""
OF_README: Final = {("stage", "dark"), ("order", "light"), ("orders", "light")}
PAGES: Final = {
    "stage": "/",
    "orders": "/orders",
    "order": "/orders/order-no-answer",
    "order-full": "/orders/order-1000?full=true",
    "message": "/orders/order-1000?message={message}",
    "cancel": "/orders/order-no-answer/cancel",
    "bulk": "/act?action=pause&where=status%3Dfulfilled",
    "place": "/place",
    "charts": "/charts",
    "stock": "/stock",
    "ledger": "/stock/ledger",
    "dead-letters": "/dead-letters",
    "dead-letter": "/dead-letters/{letter}",
    "edit": "/dead-letters/edit?place={letter}",
    "plan": "/plans/{plan}",
    "runs": "/runs",
    "run": "/runs/{run}",
    "parked": "/parked",
    "pauses": "/pauses",
    "incidents": "/incidents",
    "consumers": "/consumers",
    "policies": "/policies",
    "audit": "/audit",
}
WIDTHS: Final = (1280, 390)
_SHOWN: Final = (
    "services/control_room/templates/base.html",
    *(f"services/control_room/templates/{page}.html" for page in ("stage", "order", "orders")),
    "services/control_room/static/control_room.css",
    "services/control_room/pages/stage.py",
    *(f"libs/backoffice/{module}.py" for module in ("stage", "stage_status", "sequence", "sequence_drawing")),
)
_DAY_S: Final = 120
"""As long as the seed's day lasts."""
_SETTLE_MS: Final = 1_500
_HEIGHT: Final = 900
_REASON: Final = "the bank counts its refunds until ten"


def digest_of_pages() -> str:
    """Return what the pages of the README's pictures are made of, as one number: equal files give equal ones."""
    parts = (hashlib.sha256((ROOT / path).read_bytes()).hexdigest() for path in _SHOWN)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def main() -> int:
    """Make the pictures, and without `--pages` those of the README anew. Returns 1 without a browser."""
    parser = argparse.ArgumentParser(prog="screenshots")
    parser.add_argument("directory", type=Path, nargs="?", default=ROOT / "build/screenshots")
    parser.add_argument("--pages", default="", help=f"some of {', '.join(PAGES)}, with commas")
    arguments = parser.parse_args()
    if CHROMIUM is None:
        sys.stderr.write("screenshots: no Chromium on this machine (apt-get install chromium)\n")
        return 1
    names = [name for name in arguments.pages.split(",") if name] or list(PAGES)
    if unknown := [name for name in names if name not in PAGES]:
        parser.error(f"--pages: there is no page {unknown[0]!r}; there are {', '.join(PAGES)}")
    arguments.directory.mkdir(parents=True, exist_ok=True)
    with capture_logs(), serve_room(ago_s=_DAY_S) as server, sync_playwright() as playwright:
        seed(server)
        paths = {name: path for name, path in _paths(server).items() if name in names}
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        count = sum(1 for _ in _pictures(browser, server.url, paths, arguments.directory))
        if not arguments.pages:
            _make_readme_pictures(browser, server)
        browser.close()
    sys.stdout.write(f"{count} pictures in {arguments.directory}\n")
    return 0


def _paths(server: RoomServer) -> dict[str, str]:
    """Return the path of each page, with what there is to be shown: a message, a dead letter, a plan and a run."""
    room = server.room
    history = read_history(room.session, room.control, "order-1000")
    letter = Failures(room.view).list(DeadLetterFilter(), 1)[0].position
    planned = room.actions.plan_work(Redrive(dead_letters=(str(letter),))).plan
    pause = room.actions.plan_work(StartPause(scope="command", name="RefundPayment")).plan
    run, _ = room.actions.start(pause.id, Intent(actor=Actor(name="ann", via=VIA), reason=_REASON), None)
    message = next(line.entry.place for line in history.lines if line.entry.type == "PaymentConfirmed")
    places = {"message": message, "letter": letter, "plan": planned.id, "run": run.id}
    return {name: path.format_map(places) for name, path in PAGES.items()}


def _pictures(browser: Browser, url: str, paths: Mapping[str, str], directory: Path) -> Iterator[Path]:
    for theme in ("light", "dark"):
        for width in WIDTHS:
            page = _page(browser, theme, width)
            for name, address in paths.items():
                path = directory / f"{name}-{theme}-{width}.png"
                page.goto(url + address)
                page.wait_for_timeout(_SETTLE_MS)
                page.screenshot(path=path, full_page=True)
                yield path


def _make_readme_pictures(browser: Browser, server: RoomServer) -> None:
    README.mkdir(exist_ok=True)
    for name, theme in sorted(OF_README):
        page = _page(browser, theme, WIDTHS[0])
        page.goto(server.url + PAGES[name])
        if name == "stage":  # the last of them: with traffic nothing is stuck any more that the others show
            bring_traffic(server)
        page.wait_for_timeout(_SETTLE_MS)
        page.screenshot(path=README / f"{name}.png")
    DIGEST.write_text(f"{digest_of_pages()}\n")


def _page(browser: Browser, theme: Any, width: int) -> Any:
    return browser.new_context(viewport={"width": width, "height": _HEIGHT}, color_scheme=theme).new_page()


if __name__ == "__main__":
    sys.exit(main())
