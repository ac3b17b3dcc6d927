"""A shop in the middle of its day: orders that went well, that were declined, that wait, and that are stuck."""

from __future__ import annotations

from contracts import PauseOrder, ReceiveStock, RequestCancellation
from ensemble.messages import Message
from tests.support.order_messages import lines, place_order
from tests.support.room_server import RoomServer

CUSTOMERS = ("Ada-Lovelace", "grace.hopper", "c-1042", "tim", "Radia-Perlman")


def seed(server: RoomServer) -> None:
    """Write a day's orders, and let a good part of them get stuck in every way that there is."""
    flow = server.flow
    server.publish(
        ReceiveStock(warehouse_id="berlin", sku="espresso-machine", quantity=40),
        ReceiveStock(warehouse_id="berlin", sku="beans-1kg", quantity=900),
        ReceiveStock(warehouse_id="lisbon", sku="grinder", quantity=25),
    )
    for number in range(24):
        server.publish(_order(number))
        flow.advance(2)
    server.publish(_order(90, order_id="order-out-of-stock", lines=lines(bolt=5_000)))
    server.publish(
        place_order(order_id="order-twice"), place_order(order_id="order-twice", customer_id="somebody-else")
    )
    flow.stopped = {"inventory"}
    server.publish(_order(91, order_id="order-no-answer"), _order(92, order_id="order-paused"))
    server.publish(PauseOrder(order_id="order-paused", requested_by="ann", reason="the customer calls back at four"))
    flow.advance(45)
    server.publish(_order(93, order_id="order-express", shipping_speed="express"))
    server.publish(_order(94, order_id="order-cancelled"))
    server.publish(RequestCancellation(order_id="order-cancelled", reason="bought elsewhere"))
    server.publish(_order(95, order_id="order-charged-wrongly", payment_token="tok_wrong_amount"))
    server.publish(_order(96, order_id="order-provider-down", payment_token="tok_error"))
    server.update()


def bring_traffic(server: RoomServer) -> None:
    """Let all services work, on orders that are placed now: lines of the stage have rates, and messages travel."""
    server.flow.stopped = set()
    server.flow.catch_up()
    for number in range(200, 230):
        server.publish(_order(number))


def _order(number: int, **changes: object) -> Message:
    kinds = (
        {"lines": lines(**{"espresso-machine": 1, "beans-1kg": 2}), "warehouse_id": "berlin"},
        {"lines": lines(grinder=1), "warehouse_id": "lisbon", "shipping_speed": "express"},
        {"lines": lines(**{"beans-1kg": 1 + number % 5}), "warehouse_id": "berlin", "currency": "JPY"},
        {"lines": lines(grinder=1), "warehouse_id": "lisbon", "payment_token": "tok_declined"},
        {"lines": lines(**{"beans-1kg": 3}), "warehouse_id": "berlin", "currency": "KWD"},
    )
    base = {"order_id": f"order-{1000 + number * 7}", "customer_id": CUSTOMERS[number % len(CUSTOMERS)]}
    return place_order(**{**base, **kinds[number % len(kinds)], **changes})
