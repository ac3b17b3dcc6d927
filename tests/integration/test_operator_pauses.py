"""Pauses and resumes from the command line, with the orchestrator and payment at work."""

from collections.abc import Callable

import pytest

from tests.support.kafka_harness import wait_for
from tests.support.payment_on_kafka import Desk

WHY = ("--reason", "a test", "--by", "ann")
PARTITIONS = "4 of 4"


@pytest.fixture
def order_id(unique: Callable[[str], str]) -> str:
    return unique("order")


def held_at_payment(desk: Desk, *orders: str, card: str = "tok_approve") -> None:
    assert desk.ensemble("steps", "pause", "payment", *WHY).code == 0
    desk.place(*orders, card=card)
    wait_for(
        lambda: all(desk.order(each).get("paused_by") == "step payment" for each in orders), "the orders to be held"
    )


def test_a_paused_step_is_acknowledged_by_all_partitions_and_holds_new_orders(desk: Desk, order_id: str) -> None:
    with desk.conducted():
        paused = desk.ensemble("steps", "pause", "payment", *WHY, "--json")
        (service,) = paused.document["services"]
        assert (paused.code, service["service"], service["acknowledged"], service["missing"]) == (
            0,
            "orchestrator",
            4,
            [],
        )
        (pause,) = desk.ensemble("pauses", "list", "--json").document
        assert (pause["name"], pause["by"], pause["everywhere"]) == ("payment", "ann", True)
        held_at_payment(desk, order_id)
        assert "ProcessPayment" not in desk.messages(order_id)
        assert desk.ensemble("steps", "resume", "payment", *WHY, "--yes", "--wait", "30").code == 0
        assert desk.order(order_id)["status"] == "fulfilled"
        assert desk.ensemble("pauses", "list", "--json").document == []


def test_waves_stop_by_themselves_and_the_pause_stays(desk: Desk, unique: Callable[[str], str]) -> None:
    orders = [unique("order") for _ in range(3)]
    with desk.conducted():
        held_at_payment(desk, *orders, card="tok_declined")
        ran = desk.ensemble("steps", "resume", "payment", *WHY, "--yes", "--wait", "30", "--json")
        assert (ran.code, ran.document["lifted"], len(ran.document["left_paused"])) == (1, False, 2)
        assert "2 remain paused" in ran.err
        assert desk.ensemble("pauses", "list", "--json").document != []
        assert desk.ensemble("steps", "resume", "payment", *WHY, "--yes", "--failure-limit", "1").code == 0


def test_one_order_is_paused_and_resumed(desk: Desk, order_id: str) -> None:
    with desk.conducted():
        held_at_payment(desk, order_id)
        desk.ensemble("orders", "pause", order_id, *WHY).assert_is_a_mistake("already paused", "step payment")
        assert desk.ensemble("steps", "resume", "payment", *WHY, "--yes", "--wait", "30").code == 0
        paused = desk.ensemble("orders", "pause", order_id, *WHY, "--json").document
        assert (paused[0]["taken"], paused[0]["is"]) == (True, "fulfilled, reservation, paused by operator ann")
        assert [row["order"] for row in desk.ensemble("orders", "list", "--paused", "--json").document] == [order_id]
        resumed = desk.ensemble("orders", "resume", order_id, *WHY, "--json").document
        assert (resumed[0]["taken"], resumed[0]["is"]) == (True, "fulfilled, reservation")


def test_a_cancellation_is_previewed_and_then_carried_out(desk: Desk, order_id: str) -> None:
    with desk.conducted():
        desk.place(order_id)
        wait_for(lambda: desk.order(order_id).get("status") == "fulfilled", "the payment")
        (row,) = desk.ensemble("orders", "cancel", order_id, "--preview", "--json").document
        assert "payment: refund 5.00 EUR" in row["would"]
        assert desk.order(order_id)["status"] == "fulfilled"
        turned = desk.ensemble("orders", "compensate", "--where", f"order={order_id}", *WHY, "--yes", "--json")
        assert (turned.code, turned.document[0]["is"].split(",")[0]) == (0, "compensating")


def test_a_paused_service_says_who_has_not_answered(desk: Desk) -> None:
    ran = desk.ensemble("services", "pause", "payment", *WHY, "--ack", "1", "--json")
    assert ran.code == 1
    assert {row["service"]: len(row["missing"]) for row in ran.document["services"]} == {
        "payment": 4,
        "orchestrator": 4,
    }
    with desk.conducted():
        wait_for(lambda: desk.ensemble("pauses", "list", "--json").document[:1] != [], "the pause")
        resumed = desk.ensemble("services", "resume", "payment", *WHY, "--json")
        assert (resumed.code, [row["acknowledged"] for row in resumed.document["services"]]) == (0, [4, 4])


def test_mistakes_name_what_there_is(desk: Desk, order_id: str) -> None:
    desk.ensemble("steps", "pause", "paymnt", *WHY).assert_is_a_mistake("STEP", "payment, reservation, shipment")
    desk.ensemble("commands", "pause", "Pay", *WHY).assert_is_a_mistake("TYPE", "ProcessPayment")
    desk.ensemble("services", "pause", "kitchen", *WHY).assert_is_a_mistake("NAME", "inventory")
    desk.ensemble("orders", "pause", order_id, *WHY).assert_is_a_mistake(order_id, "ensemble orders list")
    desk.ensemble("orders", "pause", *WHY).assert_is_a_mistake("ORDER_ID", "--where")
    desk.ensemble("orders", "pause", "--where", "color=red", *WHY).assert_is_a_mistake("'color'", "status, step")
