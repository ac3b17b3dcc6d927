"""Orders as the command line shows them, from what all services have written."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from backoffice import places_of
from backoffice.order_filter import OrderFilter
from backoffice.order_story import order_of
from cli.live_story import narrate
from cli.order_filter import parse_conditions
from cli.order_output import show_order, watch
from cli.orders import document_of, list_orders, read_history, state_of
from cli.stock import StockFilter, audit, levels
from ensemble.command_line.errors import Mistake
from ensemble.command_line.output_format import JSON, TABLE
from ensemble.command_line.publishing import publish
from tests.support.order_messages import lines, order_placed, place_order
from tests.support.order_states import all_states

STORY = [
    "PlaceOrder", "OrderPlaced", "ProcessPayment", "AttemptCharge", "PaymentConfirmed", "FulfilOrder",
    "ReservationConfirmed", "StockReserved", "ScheduleShipment", "ShipmentScheduled", "DispatchStock", "CompleteOrder",
    "StockDispatched", "OrderCompleted",
]  # fmt: skip


def test_lists_orders_latest_change_first_with_terms_also_when_the_state_has_let_go_of_them(flow: Any) -> None:
    publish(flow, place_order())
    flow.settle()
    publish(flow, place_order(order_id="o-2", payment_token="tok_declined", customer_id="c-2"))
    flow.settle()

    rows = list_orders(flow, OrderFilter(), 10)

    assert [(row["order"], row["status"], row["customer"], row["total"]) for row in rows] == [
        ("o-2", "cancelled", "c-2", "5.00 EUR"),
        ("o-1", "completed", "c-1", "5.00 EUR"),
    ]
    assert rows[0]["reason"] == "PaymentDeclined: card declined"
    assert rows[1]["waits_for"] is None


def test_lists_so_many_of_those_that_are_meant(flow: Any) -> None:
    for number in range(3):
        publish(flow, place_order(order_id=f"o-{number}"))
        flow.settle()
    publish(flow, place_order(order_id="o-bad", payment_token="tok_declined"))

    assert [row["order"] for row in list_orders(flow, OrderFilter(), 2)] == ["o-bad", "o-2"]
    assert [row["order"] for row in list_orders(flow, parse_conditions(["status=cancelled"]), 9)] == ["o-bad"]


def test_an_order_under_way_says_what_it_waits_for(flow: Any) -> None:
    flow.stopped = {"inventory"}
    publish(flow, place_order())

    (row,) = list_orders(flow, OrderFilter(), 10)

    assert (row["status"], row["step"], row["speed"]) == ("fulfilled", "reservation", "standard")
    assert row["waits_for"].startswith("ReservationConfirmed or ReservationRejected from inventory by ")


def test_tells_the_whole_story_of_an_order_causes_first(flow: Any) -> None:
    publish(flow, place_order(order_id="o-2"))
    publish(flow, place_order())

    history = read_history(flow, "o-1")

    types = [line.entry.type for line in history.lines]
    assert (types[:6], sorted(types)) == (STORY[:6], sorted(STORY))
    assert [line.cause for line in history.lines][:4] == ["", "PlaceOrder", "OrderPlaced", "ProcessPayment"]
    assert {order_of(line.entry) for line in history.lines} == {"o-1"}
    document = document_of(history)
    assert [message["caused_by"] for message in document["messages"][:2]] == [None, "PlaceOrder"]
    assert (document["order_id"], document["state"]["status"], document["waits_for"]) == ("o-1", "completed", None)
    assert len(document["messages"]) == len(STORY)
    assert document["owed"] == document["dead_letters"] == []


def test_an_order_of_which_there_is_nothing_is_a_mistake(flow: Any) -> None:
    assert state_of(flow, "o-none") == {}
    with pytest.raises(Mistake, match="no order 'o-none' on memory:9092"):
        read_history(flow, "o-none")


def test_a_given_up_message_is_in_the_history_of_its_order(flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    publish(flow, place_order())
    publish(flow, place_order(customer_id="c-2"))

    history = read_history(flow, "o-1")
    show_order(history, output=TABLE)

    assert [entry.type for entry in history.dead] == ["PlaceOrder"]
    output = capsys.readouterr().out
    assert "o-1  completed\n2 bolt for c-1, 5.00 EUR, standard" in output
    assert "dead letter  order.dead-letter/" in output
    assert "PlaceOrder: RejectedInput: order_id: o-1 was placed before on other terms" in output
    assert "decision\t" in output


def test_the_state_of_a_deleted_order_is_not_listed(flow: Any) -> None:
    publish(flow, place_order())
    assert all_states(flow).keys() == {"o-1"}
    flow.publish("orchestrator.order-state", b"o-1", None, [])
    assert all_states(flow) == {}


def test_the_story_of_one_order_is_read_in_its_lifetime_only(flow: Any) -> None:
    for number in range(8):
        publish(flow, place_order(order_id=f"o-{number}", lines=lines(bolt=1)))
        flow.settle()
        flow.advance(3600)

    history = read_history(flow, "o-3")

    assert sorted(line.entry.type for line in history.lines) == sorted(STORY)
    assert flow.records_read == len(STORY)
    assert history.unread == 0


def test_reads_only_the_orders_own_partition_of_topics_that_are_keyed_by_order(flow: Any) -> None:
    places = places_of(flow, ["orders.events", "inventory.commands"], "o-1")
    topics = [topic for topic, _ in places]
    assert topics.count("orders.events") == 1
    assert topics.count("inventory.commands") == flow.topics()["inventory.commands"]


def test_watches_an_order_until_it_has_ended(flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    publish(flow, place_order())

    assert watch(flow, "o-1", 10, output=TABLE) == 0

    captured = capsys.readouterr()
    assert "OrderCompleted" in captured.out
    assert "o-1 is completed" in captured.err


def test_says_what_an_order_waits_for_that_does_not_end(flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    flow.stopped = {"inventory"}
    publish(flow, place_order())

    assert watch(flow, "o-1", 0.2, output=JSON) == 1
    said = capsys.readouterr().err
    assert re.search(r"o-1 has not ended within \d s \(--timeout\)", said)
    assert "(--timeout): it waits for ReservationConfirmed" in said
    assert watch(flow, "o-none", 0.1, output=JSON) == 1
    assert "no message of it was read" in capsys.readouterr().err


def test_a_live_story_is_only_of_its_order(flow: Any) -> None:
    publish(flow, place_order(order_id="o-2"))
    publish(flow, place_order())

    with flow.follow(flow.places(["orders.events"]), from_beginning=True) as follower:
        told = [(line.entry.type, order_of(line.entry)) for line in narrate(follower, "o-1", 10)]

    assert told == [("OrderPlaced", "o-1"), ("OrderCompleted", "o-1")]


def test_terms_of_an_order_from_outside_are_found_where_it_was_placed(flow: Any) -> None:
    publish(flow, order_placed(lines=lines(bolt=1)))

    (row,) = list_orders(flow, OrderFilter(), 10)

    assert (row["status"], row["total"]) == ("completed", "2.50 EUR")


def test_stock_is_folded_from_the_ledger_shelf_by_shelf(flow: Any) -> None:
    publish(flow, place_order())

    (row,) = levels(flow, StockFilter())

    assert row == {"warehouse": "w-1", "sku": "bolt", "received": 10, "on_hand": 8, "reserved": 0, "dispatched": 2}
    assert levels(flow, StockFilter(sku="nut")) == levels(flow, StockFilter(warehouse="w-2")) == []
    facts: Callable[[], list[tuple[Any, ...]]] = lambda: [  # noqa: E731  said once, used twice
        (row["fact"], row["sequence"], row["on_hand"], row["wrong"]) for row in audit(flow, StockFilter("w-1", "bolt"))
    ]
    assert facts() == [("StockReceived", 1, 10, None), ("StockReserved", 2, 8, None), ("StockDispatched", 3, 8, None)]
