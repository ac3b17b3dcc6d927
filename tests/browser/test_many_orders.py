"""Ten thousand orders in one list: counted, searched, and scrolled through with few rows in the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from structlog.testing import capture_logs

from ensemble.operations import now
from tests.browser.conftest import View
from tests.support.room_server import RoomServer, serve_room

ORDERS = 10_000
PAGES = 30
ROWS_A_PAGE = 50
MOST_ROWS = 800
_FILL = """
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < ? - 1)
    INSERT INTO orders (order_id, status, changed_at, state_partition, state_offset, customer_id, amount, currency,
                        warehouse_id, shipping_speed, placed_at, is_placed)
    SELECT printf('order-%05d', n), iif(n % 10, 'completed', 'cancelled'), ? - 1000 * n, 0, n, 'c-' || n % 100, 100 * n,
           'EUR', 'main', 'standard', ? - 1000 * n, 1 FROM numbers
"""
_COUNT = "INSERT INTO order_counts SELECT status, '', '', '', COUNT(*) FROM orders GROUP BY status"


_SCROLL = """pages => {
    document.querySelector("#more").scrollIntoView();  // which is another element with each page that comes
    return document.querySelectorAll("#rows > .chunk").length > pages;
}"""


@pytest.fixture(scope="module")
def busy_shop() -> Iterator[RoomServer]:
    """A shop whose view has ten thousand orders, the latest first in the list: order-00000."""
    with capture_logs(), serve_room() as server:
        with server.room.view._storage.writing() as db:
            db.execute(_FILL, (ORDERS, now(), now()))
            db.execute(_COUNT)
        yield server


def test_ten_thousand_orders_are_counted_and_each_is_found(busy_shop: RoomServer, view: View) -> None:
    view.page.goto(f"{busy_shop.url}/orders")
    chips = view.page.locator("#chips")
    expect(chips).to_contain_text("all 10,000")
    expect(chips).to_contain_text("completed 9,000")

    view.page.fill("input[type=search]", "09987")
    view.page.click("button:has-text('Filter')")

    expect(view.page.locator("[data-row]")).to_have_count(1)
    expect(view.page.locator("#rows")).to_contain_text("order-09987")
    expect(chips).to_contain_text("all 1")


def test_however_far_one_scrolls_few_rows_are_in_the_page_and_those_above_come_back(
    busy_shop: RoomServer, view: View
) -> None:
    # given a list of which many pages have been scrolled through
    view.page.goto(f"{busy_shop.url}/orders")
    for pages in range(1, PAGES + 1):
        view.page.wait_for_function(_SCROLL, arg=pages)

    # then few of its rows are in the page, and it is as high as with all of them
    expect(view.page.locator("#rows")).to_contain_text(f"order-{PAGES * ROWS_A_PAGE:05}")
    view.page.wait_for_function(f"document.querySelectorAll('[data-row]').length < {MOST_ROWS}")
    assert view.page.evaluate("document.documentElement.scrollHeight") > PAGES * ROWS_A_PAGE * 30

    # when one goes back to the top, then the first ones are there again
    view.page.evaluate("scrollTo(0, 0)")
    expect(view.page.locator("#rows")).to_contain_text("order-00000")
