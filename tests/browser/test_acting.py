"""What a person has done from the pages: dead letters, parked keys, pauses; each planned, asked about, and watched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import View
from tests.support.order_messages import place_order
from tests.support.room_server import RoomServer

AXE = (Path(__file__).parent.parent / "support/axe/axe.min.js").read_text()
CLUSTER = "memory:9092"


def give_up(server: RoomServer, *order_ids: str) -> None:
    """Have payment give up a charge of each order while its provider is away; it is back then."""
    flow = server.flow
    flow.gateway.available = False
    server.publish(*(place_order(order_id=order_id) for order_id in order_ids))
    flow.stopped = {"orchestrator"}
    flow.advance(60)
    flow.gateway.available = True
    flow.stopped = set()
    server.update()


def run(view: View, *, cluster: bool = False) -> None:
    """Give a reason, and the name of the cluster if it is asked for, and wait for the end of the run."""
    view.page.fill("input[name=reason]", "the provider is back")
    if cluster:
        view.page.fill("input[name=cluster]", CLUSTER)
    view.page.click(f"button:has-text('on {CLUSTER}')")
    view.page.wait_for_url("**/runs/*")
    expect(view.page.locator(".title .badge")).to_have_text("finished")


def test_a_poison_is_found_tried_edited_and_redriven(server: RoomServer, view: View) -> None:
    give_up(server, "o-1")
    view.page.goto(f"{server.url}/orders/o-1")
    view.page.click(".banner .button:has-text('Redrive it, edited or as it is')")
    view.page.click(".button:has-text('Edit and redrive')")
    fields = view.page.input_value("textarea")
    view.page.fill("textarea", fields[:-2])
    view.page.click("button:has-text('Show the plan')")
    refused = view.text("[role=alert]")
    complaints, view.complaints = view.complaints, []  # the browser's own about the status of the page
    view.page.fill("textarea", fields.replace('"attempt": 1', '"attempt": 2'))
    view.page.click("button:has-text('Show the plan')")
    view.page.click("button:text-is('Dry run')")
    rehearsed = view.page.locator("#rehearsal tbody tr")
    expect(rehearsed).to_contain_text("stop at gateway.charge(o-1:charge)")
    run(view, cluster=True)

    assert ("are no JSON" in refused, len(complaints)) == (True, 1)
    assert "tok_approve" not in fields
    assert "succeeded" in view.text("[aria-label='What became of each']")
    view.page.goto(f"{server.url}/orders/o-1")
    expect(view.page.locator(".banner")).to_contain_text("It is completed.")


def test_all_dead_letters_of_a_cause_are_redriven_and_the_run_is_among_the_latest(
    server: RoomServer, view: View
) -> None:
    give_up(server, "o-1", "o-2", "o-3")
    view.page.goto(f"{server.url}/dead-letters")
    view.page.click("tbody .button:has-text('Redrive')")
    view.page.fill("input[name=rate]", "20")
    run(view, cluster=True)
    done = view.text("[role=status] p")
    view.page.keyboard.press("g")
    view.page.keyboard.press("r")
    view.page.wait_for_selector("h1:has-text('Runs')")

    assert "3 went well, 0 did not" in done
    assert "Redrive 3 dead letters" in view.text("tbody")


def test_a_parked_key_is_tried_again_from_its_order(server: RoomServer, view: View) -> None:
    server.flow.gateway.available = False
    server.publish(place_order())
    server.flow.gateway.available = True
    view.page.goto(f"{server.url}/orders/o-1")
    view.page.click(".banner .button:has-text('Try it now')")
    run(view)
    view.page.goto(f"{server.url}/orders/o-1")

    expect(view.page.locator(".banner")).to_contain_text("It is completed.")


def test_a_pause_begins_holds_orders_and_ends_in_waves(server: RoomServer, view: View) -> None:
    view.page.goto(f"{server.url}/pauses")
    view.page.select_option("select[name=scope]", "step")
    view.page.fill("input[name=name]", "reservation")
    view.page.click("button:has-text('Show the plan')")
    run(view, cluster=True)
    server.publish(place_order(order_id="o-1"), place_order(order_id="o-2"))
    view.page.goto(f"{server.url}/pauses")
    view.page.click(".button:has-text('End the pause')")
    planned = view.text()
    run(view, cluster=True)

    assert {"o-1", "o-2"} <= set(planned.split())
    for order_id in ("o-1", "o-2"):
        view.page.goto(f"{server.url}/orders/{order_id}")
        expect(view.page.locator(".banner")).to_contain_text("It is completed.")


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 390)])
def test_no_page_of_an_action_has_a_barrier_or_is_wider_than_its_window(
    server: RoomServer, browser: Browser, theme: Any, width: int
) -> None:
    give_up(server, "o-1", "o-2")
    view = View(browser, color_scheme=theme, viewport={"width": width, "height": 844})
    starts = ("/dead-letters/act?verb=redrive&service=payment", "/parked/act?verb=discard&key=o-1",
              "/pauses/act?verb=start&scope=step&name=payment", "/runs", "/stock/ledger")  # fmt: skip
    letter = server.room.actions.find_plan(
        view.page.goto(server.url + starts[0]).url.rpartition("/")[2]  # type: ignore[union-attr]  # it is there
    ).plan.items[0]
    for path in (*starts, f"/dead-letters/edit?place={letter.name}", f"/dead-letters/{letter.name}", "/parked"):
        view.page.goto(server.url + path)
        view.page.evaluate(AXE)
        found = view.page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]

        assert [(path, each["id"], [node["target"] for node in each["nodes"]][:3]) for each in found] == []
        assert view.page.evaluate("document.documentElement.scrollWidth") <= width, path
    view.close()
    assert view.complaints == []
