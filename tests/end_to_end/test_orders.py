"""How orders end, and what each leaves on the topics."""

import pytest

from contracts import OrderLine
from tests.end_to_end.system import PIECES, System
from tests.support.order_messages import lines, order_placed


def test_an_order_that_is_paid_and_in_stock_is_completed(system: System, order_id: str) -> None:
    # given an order of two pieces at 250
    # when it is placed
    system.publish(order_placed(order_id=order_id))

    # then it is charged, reserved, scheduled and dispatched, each once; a busy machine lets a deadline pass, and the
    # orchestrator asks again
    assert system.await_end(order_id) == "completed"
    system.await_message(order_id, "StockDispatched")
    counts = system.watcher.counts(order_id)
    asked = {"ProcessPayment", "AttemptCharge", "FulfilOrder", "ScheduleShipment", "CompleteOrder", "DispatchStock"}
    answered = {"PaymentConfirmed", "ReservationConfirmed", "ShipmentScheduled"}
    done = {"OrderPlaced", "StockReserved", "OrderCompleted", "StockDispatched"}
    assert set(counts) == asked | answered | done
    assert {counts[each] for each in done} == {1}
    assert system.held_by_provider(order_id) == 500
    assert system.watcher.dead_letters(order_id) == []


def test_a_declined_order_is_cancelled_and_reserves_nothing(system: System, order_id: str) -> None:
    # given a card that the provider declines
    # when the order is placed
    system.publish(order_placed(order_id=order_id, payment_token="tok_declined"))

    # then it is cancelled for that reason, and inventory never hears of it
    assert system.await_end(order_id) == "cancelled"
    assert system.reason(order_id) == "PaymentDeclined: card declined"
    assert system.watcher.counts(order_id)["FulfilOrder"] == 0
    assert system.held_by_provider(order_id) == 0


def test_an_order_beyond_the_stock_is_refunded_and_cancelled(system: System, order_id: str) -> None:
    # given more pieces than there are
    # when the order is placed
    short = (OrderLine(sku="bolt", quantity=PIECES, unit_price=1), OrderLine(sku="bolt", quantity=PIECES, unit_price=1))
    system.publish(order_placed(order_id=order_id, lines=short))

    # then no piece is reserved, and the money is given back
    assert system.await_end(order_id) == "cancelled"
    counts = system.watcher.counts(order_id)
    assert (counts["ReservationRejected"], counts["StockReserved"], counts["PaymentRefunded"]) == (1, 0, 1)
    assert system.entries_at_provider(order_id) == [("charge", 2 * PIECES), ("refund", 2 * PIECES)]


@pytest.mark.parametrize(
    ("terms", "reason"),
    [({"lines": lines(unicorn=1)}, "never received unicorn"), ({"warehouse_id": "nowhere"}, "nowhere")],
    ids=["sku", "warehouse"],
)
def test_an_order_for_what_nobody_has_is_cancelled(
    system: System, order_id: str, terms: dict[str, object], reason: str
) -> None:
    # given an unknown sku, or an unknown warehouse
    # when the order is placed
    system.publish(order_placed(order_id=order_id, **terms))

    # then it is cancelled, and the reason names it
    assert system.await_end(order_id) == "cancelled"
    assert reason in system.reason(order_id)
    assert system.held_by_provider(order_id) == 0


def test_an_express_order_is_packed_before_it_is_paid_for(system: System, order_id: str) -> None:
    # given an express order
    # when it is placed
    system.publish(order_placed(order_id=order_id, shipping_speed="express"))

    # then shipping schedules it by itself, and answers inventory's command as well
    assert system.await_end(order_id) == "completed"
    system.await_message(order_id, "ShipmentScheduled", 2)
    first = system.watcher.entries(order_id, "ShipmentScheduled")[0]
    assert first.causation == system.watcher.entries(order_id, "OrderPlaced")[0].id
    assert system.watcher.counts(order_id)["InitiatePackaging"] == 1


def test_an_express_order_that_is_declined_has_its_shipment_cancelled(system: System, order_id: str) -> None:
    # given an express order on a card that the provider declines
    # when it is placed
    system.publish(order_placed(order_id=order_id, shipping_speed="express", payment_token="tok_declined"))

    # then what shipping has begun is undone before the order is cancelled
    assert system.await_end(order_id) == "cancelled"
    counts = system.watcher.counts(order_id)
    assert (counts["ShipmentScheduled"], counts["ShipmentCancelled"], counts["FulfilOrder"]) == (1, 1, 0)
    assert system.reason(order_id) == "PaymentDeclined: card declined"


def test_an_order_that_costs_nothing_is_completed_without_a_charge(system: System, order_id: str) -> None:
    # given an order of which every piece is free
    # when it is placed, on a card that would be declined
    free = (OrderLine(sku="bolt", quantity=3, unit_price=0),)
    system.publish(order_placed(order_id=order_id, lines=free, payment_token="tok_declined"))

    # then nobody asks the provider
    assert system.await_end(order_id) == "completed"
    assert system.watcher.counts(order_id)["AttemptCharge"] == 0
    assert system.entries_at_provider(order_id) == []


def test_an_order_of_several_lines_is_reserved_line_by_line(system: System, order_id: str) -> None:
    # given an order that names one sku twice
    # when it is placed
    twice = (OrderLine(sku="bolt", quantity=1, unit_price=7), OrderLine(sku="bolt", quantity=2, unit_price=5))
    system.publish(order_placed(order_id=order_id, lines=twice))

    # then the ledger has a fact for each line, of reserving and of dispatching
    assert system.await_end(order_id) == "completed"
    system.await_message(order_id, "StockDispatched", 2)
    moved = [
        (e.type, e.fields["quantity"]) for e in system.watcher.entries(order_id, "StockReserved", "StockDispatched")
    ]
    assert moved == [("StockReserved", 1), ("StockReserved", 2), ("StockDispatched", 1), ("StockDispatched", 2)]
    assert system.held_by_provider(order_id) == 17
