"""Pauses and resumes from the command line, with the orchestrator and payment at work."""

from collections.abc import Callable

import pytest

from ensemble.testing.on_kafka import wait_for
from tests.support.payment_on_kafka import PaymentOnKafka

WHY = ("--reason", "a test", "--by", "ann")
PARTITIONS = "4 of 4"


@pytest.fixture
def order_id(unique: Callable[[str], str]) -> str:
    return unique("order")


def held_at_payment(payment: PaymentOnKafka, *orders: str, card: str = "tok_approve") -> None:
    assert payment.ensemble("pauses", "start", "step", "payment", "--yes", *WHY).code == 0
    payment.place(*orders, card=card)
    wait_for(
        lambda: all(payment.order(each).get("paused_by") == "step payment" for each in orders), "the orders to be held"
    )


def test_a_paused_step_is_acknowledged_by_all_partitions_and_holds_new_orders(
    payment: PaymentOnKafka, order_id: str
) -> None:
    with payment.with_orchestrator():
        paused = payment.ensemble("pauses", "start", "step", "payment", "--yes", *WHY, "--json")
        (service,) = paused.document["services"]
        assert (paused.code, service["service"], service["acknowledged"], service["missing"]) == (
            0,
            "orchestrator",
            4,
            [],
        )
        (pause,) = payment.ensemble("pauses", "list", "--json").document
        assert (pause["name"], pause["by"], pause["everywhere"]) == ("payment", "ann", True)
        held_at_payment(payment, order_id)
        assert "ProcessPayment" not in payment.messages(order_id)
        assert payment.ensemble("pauses", "end", "step", "payment", "--yes", *WHY, "--yes", "--timeout", "30").code == 0
        assert payment.order(order_id)["status"] == "fulfilled"
        assert payment.ensemble("pauses", "list", "--json").document == []


def test_waves_stop_by_themselves_and_the_pause_stays(payment: PaymentOnKafka, unique: Callable[[str], str]) -> None:
    orders = [unique("order") for _ in range(3)]
    with payment.with_orchestrator():
        held_at_payment(payment, *orders, card="tok_declined")
        ran = payment.ensemble("pauses", "end", "step", "payment", "--yes", *WHY, "--yes", "--timeout", "30", "--json")
        assert (ran.code, ran.document["lifted"], len(ran.document["left_paused"])) == (1, False, 2)
        assert "2 remain paused" in ran.err
        assert payment.ensemble("pauses", "list", "--json").document != []
        assert (
            payment.ensemble("pauses", "end", "step", "payment", "--yes", *WHY, "--yes", "--failure-limit", "1").code
            == 0
        )


def test_one_order_is_paused_and_resumed(payment: PaymentOnKafka, order_id: str) -> None:
    with payment.with_orchestrator():
        held_at_payment(payment, order_id)
        again = payment.ensemble("orders", "pause", order_id, *WHY)
        assert (again.code, again.out) == (1, "")
        assert "already paused (by step payment)" in again.err
        assert payment.ensemble("pauses", "end", "step", "payment", "--yes", *WHY, "--yes", "--timeout", "30").code == 0
        paused = payment.ensemble("orders", "pause", order_id, *WHY, "--json").document
        assert (paused[0]["taken"], paused[0]["is"]) == (True, "fulfilled, reservation, paused by operator ann")
        assert [row["order"] for row in payment.ensemble("orders", "list", "--paused", "--json").document] == [order_id]
        resumed = payment.ensemble("orders", "resume", order_id, *WHY, "--json").document
        assert (resumed[0]["taken"], resumed[0]["is"]) == (True, "fulfilled, reservation")


def test_a_cancellation_is_previewed_and_then_carried_out(payment: PaymentOnKafka, order_id: str) -> None:
    with payment.with_orchestrator():
        payment.place(order_id)
        wait_for(lambda: payment.order(order_id).get("status") == "fulfilled", "the payment")
        (row,) = payment.ensemble("orders", "cancel", order_id, "--dry-run", "--json").document
        assert "payment: refund 5.00 EUR" in row["would"]
        assert payment.order(order_id)["status"] == "fulfilled"
        turned = payment.ensemble("orders", "compensate", "--where", f"order={order_id}", *WHY, "--yes", "--json")
        assert (turned.code, turned.document[0]["is"].split(",")[0]) == (0, "compensating")


def test_a_paused_service_says_who_has_not_answered(payment: PaymentOnKafka) -> None:
    ran = payment.ensemble("pauses", "start", "service", "payment", "--yes", *WHY, "--timeout", "1", "--json")
    assert ran.code == 1
    assert {row["service"]: len(row["missing"]) for row in ran.document["services"]} == {
        "payment": 4,
        "orchestrator": 4,
    }
    with payment.with_orchestrator():
        wait_for(lambda: payment.ensemble("pauses", "list", "--json").document[:1] != [], "the pause")
        resumed = payment.ensemble("pauses", "end", "service", "payment", "--yes", *WHY, "--json")
        assert (resumed.code, [row["acknowledged"] for row in resumed.document["services"]]) == (0, [4, 4])


def test_mistakes_name_what_there_is(payment: PaymentOnKafka, order_id: str) -> None:
    payment.ensemble("pauses", "start", "step", "paymnt", "--yes", *WHY).assert_not_found(
        "STEP", "payment, reservation, shipment"
    )
    payment.ensemble("pauses", "start", "command", "Pay", "--yes", *WHY).assert_not_found("TYPE", "ProcessPayment")
    payment.ensemble("pauses", "start", "service", "kitchen", "--yes", *WHY).assert_not_found("NAME", "inventory")
    payment.ensemble("orders", "pause", order_id, *WHY).assert_not_found(order_id, "ensemble orders list")
    payment.ensemble("orders", "pause", *WHY).assert_usage_error("ORDER_ID", "--status")
    payment.ensemble("orders", "pause", "--where", "color=red", *WHY).assert_usage_error("'color'", "status, step")
