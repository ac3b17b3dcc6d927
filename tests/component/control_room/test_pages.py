"""What pages do: place, plan, run, refuse. How they look is for a browser to say."""

from __future__ import annotations

import html
import re
import time
from threading import Event
from typing import Any
from urllib.parse import quote

import pytest

from contracts import PauseOrder, RequestCancellation
from ensemble.command_line.publishing import publish
from services.control_room.pages.rendering import KEYS, NAVIGATION
from tests.component.control_room.conftest import RoomInMemory
from tests.component.control_room.test_runs import make_old
from tests.support.order_messages import lines, place_order

PAGES = [path for _, pages in NAVIGATION for path, _ in pages]
TERMS = {"key": "k1", "customer_id": "c-1", "sku": "bolt", "quantity": "1", "unit_price": "250", "currency": "EUR",
         "payment_token": "tok_approve", "warehouse_id": "w-1", "shipping_speed": "standard", "count": "1"}  # fmt: skip
CLUSTER = "memory:9092"


def plan_of(page: Any) -> str:
    match = re.search(r'name="plan" value="([0-9a-f]+)"', page.text)
    assert match is not None
    return match[1]


def paused_order(room: RoomInMemory) -> None:
    room.flow.stopped = {"inventory"}
    flow: Any = room.flow
    publish(flow, place_order())
    flow.settle()
    publish(flow, PauseOrder(order_id="o-1", requested_by="ann", reason="audit"))
    room.update()


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there_and_runs_no_script_or_style_of_its_own(room: RoomInMemory, path: str) -> None:
    room.update()

    page = room.browser.get(path)

    assert page.status_code == 200
    assert not re.search(r"<style|<script(?! src=)|\son[a-z]+=|\sstyle=", page.text)


def test_every_page_has_a_key_of_its_own() -> None:
    assert sorted(KEYS) == sorted(PAGES)
    assert len(set(KEYS.values())) == len(KEYS)


def test_a_form_places_its_order_once_however_often_it_is_sent(room: RoomInMemory) -> None:
    room.update()

    first = room.browser.post("/place", data=TERMS, follow_redirects=False)
    again = room.browser.post("/place", data=TERMS, follow_redirects=False)
    room.update()

    assert (first.status_code, again.headers["Location"]) == (303, first.headers["Location"])
    assert room.browser.get("/api/orders").json()["orders"][0]["status"] == "completed"
    assert len(room.browser.get("/api/orders").json()["orders"]) == 1


def test_a_burst_places_so_many(room: RoomInMemory) -> None:
    room.update()

    room.browser.post("/place", data={**TERMS, "count": "7"}, follow_redirects=False)
    room.update()

    assert len(room.browser.get("/api/orders").json()["orders"]) == 7


def test_a_burst_at_a_rate_is_planned_asked_about_and_placed_once(room: RoomInMemory) -> None:
    room.update()
    form = {"reason": "a drill", "cluster": CLUSTER, "rate": "1000"}

    planned = room.browser.post("/place", data={**TERMS, "count": "7", "rate": "1000"}, follow_redirects=False)
    page = room.browser.get(planned.headers["Location"]).text
    path = planned.headers["Location"].partition("?")[0]
    runs_before = room.browser.get("/api/runs").json()
    refused = room.browser.post(f"{path}/run", data={**form, "cluster": ""})
    first, second = (room.browser.post(f"{path}/run", data=form, follow_redirects=False) for _ in range(2))
    wait_for_end(room, first.headers["Location"])
    room.update()

    assert path.startswith("/plans/")
    assert ("Place 7 orders" in page, 'name="rate" value="1000"' in page, runs_before) == (True, True, [])
    assert (refused.status_code, "type the name of the cluster" in refused.text) == (409, True)
    assert first.headers["Location"] == second.headers["Location"]
    assert room.browser.get("/api/runs").json()[0]["intent"]["reason"] == "a drill"
    assert len(room.browser.get("/api/orders").json()["orders"]) == 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"quantity": "many"}, "quantity: 'many' is no whole number"),
        ({"count": "1000"}, "count: place 1 to 200 orders at once"),
        ({"currency": "euro"}, "currency"),
        ({"count": "2", "order_id": "o-1"}, "several orders cannot have one id"),
        ({"count": "2", "order_id": "o-1", "rate": "5"}, "several orders cannot have one id"),
        ({"count": "100001", "rate": "5"}, "count"),
        ({"rate": "fast"}, "rate: 'fast' is no number"),
    ],
)
def test_a_form_that_is_wrong_comes_back_with_words_and_what_was_typed(
    room: RoomInMemory, change: dict[str, str], words: str
) -> None:
    room.update()

    page = room.browser.post("/place", data={**TERMS, **change})

    assert page.status_code == 422
    assert words in page.text.replace("&#39;", "'")
    assert 'value="c-1"' in page.text


def test_a_paused_order_is_resumed_and_the_second_who_asks_gets_what_the_first_did(room: RoomInMemory) -> None:
    paused_order(room)

    plan = room.browser.get("/orders/o-1/resume")
    done = room.browser.post("/orders/o-1/resume", data={"reason": "audited"}, follow_redirects=False)
    again = room.browser.post("/orders/o-1/resume", data={"reason": "audited"})

    assert "Continue with reservation" in plan.text
    assert (done.status_code, done.headers["Location"]) == (303, "/orders/o-1")
    assert again.status_code == 409
    assert "cannot resume o-1: it is not paused" in again.text


def test_what_cannot_be_taken_back_asks_for_the_name_of_the_cluster(room: RoomInMemory) -> None:
    paused_order(room)

    without = room.browser.post("/orders/o-1/cancel", data={"reason": "no"})
    done = room.browser.post("/orders/o-1/cancel", data={"reason": "no", "cluster": CLUSTER}, follow_redirects=False)

    assert without.status_code == 409
    assert "type the name of the cluster, memory:9092" in without.text
    assert "refund 5.00 EUR" in without.text
    assert done.status_code == 303


def test_no_action_goes_without_a_reason(room: RoomInMemory) -> None:
    paused_order(room)

    assert "say why" in room.browser.post("/orders/o-1/resume", data={"reason": " "}).text


def test_many_orders_go_on_in_waves_and_the_run_says_how_it_went(room: RoomInMemory) -> None:
    paused_order(room)
    room.flow.stopped = set()

    plan = room.browser.get("/act?action=resume&where=paused%3Dtrue")
    form = {"action": "resume", "where": "paused=true", "reason": "audited", "cluster": CLUSTER, "plan": plan_of(plan)}
    refused = room.browser.post("/act", data={**form, "cluster": "production"})
    started = room.browser.post("/act", data=form, follow_redirects=False)

    assert "Resume 1 order where paused=true" in plan.text
    assert refused.status_code == 422
    assert started.headers["Location"].startswith("/runs/")
    assert "Resume 1 order<" in room.browser.get(started.headers["Location"]).text


def test_a_plan_that_is_sent_twice_has_one_run_which_the_api_lists(room: RoomInMemory) -> None:
    paused_order(room)
    room.flow.stopped = set()
    plan = room.browser.get("/act?action=resume&where=paused%3Dtrue")
    form = {"action": "resume", "where": "paused=true", "reason": "audited", "cluster": CLUSTER, "plan": plan_of(plan)}

    first, second = (room.browser.post("/act", data=form, follow_redirects=False) for _ in range(2))
    without = room.browser.post("/act", data={**form, "where": ""})

    assert first.headers["Location"] == second.headers["Location"]
    assert [f"/runs/{run['id']}" for run in room.browser.get("/api/runs").json()] == [first.headers["Location"]]
    assert (without.status_code, "which orders" in without.text) == (422, True)


def act(room: RoomInMemory, path: str, **form: str) -> str:
    """Plan what a page leads to, run it to its end, and return the page of the run."""
    plan = room.browser.get(path, follow_redirects=False).headers["Location"]
    form = {"reason": "provider is moved", "cluster": CLUSTER, **form}
    run = room.browser.post(f"{plan}/run", data=form, follow_redirects=False).headers["Location"]
    page = wait_for_end(room, run)
    room.update()
    return page


def wait_for_end(room: RoomInMemory, run: str) -> str:
    """Return the page of a run once it has ended."""
    limit = time.monotonic() + 20
    while "Stop before the next wave" in (page := room.browser.get(run).text):
        assert time.monotonic() < limit, page
        Event().wait(0.02)
    return page


def test_a_step_is_paused_and_released_for_all_orders(room: RoomInMemory) -> None:
    room.update()

    began = act(room, "/pauses/act?verb=start&scope=step&name=payment")
    paused = room.browser.get("/pauses").text
    plan = room.browser.get("/pauses/act?verb=end&scope=step&name=payment").text
    act(room, "/pauses/act?verb=end&scope=step&name=payment")

    assert "Pause the step payment" in began
    assert "provider is moved" in paused
    assert "No order is held" in plan
    assert "Nothing is paused." in room.browser.get("/pauses").text


def test_an_order_says_what_it_costs_with_thousands_apart(room: RoomInMemory) -> None:
    flow: Any = room.flow
    publish(flow, place_order(lines=lines(bolt=5), currency="JPY"))
    publish(flow, place_order(order_id="o-2", lines=lines(bolt=50_000)))
    room.update()

    one, both = room.browser.get("/orders/o-1").text, room.browser.get("/orders").text

    assert "<dd>1,250 JPY</dd>" in one
    assert "125,000.00 EUR" in both


def test_a_plan_that_has_expired_is_shown_with_what_to_do_and_not_run(room: RoomInMemory) -> None:
    room.update()
    plan = plan_of_address(room.browser.get("/pauses/act?verb=start&scope=step&name=payment"))
    make_old(room.room.actions._plans, room.room.actions.find_plan(plan))

    page = room.browser.post(f"/plans/{plan}/run", data={"reason": "late", "cluster": CLUSTER})

    assert page.status_code == 409
    assert "has expired" in page.text
    assert "plan it anew" in page.text
    assert room.browser.get("/api/runs").json() == []


def plan_of_address(page: Any) -> str:
    return str(page.url.path).rpartition("/")[2]


def test_a_diagram_is_saved_as_a_file_without_tokens(room: RoomInMemory) -> None:
    flow: Any = room.flow
    publish(flow, place_order())
    room.update()

    svg, document = (room.browser.get(f"/orders/o-1/diagram.{suffix}") for suffix in ("svg", "json"))

    assert svg.text.startswith("<svg")
    assert "<style>" in svg.text
    assert document.json()["messages"][0]["type"] == "PlaceOrder"
    assert "tok_approve" not in svg.text + document.text


def test_what_is_typed_lies_outside_of_what_is_swapped(room: RoomInMemory) -> None:
    act(room, "/pauses/act?verb=start&scope=step&name=payment")

    for path in ("/orders", "/pauses"):
        swapped = room.browser.get(path).text.partition('id="live"')[2].partition("</table>")[0]

        assert swapped
        assert "<input" not in swapped


def test_a_pause_that_is_not_taken_is_said_on_the_page(room: RoomInMemory) -> None:
    room.update()
    unknown = room.browser.get("/pauses/act?verb=start&scope=step&name=nothing")
    neither = room.browser.get("/pauses/act?verb=toggle&scope=step&name=payment")
    plan = room.browser.get("/pauses/act?verb=start&scope=step&name=payment", follow_redirects=False)
    url = plan.headers["Location"]

    without_reason = room.browser.post(f"{url}/run", data={"reason": " ", "cluster": CLUSTER})
    without_cluster = room.browser.post(f"{url}/run", data={"reason": "test"})

    pages = (unknown, neither, without_reason, without_cluster)
    assert [page.status_code for page in pages] == [404, 422, 409, 409]
    assert all(page.headers["Content-Type"].startswith("text/html") for page in pages)
    assert "no step 'nothing'" in html.unescape(unknown.text)
    assert 'value="nothing"' in unknown.text
    assert "say why" in without_reason.text
    assert "type the name of the cluster" in without_cluster.text


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/orders/nobody", 404),
        ("/dead-letters/none/0/0", 404),
        ("/runs/none", 404),
        ("/act?action=x", 422),
        ("/parked/act?verb=retry&key=", 422),
        ("/parked/act?verb=discard&key=", 422),
    ],
)
def test_a_page_that_fails_is_a_page(room: RoomInMemory, path: str, code: int) -> None:
    room.update()

    page = room.browser.get(path)

    assert page.status_code == code
    assert page.headers["Content-Type"].startswith("text/html")


def test_a_plan_of_orders_is_neither_shown_nor_run_among_the_others(room: RoomInMemory) -> None:
    paused_order(room)
    plan = room.browser.post("/api/plans", json={"action": {"kind": "cancel"}, "order": "o-1"}).json()["id"]
    room.browser.get("/act?action=cancel&where=paused%3Dtrue")

    pages = (
        room.browser.get(f"/plans/{plan}"),
        room.browser.post(f"/plans/{plan}/rehearsal"),
        room.browser.post(f"/plans/{plan}/run", data={"reason": "no"}),
    )

    assert [page.status_code for page in pages] == [404, 404, 404]
    assert all("is about orders" in page.text for page in pages)
    assert room.browser.get("/api/runs").json() == []


@pytest.mark.parametrize(("path", "method", "code"), [("/nowhere", "GET", 404), ("/orders", "DELETE", 405)])
def test_a_browser_that_asks_for_no_page_gets_one_and_a_program_does_not(
    room: RoomInMemory, path: str, method: str, code: int
) -> None:
    browser = room.browser.request(method, path, headers={"Accept": "text/html,*/*"})
    program = room.browser.request(method, path)
    api = room.browser.request("GET", "/api/nowhere", headers={"Accept": "text/html"})

    assert (browser.status_code, program.status_code) == (code, code)
    assert browser.headers["Content-Type"].startswith("text/html")
    assert {each.headers["Content-Type"] for each in (program, api)} == {"application/problem+json"}


HOSTILE = "<img src=x onerror=alert(1)>\N{RIGHT-TO-LEFT OVERRIDE}\x1b[31m\0"


@pytest.mark.parametrize("path", ["/orders?q=", "/orders?where=", "/orders?status=", "/orders?cursor=", "/act?where=",
                                  "/dead-letters?group=", "/parked?key=", "/stock?sku=", "/audit?by=",
                                  "/consumers?service=", "/place?scenario=", "/pauses/act?verb=end&scope=step&name=",
                                  "/dead-letters/act?verb=redrive&place=", "/dead-letters/edit?place=", "/runs/",
                                  "/plans/", "/orders/"])  # fmt: skip
def test_hostile_text_in_an_address_is_shown_as_text(room: RoomInMemory, path: str) -> None:
    room.update()

    for text in (HOSTILE, "x" * 10_000, "customer=*" + HOSTILE):
        page = room.browser.get(path + quote(text, safe=""))

        assert page.status_code in {200, 404, 422}, page.text
        assert page.headers["Content-Type"].startswith("text/html")
        assert "<img" not in page.text
        assert not {"\N{RIGHT-TO-LEFT OVERRIDE}", "\x1b", "\0"} & set(page.text)


def test_a_reason_with_control_characters_is_refused_with_its_name(room: RoomInMemory) -> None:
    paused_order(room)

    page = room.browser.post("/orders/o-1/resume", data={"reason": HOSTILE})
    program = room.browser.post("/api/runs", json={"plan": "none", "reason": HOSTILE})

    assert (page.status_code, "reason: it has the control character" in page.text) == (409, True)
    assert (program.status_code, program.json()["field"]) == (422, "reason")


def test_an_order_says_which_service_does_not_run(room: RoomInMemory) -> None:
    room.flow.stopped = {"inventory"}
    room.flow.flow.publish(place_order())
    room.update()

    assert "No process of inventory runs" in room.browser.get("/orders/o-1").text


def test_a_form_without_a_key_places_nothing_and_a_used_key_is_replaced(room: RoomInMemory) -> None:
    room.update()

    without = room.browser.post("/place", data={**TERMS, "key": ""})
    room.browser.post("/place", data=TERMS, follow_redirects=False)
    other = room.browser.post("/place", data={**TERMS, "quantity": "2"})

    assert (without.status_code, other.status_code) == (422, 422)
    assert 'name="key" value="k1"' not in other.text
    assert re.search(r'name="key" value="[0-9a-f]{32}"', other.text)


def test_an_order_is_shown_as_last_known_while_kafka_is_away(room: RoomInMemory) -> None:
    paused_order(room)
    room.room.updates._note_problem("Kafka: all brokers are down")

    page = room.browser.get("/orders/o-1")

    assert page.status_code == 503
    assert page.headers["Content-Type"].startswith("text/html")
    assert "all brokers are down" in page.text
    assert "audit" in page.text


def test_an_order_that_nobody_has_placed_has_no_buttons(room: RoomInMemory) -> None:
    room.flow.flow.publish(RequestCancellation(order_id="o-early", reason="too early"))
    room.update()

    page = room.browser.get("/orders/o-early").text

    assert room.browser.get("/api/orders/o-early").json()["order"]["status"] == "placeholder"
    assert not re.findall(r'href="/orders/o-early/(pause|resume|retry|settle|cancel)"', page)


@pytest.mark.parametrize(("letters", "has_more"), [(50, False), (51, True)])
def test_dead_letters_are_shown_fifty_at_a_time(room: RoomInMemory, letters: int, has_more: bool) -> None:
    for number in range(letters):
        for customer in ("c-1", "c-2"):
            room.flow.flow.publish(place_order(order_id=f"o-{number}", customer_id=customer))
    room.update()
    (group,) = room.browser.get("/api/dead-letters/groups").json()

    page = html.unescape(room.browser.get(f"/dead-letters?group={group['group']}").text)

    assert page.count("order.dead-letter/") // 2 == 50
    assert (f"/dead-letters?group={group['group']}&start=50" in page) is has_more
    rest = room.browser.get(f"/dead-letters?group={group['group']}&start=50").text
    assert rest.count("order.dead-letter/") // 2 == letters - 50


def test_a_message_that_is_not_there_is_said_to_be_missing(room: RoomInMemory) -> None:
    room.flow.flow.publish(place_order(order_id="o-1"))
    room.update()

    page = room.browser.get("/orders/o-1?message=payments.events/0/99").text

    assert "The order has no message at payments.events/0/99" in page
    assert "The order has no message" not in room.browser.get("/orders/o-1").text


def test_what_is_held_is_counted_beside_its_filter(room: RoomInMemory) -> None:
    room.flow.stopped = {"inventory"}
    for number in range(3):
        room.flow.flow.publish(place_order(order_id=f"o-{number}"))
    room.flow.flow.publish(PauseOrder(order_id="o-1", requested_by="ann", reason="why"))
    room.update()

    page = room.browser.get("/orders").text

    assert re.search(r"paused\s*<b>1</b>", page)
    assert re.search(r"owing</a>", page)


def test_a_diagram_is_full_or_compact_from_message_to_message(room: RoomInMemory) -> None:
    room.flow.flow.publish(place_order())
    room.update()

    compact, full = (room.browser.get(f"/orders/o-1{query}").text for query in ("", "?full=true"))

    assert '<a class="button" href="/orders/o-1?full=true">Full</a>' in compact
    assert '<a class="button" href="/orders/o-1">Compact</a>' in full
    links = [re.findall(r'<a href="(/orders/o-1[?]message=[^"]*)"', page) for page in (compact, full)]
    assert all(links)
    assert [{"full=true" in link for link in of_page} for of_page in links] == [{False}, {True}]
