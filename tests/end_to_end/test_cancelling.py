"""An order is cancelled on request wherever it stands, as long as it can be undone."""

from contracts import RequestCancellation
from tests.end_to_end.system import System
from tests.support.order_messages import order_placed


def cancel(order_id: str) -> RequestCancellation:
    return RequestCancellation(order_id=order_id, reason="changed my mind")


def test_a_cancellation_that_comes_before_the_order_stops_it(system: System, order_id: str) -> None:
    # given a cancellation of an order that nobody knows yet
    system.publish(cancel(order_id))
    system.watcher.until(lambda: system.watcher.state(order_id) is not None, "the cancellation is noted")

    # when the order comes
    system.publish(order_placed(order_id=order_id))

    # then it is cancelled without a charge
    assert system.await_end(order_id) == "cancelled"
    assert system.reason(order_id) == "RequestCancellation: changed my mind"
    assert system.held_by_provider(order_id) == 0


def test_a_cancellation_while_the_payment_is_open_gives_back_what_was_captured(system: System, order_id: str) -> None:
    # given a charge that the provider has booked, and whose answer is lost
    system.publish(order_placed(order_id=order_id, payment_token="tok_hang"))
    system.await_message(order_id, "ProcessPayment")

    # when the order is cancelled
    system.publish(cancel(order_id))

    # then the provider holds nothing, and stock was never reserved
    assert system.await_end(order_id) == "cancelled"
    assert system.held_by_provider(order_id) == 0
    assert system.watcher.counts(order_id)["StockReserved"] == 0


def test_a_cancellation_while_inventory_is_away_meets_the_reservation_there(system: System, order_id: str) -> None:
    # given a paid order that waits for its reservation
    with system.without("inventory"):
        system.publish(order_placed(order_id=order_id))
        system.await_message(order_id, "FulfilOrder")

        # when it is cancelled
        system.publish(cancel(order_id))
        system.await_message(order_id, "ReleaseStock")

    # then inventory, back again, reserves and gives back, or never reserves; the money is returned
    assert system.await_end(order_id) == "cancelled"
    counts = system.watcher.counts(order_id)
    assert counts["StockReserved"] == counts["StockReleased"]
    assert system.held_by_provider(order_id) == 0


def test_a_cancellation_while_shipping_is_away_undoes_the_reservation(system: System, order_id: str) -> None:
    # given a reserved order that waits for its shipment
    with system.without("shipping"):
        system.publish(order_placed(order_id=order_id))
        system.await_message(order_id, "ReservationConfirmed")

        # when it is cancelled
        system.publish(cancel(order_id))
        system.await_message(order_id, "CancelShipment")

    # then nothing ships, the stock is given back, and so is the money
    assert system.await_end(order_id) == "cancelled"
    counts = system.watcher.counts(order_id)
    assert (counts["StockReserved"], counts["StockReleased"], counts["StockDispatched"]) == (1, 1, 0)
    assert system.held_by_provider(order_id) == 0


def test_cancellations_that_race_with_their_orders_leave_each_in_one_state(system: System, order_id: str) -> None:
    # given ten orders, every other one express
    orders = [f"{order_id}-{number}" for number in range(10)]

    # when each is cancelled at another moment of its life
    for number, each in enumerate(orders):
        system.publish(order_placed(order_id=each, shipping_speed=("standard", "express")[number % 2]))
        system.publish(cancel(orders[number - number % 3]))

    # then each ends, once, and the provider holds what is due for exactly the completed ones
    endings = {each: system.await_end(each) for each in orders}
    for each, ending in endings.items():
        assert system.held_by_provider(each) == (500 if ending == "completed" else 0)


def test_a_cancellation_after_the_end_changes_nothing(system: System, order_id: str) -> None:
    # given a completed order
    system.publish(order_placed(order_id=order_id))
    assert system.await_end(order_id) == "completed"

    # when it is cancelled, and the orchestrator has seen that
    receipt = system.publish(cancel(order_id))
    system.watcher.until(lambda: receipt.message_id in system.seen_ids(order_id), "the cancellation is noted")

    # then it stays completed
    assert system.ending(order_id) == "completed"
    assert system.watcher.counts(order_id)["RefundPayment"] == 0
