"""What the API answers about orders, failures and the system, from what all services have written."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from types import SimpleNamespace
from typing import Any, get_args

import pytest
from structlog.testing import capture_logs

from contracts import RequestCancellation
from ensemble.operations import NotFound, ParkedStatus, now
from services.app import APP
from services.control_room.api.orders import wait_for_end
from services.control_room.live_events import LiveEvent, LiveEvents
from tests.component.control_room.conftest import RoomInMemory, open_room
from tests.support.order_messages import place_order

TOKEN = "tok_approve"


def place(room: RoomInMemory, count: int = 1, **terms: Any) -> None:
    for number in range(1, count + 1):
        room.flow.flow.publish(place_order(**{"order_id": f"o-{number}", **terms}))
        room.flow.settle()
    room.update()


def get(room: RoomInMemory, path: str, **parameters: Any) -> Any:
    response = room.browser.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def test_lists_orders_in_pages_none_missed_and_none_twice(room: RoomInMemory) -> None:
    place(room, 5)

    first = get(room, "/api/orders", limit=2)
    second = get(room, "/api/orders", limit=2, cursor=first["next"])
    third = get(room, "/api/orders", limit=2, cursor=second["next"])

    pages = [[order["order_id"] for order in page["orders"]] for page in (first, second, third)]
    assert pages == [["o-5", "o-4"], ["o-3", "o-2"], ["o-1"]]
    assert third["next"] is None


@pytest.mark.parametrize(
    ("parameters", "orders"),
    [
        ({"status": "cancelled"}, ["o-bad"]),
        ({"where": ["status!=cancelled", "customer=c-*"]}, ["o-1"]),
        ({"paused": True}, []),
    ],
)
def test_filters_orders(room: RoomInMemory, parameters: dict[str, Any], orders: list[str]) -> None:
    place(room)
    place(room, order_id="o-bad", payment_token="tok_declined")

    assert [order["order_id"] for order in get(room, "/api/orders", **parameters)["orders"]] == orders
    counts = get(room, "/api/orders/counts")
    assert counts == [{"value": "cancelled", "orders": 1}, {"value": "completed", "orders": 1}]


@pytest.mark.parametrize(
    ("path", "field", "reason"),
    [
        ("/api/orders?where=colour=red", "where", "no field 'colour'; fields are"),
        ("/api/orders?where=age>soon", "where", "use a duration such as"),
        ("/api/orders?status=lost", "where", "statuses are placeholder"),
        ("/api/orders?cursor=x", "cursor", "give the `next` of a page"),
        ("/api/orders?limit=0", "limit", "greater than or equal to 1"),
        ("/api/dead-letters?cursor=-1", "cursor", "give the `next` of a page"),
        ("/api/audit?since=yesterday", "since", "use an age"),
        ("/api/traffic?seconds=4000", "seconds", "less than or equal to 3600"),
    ],
)
def test_a_wrong_request_is_told_which_part_is_wrong(room: RoomInMemory, path: str, field: str, reason: str) -> None:
    room.update()

    response = room.browser.get(path)

    assert (response.status_code, response.json()["field"]) == (422, field)
    assert reason in response.json()["detail"]


def test_tells_an_order_from_its_first_message_to_its_last(room: RoomInMemory) -> None:
    place(room)

    document = get(room, "/api/orders/o-1")

    messages = {message["type"]: message for message in document["story"]["messages"]}
    assert document["order"]["status"] == "completed"
    assert messages["ProcessPayment"]["control"] == "orchestrated"
    assert messages["ScheduleShipment"]["control"] == "choreographed"
    assert messages["PaymentConfirmed"]["caused_by"] == "AttemptCharge"
    assert messages["PaymentConfirmed"]["position"]["topic"] == "payments.events"
    assert messages["OrderCompleted"]["after_ms"] > 0


def test_shows_nobody_a_payment_token(room: RoomInMemory) -> None:
    room.flow.gateway.available = False
    place(room)
    room.flow.stopped = {"orchestrator"}
    room.flow.advance(60)
    room.update()
    [letter] = get(room, "/api/dead-letters")["dead_letters"]
    at = "/".join(str(part) for part in letter["position"].values())

    paths = ["/api/orders", "/api/orders/o-1", "/api/dead-letters", f"/api/dead-letters/{at}", "/api/parked-keys"]
    answers = [json.dumps(get(room, path)) for path in paths]

    assert "payment_token" in answers[1]
    assert not [path for path, answer in zip(paths, answers, strict=True) if TOKEN in answer]


def test_an_unknown_order_is_not_found(room: RoomInMemory) -> None:
    room.update()

    response = room.browser.get("/api/orders/o-9")

    assert response.status_code == 404
    assert "no order 'o-9'" in response.json()["detail"]


def test_a_parked_order_says_what_failed(room: RoomInMemory) -> None:
    room.flow.gateway.available = False
    place(room)
    room.flow.stopped = {"orchestrator"}
    room.flow.advance(60)
    room.update()

    document = get(room, "/api/orders/o-1")
    groups = get(room, "/api/dead-letters/groups")

    [letter], [key] = document["dead_letters"], document["parked"]
    assert (letter["type"], letter["status"], key["service"]) == ("AttemptCharge", "parked", "payment")
    assert get(room, "/api/parked-keys", service="payment") == [key]
    assert [(group["service"], group["open"]) for group in groups] == [("payment", 1)]
    assert get(room, "/api/dead-letters", key="o-1")["dead_letters"] == [letter]


def test_who_has_an_answer_already_is_sent_none(room: RoomInMemory) -> None:
    place(room)
    first = room.browser.get("/api/orders")

    again = room.browser.get("/api/orders", headers={"If-None-Match": first.headers["ETag"]})
    room.flow.flow.publish(RequestCancellation(order_id="o-2", reason="no", requested_by="ann"))
    place(room, order_id="o-2")
    changed = room.browser.get("/api/orders", headers={"If-None-Match": first.headers["ETag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert (changed.status_code, len(changed.json()["orders"])) == (200, 2)


def test_a_view_that_is_not_complete_is_not_shown_as_if_it_were(room: RoomInMemory) -> None:
    response = room.browser.get("/api/orders")

    assert response.status_code == 503
    assert response.json()["detail"] == "the view is not complete yet: reading the topics begins"
    assert response.headers["Retry-After"] == "1"


def test_shows_the_flow_as_it_is_declared_and_as_it_runs(room: RoomInMemory) -> None:
    place(room)

    topology, traffic = get(room, "/api/topology"), get(room, "/api/traffic", seconds=3600)

    edges = {(edge["message"], edge["kind"], edge["control"]) for edge in topology["edges"]}
    assert ("ProcessPayment", "command", "orchestrated") in edges
    assert ("ReservationConfirmed", "event", "orchestrated") in edges
    assert {node["name"] for node in topology["nodes"]} >= {edge["source"] for edge in topology["edges"]}
    placed = next(edge for edge in traffic if edge["type"] == "OrderPlaced")
    assert (placed["sender"], placed["topic"], placed["messages"]) == ("order", "orders.events", 1)


def test_shows_stock_and_policies(room: RoomInMemory) -> None:
    place(room)

    [level] = get(room, "/api/stock", sku="bolt")
    [policies] = get(room, "/api/policies", service="payment")

    assert (level["received"], level["on_hand"] + level["dispatched"]) == (10, 10)
    assert policies["service"] == "payment"
    assert room.browser.get("/api/policies", params={"service": "pay"}).status_code == 404


def test_parked_keys_are_asked_for_by_each_status_that_there_is(room: RoomInMemory) -> None:
    room.update()

    paths = [f"/api/parked-keys?status={name}" for name in get_args(ParkedStatus)]

    assert [room.browser.get(path).status_code for path in paths] == [200] * 5
    assert room.browser.get("/api/parked-keys?status=waiting").status_code == 422


def test_what_is_kept_says_how_long_and_what_follows_then_or_that_nothing_does(room: RoomInMemory) -> None:
    rows = get(room, "/api/topology/lifetimes")

    assert {"subject", "kept", "origin", "then"} == rows[0].keys()
    assert {type(row["then"]) for row in rows} == {str, type(None)}
    assert "" not in {value for row in rows for value in row.values()}


def test_topics_are_asked_of_the_cluster(room: RoomInMemory) -> None:
    response = room.browser.get("/api/topics")
    assert (response.status_code, response.json()["detail"]) == (503, "topics in memory have no administrator")


def test_charts_have_the_last_hour_in_bins_of_ten_seconds() -> None:
    # given a charge that was given up sixty seconds after the services began, at a whole ten
    with capture_logs(), open_room(600) as room:
        room.flow.gateway.available = False
        place(room)
        room.flow.stopped = {"orchestrator"}
        room.flow.advance(60)
        room.update()
        before = now() // 10_000 * 10
        charts = get(room, "/charts.json")

    # then each line has what was counted where it was counted, and nothing is at another time
    began, at = room.flow._began // 1000, charts["at"]
    lines = {(chart, name): line for chart, each in charts["charts"].items() for name, line in each["lines"].items()}
    values = {key: {at[i] - began: value for i, value in enumerate(line) if value} for key, line in lines.items()}
    assert (at[-1] - at[0], {second % 10 for second in at}) == (3_590, {0})
    assert before <= at[-1] + 10 <= now() // 1000
    assert {key: value for key, value in values.items() if value} == {
        ("orders", "placed"): {0: 0.1},
        ("messages", "commands"): {0: 0.4},
        ("messages", "events"): {0: 0.2, 20: 0.1},
        ("failures", "dead letters"): {20: 6.0},
        ("failures", "commands given up"): {20: 6.0},
    }


def test_waiting_for_an_order_asks_when_something_has_changed_and_not_all_the_time() -> None:
    asked = asyncio.run(_wait_for_an_order_that_ends_later())
    assert asked == 3


async def _wait_for_an_order_that_ends_later() -> int:
    loop, live, asked, is_asked_again = asyncio.get_running_loop(), LiveEvents(), list[str](), asyncio.Event()
    ended = SimpleNamespace(status="fulfilled")

    def look_up(order_id: str) -> Any:
        asked.append(order_id)
        if len(asked) == 1:
            live.publish([LiveEvent("order", order_id, "{}")])
            raise NotFound("it was placed just now")
        loop.call_soon_threadsafe(is_asked_again.set)
        return ended

    room: Any = SimpleNamespace(live=live, orders=SimpleNamespace(get=look_up))
    waiting = asyncio.create_task(wait_for_end(room, "o-1", 60.0))
    await is_asked_again.wait()
    for _ in range(2_000):  # long enough for one that does not wait to ask again
        await asyncio.sleep(0)
    ended.status = "completed"
    live.publish([LiveEvent("order", "o-1", "{}")])
    await waiting
    return len(asked)


def test_permissions_are_those_of_services_and_of_whoever_is_named(room: RoomInMemory) -> None:
    services = get(room, "/api/permissions")
    named = get(room, "/api/permissions", registry="the-registry", operator="olga", client="a-shop")
    counts = Counter(each["principal"] for each in named if each not in services)
    assert set(APP.services) == {each["principal"].removeprefix("User:") for each in services}
    assert counts == {"User:a-shop": 8, "User:olga": 22, "User:the-registry": 7}


def test_what_is_declared_is_told_as_it_is(room: RoomInMemory) -> None:
    topology, lifetimes = get(room, "/api/topology"), get(room, "/api/topology/lifetimes")
    assert topology["services"] == list(APP.services)
    desk, register = "order.OrderDesk", "order.OrderRegister"
    assert topology["nodes"][0] == {"name": desk, "service": "order", "role": "OrderDesk", "conducts": False}
    assert {"name": "outside", "service": "outside", "role": None, "conducts": False} in topology["nodes"]
    assert [each["name"] for each in topology["nodes"] if each["conducts"]] == [
        "payment.PaymentOrchestrator", "orchestrator.OrderOrchestrator",
    ]  # fmt: skip
    assert topology["edges"][0] == {
        "source": desk, "target": register, "message": "OrderPlaced", "kind": "event", "topic": "orders.events",
        "control": "choreographed",
    }  # fmt: skip
    assert lifetimes[0]["then"].startswith("the service stops with LostState")
    assert {"subject": "inventory.control", "kept": "for ever", "origin": "catalogue", "then": None} in lifetimes
