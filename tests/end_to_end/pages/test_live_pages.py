"""What a person sees of a running flow, without ever loading a page again."""

from __future__ import annotations

import json
import re
import urllib.request

from playwright.sync_api import Locator, Page, expect

from launcher import CONTROL_ROOM, Fleet
from tests.end_to_end.system import READY_S, System
from tests.support.order_messages import order_placed

LIMIT_MS = 90_000
KAFKA_AWAY = ".freshness .words:has-text('not up to date')"
LIVE = ".freshness .dot.live"


def place(page: Page, order_id: str = "", **changes: str) -> None:
    """Fill in the form of an order, and send it."""
    page.goto("/place")
    usual = {"customer_id": f"of-{order_id}", "warehouse_id": "w-1", "order_id": order_id, "currency": "EUR",
             "payment_token": "tok_approve", "count": "1", "sku": "bolt", "quantity": "2",
             "unit_price": "250"}  # fmt: skip
    for name, value in {**usual, **changes}.items():
        page.locator(f"[name={name}]").first.fill(value)
    page.click("button:has-text('Place on')")


def why(page: Page) -> Locator:
    """Return the sentence at the top of an order's page, beside which the view may say that it is being built."""
    return page.get_by_role("region", name="Why it is where it is")


def order_provider(system: System, mode: str) -> None:
    request = urllib.request.Request(
        f"{system.fleet.provider_url}/admin/outage",
        json.dumps({"mode": mode}).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=60).close()


def test_an_order_is_placed_watched_and_completed(system: System, page: Page, order_id: str) -> None:
    # when a person places an order, and looks at what becomes of it
    place(page, order_id)
    page.wait_for_url(f"**/orders/{order_id}")

    # then the page goes on by itself, to the last message
    expect(why(page)).to_contain_text("It is completed.", timeout=LIMIT_MS)
    expect(page.locator(".diagram")).to_contain_text("OrderCompleted")
    assert system.await_end(order_id) == "completed"


def test_a_declined_order_is_shown_with_its_reason(page: Page, order_id: str) -> None:
    place(page, order_id, payment_token="tok_declined")

    expect(page.locator(".title .badge").first).to_have_text("cancelled", timeout=LIMIT_MS)
    expect(page.locator("#live")).to_contain_text("card declined")


def test_an_order_beyond_the_stock_is_shown_to_be_undone(system: System, page: Page, order_id: str) -> None:
    place(page, order_id, sku="nut")

    expect(page.locator(".title .badge").first).to_have_text("cancelled", timeout=LIMIT_MS)
    expect(page.locator(".diagram")).to_contain_text("PaymentRefunded")
    assert system.held_by_provider(order_id) == 0


def test_the_stage_has_rates_and_delays_of_a_running_flow(page: Page, order_id: str) -> None:
    place(page, order_id)
    page.goto("/")

    rate = page.locator("[data-label='payment-orchestrator-event-orchestrated'] [data-rate]")
    expect(rate).to_have_text(re.compile(r"/s · .+ / .+ (ms|s)"), timeout=LIMIT_MS)


def test_the_charts_have_what_the_processes_count_and_how_far_they_are_behind(page: Page, order_id: str) -> None:
    place(page, order_id)
    page.goto("/charts")

    page.wait_for_function(
        """() => fetch("/charts.json").then((answer) => answer.json()).then(({ charts }) =>
          charts.commits.lines.payment.some((value) => value > 0) && charts.lag.lines.payment.includes(0))""",
        polling=1_000,
    )


def provoke(page: Page, button: str) -> None:
    page.goto("/provoke")
    page.get_by_role("button", name=button, exact=True).click()
    page.wait_for_load_state()


def test_a_provider_that_is_down_opens_a_circuit_on_the_stage_which_closes_when_it_is_back(
    system: System, page: Page, order_id: str
) -> None:
    # given a provider that a person has fail, and many orders
    try:
        provoke(page, "Down")
        place(page, count="60")
        page.goto("/")
        circuit = page.locator("[data-badges=payment]")

        # then the stage and the list of incidents say so
        expect(circuit).to_contain_text("circuit open", timeout=LIMIT_MS)
        page.goto("/incidents")
        expect(page.locator("main")).to_contain_text("Charger.attempt_charge")
        provoke(page, "Up")
        page.goto("/")
    finally:
        order_provider(system, "up")

    # when it is back, the circuit closes, and orders are completed again
    expect(circuit).not_to_contain_text("circuit open", timeout=LIMIT_MS)
    place(page, order_id)
    expect(why(page)).to_contain_text("It is completed.", timeout=LIMIT_MS)


def test_a_service_that_was_killed_is_on_the_stage_until_it_runs_again(page: Page, order_id: str) -> None:
    # given a service that a person kills, and an order that needs it
    provoke(page, "Kill shipping")
    page.goto("/")
    badges = page.locator("[data-badges=shipping]")

    # then the stage says that it does not run, and since when; so does the order, with the way out
    expect(badges).to_contain_text("not running", timeout=LIMIT_MS)
    expect(badges).to_contain_text(re.compile(r"not running: \d+ s"), timeout=LIMIT_MS)
    place(page, order_id)
    expect(why(page)).to_contain_text("No process of shipping runs", timeout=LIMIT_MS)

    # when it is started again, the stage takes it back, and the order is completed
    provoke(page, "Start shipping")
    page.goto("/")
    expect(badges).not_to_contain_text("not running", timeout=LIMIT_MS)
    page.goto(f"/orders/{order_id}")
    expect(why(page)).to_contain_text("It is completed.", timeout=LIMIT_MS)


def test_a_page_goes_on_by_itself_when_the_process_of_the_control_room_was_killed(
    system: System, page: Page, control_room: Fleet, order_id: str
) -> None:
    # given a list that is looked at
    page.goto("/orders")
    expect(page.locator(LIVE)).to_be_visible()

    # when the process is killed, says so, and is started again
    control_room.kill(CONTROL_ROOM)
    expect(page.locator(".freshness .words")).to_contain_text("not connected")
    system.publish(order_placed(order_id=order_id))
    control_room.restart(CONTROL_ROOM)
    control_room.await_ready(READY_S)

    # then the list shows what came meanwhile
    expect(page.locator(LIVE)).to_be_visible(timeout=LIMIT_MS)
    expect(page.locator("#rows")).to_contain_text(order_id, timeout=LIMIT_MS)


def test_a_page_shows_the_last_known_while_kafka_is_away_and_goes_on_when_it_is_back(
    system: System, page: Page, order_id: str
) -> None:
    # given an order that is completed
    place(page, order_id)
    expect(why(page)).to_contain_text("It is completed.", timeout=LIMIT_MS)
    page.goto("/orders")

    # when the broker is killed
    with system.disconnected():
        system.broker.kill()
        expect(page.locator(KAFKA_AWAY)).to_be_visible(timeout=LIMIT_MS)

        # then the order is still shown, with a word on its age
        page.goto(f"/orders?q={order_id}")
        expect(page.locator("#rows")).to_contain_text(order_id)
        expect(page.locator(".banner")).to_contain_text("Shown is what was last known")
        system.broker.restart()

    # when it is back, the page notices, and orders are placed again
    expect(page.locator(LIVE)).to_be_visible(timeout=LIMIT_MS)
    system.make_whole()
    place(page, f"{order_id}-after")
    expect(page.locator(".title .badge").first).to_have_text("completed", timeout=LIMIT_MS)
