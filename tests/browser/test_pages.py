"""The pages as a person meets them: what they show, by mouse and by keyboard, wide and narrow, light and dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Route, expect

from contracts import PauseOrder, RequestCancellation, ResumeOrder
from services.control_room.view_updates import ReadingProgress, ViewStatus
from tests.browser.conftest import View
from tests.support.order_messages import place_order
from tests.support.room_server import RoomServer

AXE = (Path(__file__).parent.parent / "support/axe/axe.min.js").read_text()
PAGES = ("/", "/orders", "/orders/order-no-answer?full=true", "/charts", "/stock", "/pauses", "/dead-letters",
         "/parked", "/incidents", "/consumers", "/policies", "/audit")  # fmt: skip
COLLECTED_MS = 1_000
"""So long a page collects changes before it asks anew."""
_COUNT_TRAVELLERS = """() => {
  window.travellers = 0;
  const seen = (changes) => {
    for (const { addedNodes } of changes) {
      window.travellers += [...addedNodes].filter((node) => node.matches?.(".traveller")).length;
    }
  };
  new MutationObserver(seen).observe(document.querySelector(".stage.dots"), { childList: true, subtree: true });
}"""
HOSTILE = "<img src=x onerror=alert(1)>\N{RIGHT-TO-LEFT OVERRIDE}\x1b[31m<script>alert(2)</script>"


def test_the_list_shows_orders_by_status_and_filters_like_the_command_line(shop: RoomServer, view: View) -> None:
    view.page.goto(f"{shop.url}/orders")
    everything = view.page.locator("tbody tr").count()
    view.page.click(".chip:has-text('completed')")
    view.page.wait_for_url("**completed*")
    completed = view.page.locator("tbody tr").count()
    view.page.fill("input[type=search]", "customer=grace* speed=express")
    view.page.click("button:has-text('Filter')")
    view.page.wait_for_url("**express*")

    assert 0 < completed < everything
    assert {cell.split("\n")[0] for cell in view.page.locator("td[data-label=Customer]").all_inner_texts()} == {
        "grace.hopper express"
    }


def test_a_filter_that_is_none_is_answered_with_words(shop: RoomServer, view: View) -> None:
    view.page.goto(f"{shop.url}/orders?where=colour%3Dred")

    assert "no field 'colour'; fields are order, status" in view.text("[role=alert]")


def test_one_order_says_why_it_is_stuck_and_what_would_help(shop: RoomServer, view: View) -> None:
    view.page.goto(f"{shop.url}/orders/order-paused")

    assert "Operator ann paused it" in view.text(".banner")
    assert view.page.locator(".banner .button").first.inner_text() == "Resume this order"
    assert "ReservationConfirmed or ReservationRejected" in view.text(".diagram")


def test_a_message_of_the_diagram_is_opened_and_has_an_address_of_its_own(shop: RoomServer, view: View) -> None:
    view.page.goto(f"{shop.url}/orders/order-1000")
    view.page.click(".seq a:has-text('PaymentConfirmed')")
    view.page.wait_for_selector("#message")
    address = view.page.url
    view.page.goto(address)

    assert "payments.events/" in view.text("#message")
    assert "ce_causationid" in view.text("#message")
    assert "orchestration with events" in view.text("#message")


def test_no_token_that_pays_is_in_any_page(shop: RoomServer, view: View) -> None:
    view.page.goto(f"{shop.url}/orders/order-1000")
    view.page.click(".seq a:has-text('PlaceOrder')")
    view.page.wait_for_selector("#message")

    assert "(hidden)" in view.text("#message")
    assert "tok_approve" not in view.page.content()


def test_the_stage_shows_what_fails_and_leads_to_its_cause(shop: RoomServer, view: View) -> None:
    view.page.goto(shop.url)
    view.page.wait_for_selector(".edge.failing")
    view.page.locator("[data-label='payment-payment-command-orchestrated'] .cause").click()
    view.page.wait_for_selector("h1:has-text('Parked keys')")

    assert "order-provider-down" in view.text()


@pytest.mark.parametrize(("motion", "is_moving"), [("no-preference", True), ("reduce", False)])
def test_messages_travel_above_the_stage_unless_one_prefers_it_still(
    server: RoomServer, browser: Browser, motion: Any, *, is_moving: bool
) -> None:
    # given a stage that is looked at
    view = View(browser, reduced_motion=motion)
    view.page.goto(server.url)
    expect(view.page.locator(".freshness .dot.live")).to_be_visible()
    view.page.evaluate(_COUNT_TRAVELLERS)

    # when an order is placed
    server.publish(place_order())
    expect(view.page.locator("#rate")).not_to_have_text("0 in a minute")
    view.page.wait_for_timeout(COLLECTED_MS)
    count = view.page.evaluate("window.travellers")
    view.close()

    # then its messages are seen on their way
    assert (count > 0, view.complaints) == (is_moving, [])


def test_the_stage_looks_back(shop: RoomServer, view: View) -> None:
    view.page.goto(shop.url)
    view.page.wait_for_selector("#rate:has-text('in a minute')")
    view.page.locator("#ago").fill("-3600")
    view.page.wait_for_selector("#rate:text-is('0 in a minute')")
    view.page.click("#to-now")

    assert view.page.locator("#ago").input_value() == "0"


def test_a_change_that_comes_while_a_page_is_being_replaced_is_shown(server: RoomServer, view: View) -> None:
    server.flow.stopped = {"payment", "inventory"}
    server.publish(place_order())
    held: list[Route] = []
    view.page.goto(f"{server.url}/orders/o-1")
    view.page.route("**/orders/o-1", lambda route: route.continue_() if held else held.append(route))
    server.publish(PauseOrder(order_id="o-1", requested_by="ann", reason="audit"))
    for _ in range(100):
        view.page.wait_for_timeout(2 * COLLECTED_MS)
        if held:
            break
    [answer, before] = [held[0], held[0].fetch()]
    server.publish(ResumeOrder(order_id="o-1", requested_by="bob", reason="audited"))
    view.page.wait_for_timeout(2 * COLLECTED_MS)

    answer.fulfill(response=before)

    view.page.wait_for_selector(".diagram:has-text('ResumeOrder')")
    assert view.page.evaluate("htmx.config.defaultSettleDelay") == 0, "a new part hears nothing before it has settled"


def test_the_word_that_the_view_is_being_built_goes_away_by_itself(server: RoomServer, view: View) -> None:
    # given a page of an order, asked for while the view was being built
    server.publish(place_order())
    server.room.updates.stop()
    server.room.updates._status = ViewStatus(reading=ReadingProgress(read=272, total=900))
    view.page.goto(f"{server.url}/orders/o-1")
    banner = view.page.locator("#view-banner")
    expect(banner).to_contain_text("The view is being built: 272 of 900 records are read.")

    # when it is complete, then the page says nothing of it any more, and is as fresh as others are
    server.update()
    expect(banner).to_have_text("")
    expect(view.page.locator(".freshness .dot.live")).to_be_visible()
    expect(view.page.locator(".banner")).to_have_count(1)


def test_everything_is_reached_by_keys_alone(shop: RoomServer, view: View) -> None:
    view.page.goto(f"{shop.url}/charts")
    view.page.keyboard.press("?")
    assert view.page.locator("#help").is_visible()
    view.page.keyboard.press("?")
    assert not view.page.locator("#help").is_visible()
    view.page.keyboard.press("g")
    view.page.keyboard.press("o")
    view.page.wait_for_url("**/orders")  # its script included, which hears the keys
    view.page.wait_for_selector("h1:has-text('Orders')")
    view.page.keyboard.press("/")
    view.page.keyboard.type("order-1000")
    view.page.keyboard.press("Enter")
    view.page.wait_for_url("**q=order-1000*")
    view.page.keyboard.press("j")
    view.page.keyboard.press("Enter")
    view.page.wait_for_url("**/orders/order-1000")

    assert "It is completed." in view.text(".banner")


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_barrier_that_axe_finds(shop: RoomServer, window: View, path: str, theme: Any) -> None:
    window.page.emulate_media(color_scheme=theme)
    window.page.goto(shop.url + path)
    window.page.evaluate(AXE)
    found = window.page.evaluate("axe.run({resultTypes: ['violations']})")

    violations = [(each["id"], [node["target"] for node in each["nodes"]][:3]) for each in found["violations"]]
    assert violations == []


@pytest.mark.parametrize("path", PAGES)
def test_no_page_is_wider_than_a_phone(shop: RoomServer, window: View, path: str) -> None:
    window.page.set_viewport_size({"width": 390, "height": 844})
    window.page.goto(shop.url + path)

    assert window.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_text_of_others_is_shown_as_text(server: RoomServer, view: View) -> None:
    server.flow.stopped = {"inventory"}
    server.publish(place_order(), RequestCancellation(order_id="o-1", reason=HOSTILE + "x" * 300))
    for path in ("/orders/o-1", "/orders/o-1?full=true", "/orders/o-1?message=orchestrator.commands/2/0"):
        view.page.goto(server.url + path)

        assert "alert(1)" in view.text("body")
        assert view.page.locator("main img, main script").count() == 0
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in view.page.content()
        assert view.page.evaluate("document.documentElement.scrollWidth") <= 1280


def test_an_unknown_order_is_answered_with_words(shop: RoomServer, browser: Browser) -> None:
    view = View(browser)
    answer = view.page.goto(f"{shop.url}/orders/order-that-was-never")
    text = view.text()
    view.close()

    assert answer is not None
    assert answer.status == 404
    assert "no order 'order-that-was-never'" in text
