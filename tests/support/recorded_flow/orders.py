"""What happens to orders, written to a `RecordedFlow`: completed, declined, undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.recorded_flow.flow import DUE, LINES, RecordedFlow
from tests.support.recorded_flow.records import WrittenRecord

TERMS = {
    "customer_id": "c-1",
    "lines": list(LINES),
    "currency": "EUR",
    "payment_token": "tok_approve",
    "warehouse_id": "berlin",
    "shipping_speed": "standard",
}
PAYMENT = {"amount": DUE, "currency": "EUR", "payment_token": "tok_approve", "expires_at": 9}
EVENTS_OF = {"order": "orders.events", "payment": "payments.events", "inventory": "inventory.events"}
UNDO = {"reason": "asked to", "attempt": 1}
BY_HAND = {"requested_by": "anna", "reason": "audit"}
ANY_FIELDS: dict[str, Any] = {
    **TERMS,
    **PAYMENT,
    **UNDO,
    **BY_HAND,
    "order_id": "o-any",
    "placed_at": 1,
    "charge_id": None,
    "shipment_id": "s-any",
    "steps": ["payment"],
    "sku": "tea",
    "quantity": 1,
    "sequence": 1,
    "receipt_id": "r-any",
    "command": "ProcessPayment",
    "command_id": "any",
    "service": "payment",
    "error": "E",
    "message": "m",
    "attempts": 1,
}
"""A value for each field that a message of the flow must have."""


def receive(flow: RecordedFlow, quantity: int = 100) -> None:
    for line in LINES:
        command = flow.outside(
            "inventory.commands",
            "ReceiveStock",
            "berlin",
            warehouse_id="berlin",
            sku=line["sku"],
            quantity=quantity,
        )
        flow.fact("StockReceived", command, sku=line["sku"], quantity=quantity, receipt_id=command.message_id)


def place(flow: RecordedFlow, order_id: str, speed: str = "standard") -> WrittenRecord:
    """Record an order that the order service has accepted and the other services know."""
    terms = {**TERMS, "order_id": order_id, "shipping_speed": speed}
    command = flow.outside("orders.commands", "PlaceOrder", order_id, **terms)
    placed = flow.by("order", "orders.events", "OrderPlaced", command, **terms, placed_at=1)
    flow.write("order.order-changelog", "Order", order_id, {"order_id": order_id, "status": "placed"})
    shipment = {"order_id": order_id, "status": "awaited", "shipping_speed": speed}
    flow.write("shipping.shipment-changelog", "Shipment", order_id, shipment)
    early = _begin_early(flow, placed, order_id) if speed == "express" else []
    begun = {
        "step": "payment",
        "attempt": 1,
        "begun": ["shipment", "payment"],
        "due_at": 5,
        "expected": ["PaymentConfirmed"],
    }
    flow.state(order_id, "payment_pending", placed, *early, **begun)
    return placed


def _begin_early(flow: RecordedFlow, placed: WrittenRecord, order_id: str) -> list[WrittenRecord]:
    shipment = {"order_id": order_id, "shipment_id": f"s-{order_id}", "shipping_speed": "express"}
    flow.by("shipping", "shipping.commands", "InitiatePackaging", placed, order_id=order_id, warehouse_id="berlin")
    scheduled = flow.by("shipping", "shipping.events", "ShipmentScheduled", placed, **shipment)
    packed = {**shipment, "status": "scheduled", "packaging": True}
    flow.write("shipping.shipment-changelog", "Shipment", order_id, packed)
    return [scheduled]


def pay(flow: RecordedFlow, placed: WrittenRecord) -> WrittenRecord:
    order_id = placed.fields["order_id"]
    request = flow.by(
        "orchestrator", "payments.commands", "ProcessPayment", placed, order_id=order_id, attempt=1, **PAYMENT
    )
    charge = flow.by("payment", "payments.commands", "AttemptCharge", request, order_id=order_id, **PAYMENT)
    booking = flow.book("charge", order_id, "captured")
    confirmed = {"order_id": order_id, "amount": DUE, "currency": "EUR", "charge_id": booking.entry_id}
    paid = flow.by("payment", "payments.events", "PaymentConfirmed", charge, **confirmed)
    flow.state(
        order_id,
        "fulfilled",
        paid,
        step="reservation",
        begun=["shipment", "payment", "reservation"],
        done=["payment"],
    )
    return paid


def reserve(flow: RecordedFlow, paid: WrittenRecord) -> WrittenRecord:
    """Reserved, and the shipment commanded; returns that command."""
    at = {"order_id": paid.fields["order_id"], "warehouse_id": "berlin"}
    speeds = {"customer_id": "c-1", "shipping_speed": "standard"}
    order_id = at["order_id"]
    request = flow.by(
        "orchestrator",
        "inventory.commands",
        "FulfilOrder",
        paid,
        **at,
        **speeds,
        lines=list(LINES),
        attempt=1,
        expires_at=9,
    )
    flow.facts("StockReserved", request, order_id)
    confirmation = flow.by("inventory", "inventory.events", "ReservationConfirmed", request, **at)
    command = flow.by("inventory", "shipping.commands", "ScheduleShipment", request, **at, **speeds, expires_at=9)
    flow.state(order_id, "fulfilled", confirmation, step="shipment", done=["payment", "reservation"])
    return command


def complete(flow: RecordedFlow, order_id: str, speed: str = "standard") -> None:
    command = reserve(flow, pay(flow, place(flow, order_id, speed)))
    shipped = {"order_id": order_id, "shipment_id": f"s-{order_id}", "shipping_speed": speed}
    scheduled = flow.by("shipping", "shipping.events", "ShipmentScheduled", command, **shipped)
    done = ["payment", "reservation", "shipment"]
    flow.state(order_id, "completed", scheduled, step=None, done=done, due_at=None, expected=[])
    closing = flow.by("orchestrator", "orders.commands", "CompleteOrder", scheduled, order_id=order_id)
    leaving = flow.by(
        "orchestrator", "inventory.commands", "DispatchStock", scheduled, order_id=order_id, warehouse_id="berlin"
    )
    flow.by("order", "orders.events", "OrderCompleted", closing, order_id=order_id)
    flow.facts("StockDispatched", leaving, order_id)


def decline(flow: RecordedFlow, order_id: str) -> None:
    placed = place(flow, order_id)
    request = flow.by(
        "orchestrator", "payments.commands", "ProcessPayment", placed, order_id=order_id, attempt=1, **PAYMENT
    )
    charge = flow.by("payment", "payments.commands", "AttemptCharge", request, order_id=order_id, **PAYMENT)
    flow.book("charge", order_id, "declined")
    refused = flow.by("payment", "payments.events", "PaymentDeclined", charge, order_id=order_id, reason="card")
    flow.state(order_id, "compensating", refused, step="shipment", failed=["payment"])
    cancelled(flow, unship(flow, refused))


def cancel(flow: RecordedFlow, order_id: str) -> None:
    """Asked for while the shipment was awaited: everything is undone."""
    reserve(flow, pay(flow, place(flow, order_id)))
    request = flow.outside(
        "orchestrator.commands", "RequestCancellation", order_id, order_id=order_id, reason="asked to"
    )
    scheduling = flow.last("ScheduleShipment", order_id)
    flow.state(order_id, "compensating", request, step="shipment")
    fields = {"order_id": order_id, "shipment_id": None}
    late = flow.by("shipping", "shipping.events", "ShipmentCancelled", scheduling, **fields)
    released = release(flow, unship(flow, request))
    cancelled(flow, refund(flow, released), late)


def unship(flow: RecordedFlow, cause: WrittenRecord) -> WrittenRecord:
    order_id = cause.fields["order_id"]
    command = flow.by("orchestrator", "shipping.commands", "CancelShipment", cause, order_id=order_id, **UNDO)
    event = flow.by("shipping", "shipping.events", "ShipmentCancelled", command, order_id=order_id, shipment_id=None)
    flow.state(order_id, "compensating", event, step="reservation", undone=["shipment"])
    return event


def release(flow: RecordedFlow, cause: WrittenRecord) -> WrittenRecord:
    at = {"order_id": cause.fields["order_id"], "warehouse_id": "berlin"}
    command = flow.by("orchestrator", "inventory.commands", "ReleaseStock", cause, **at, **UNDO)
    flow.facts("StockReleased", command, at["order_id"])
    event = flow.by("inventory", "inventory.events", "ReservationReleased", command, **at)
    flow.state(at["order_id"], "compensating", event, step="payment", undone=["shipment", "reservation"])
    return event


def refund(flow: RecordedFlow, cause: WrittenRecord) -> WrittenRecord:
    order_id = cause.fields["order_id"]
    command = flow.by("orchestrator", "payments.commands", "RefundPayment", cause, order_id=order_id, **UNDO)
    flow.book("refund", order_id, "refunded")
    event = flow.by("payment", "payments.events", "PaymentRefunded", command, order_id=order_id, amount=DUE)
    flow.state(order_id, "compensating", event, undone=["shipment", "reservation", "payment"])
    return event


def cancelled(flow: RecordedFlow, cause: WrittenRecord, *late: WrittenRecord) -> None:
    order_id = cause.fields["order_id"]
    flow.state(order_id, "cancelled", *late, step=None, due_at=None, expected=[])
    closing = flow.by("orchestrator", "orders.commands", "CancelOrder", cause, order_id=order_id, reason="asked to")
    flow.by("order", "orders.events", "OrderCancelled", closing, order_id=order_id, reason="asked to")


def asked_for_payment(flow: RecordedFlow, cause: WrittenRecord) -> WrittenRecord:
    """Sent, and not read yet."""
    fields = {"order_id": cause.fields["order_id"], "attempt": 1, **PAYMENT}
    request = flow.by("orchestrator", "payments.commands", "ProcessPayment", cause, **fields)
    if "payment" not in flow.committed:
        flow.unread("payment", request)
    return request


def decide(flow: RecordedFlow, order_id: str, entry: int, *decided: str) -> None:
    """Set what the order's states say that it decided upon one of the latest state's entries."""
    message_id = flow.last("OrderState", order_id).fields["seen"][entry]["message_id"]
    for state in flow.all("OrderState", order_id):
        state.fields["seen"] = [
            {**seen, "decided": list(decided)} if seen["message_id"] == message_id else seen
            for seen in state.fields["seen"]
        ]


def settle_by_hand(flow: RecordedFlow, order_id: str) -> None:
    """Have the refund of a cancelled order given up after all, and paid back by hand without the provider."""
    gone = ("RefundPayment", "PaymentRefunded", "CancelOrder", "OrderCancelled", "OrderState", "OrderState")
    for kind in gone:
        flow.drop(flow.last(kind, order_id))
    flow.bookings = [booking for booking in flow.bookings if booking.kind != "refund"]
    flow.seen[order_id] = [record for record in flow.seen[order_id] if record in flow.records]
    fields = {"order_id": order_id, "steps": ["payment"], **BY_HAND}
    command = flow.outside("orchestrator.commands", "SettleOrder", order_id, **fields)
    flow.states[order_id] |= {"undone": ["shipment", "reservation"], "settled": ["payment"]}
    cancelled(flow, command, command)


def clean_flow() -> RecordedFlow:
    """Orders of each kind, repeats, and a dead letter: nothing is wrong with any of it."""
    flow = RecordedFlow()
    receive(flow)
    complete(flow, "o-done")
    complete(flow, "o-fast", speed="express")
    decline(flow, "o-declined")
    cancel(flow, "o-undone")
    again = flow.last("PlaceOrder", "o-done")
    flow.outside("orders.commands", "PlaceOrder", "o-done", **again.fields)
    other = flow.outside("orders.commands", "PlaceOrder", "o-done", **{**again.fields, "customer_id": "c-2"})
    flow.dead_letter("order", other)
    told_of(flow, "order", other, "completed")
    return flow


def violation_lines_with(plant: Callable[[RecordedFlow], object], check: str) -> str:
    """Return the violations that one check finds in the clean flow once a mistake is planted, a line each."""
    flow = clean_flow()
    plant(flow)
    return flow.violation_lines(check)


def told_of(flow: RecordedFlow, service: str, command: WrittenRecord, status: str) -> WrittenRecord:
    """Its sender is told that a command has failed; the orchestrator notes it."""
    order_id = command.fields["order_id"]
    fields = {"command": command.type, "command_id": command.message_id, "error": "E", "message": "m", "attempts": 1}
    failed = flow.by(service, EVENTS_OF[service], "CommandFailed", command, order_id=order_id, **fields)
    failed.fields["service"] = service
    flow.state(order_id, status, failed)
    return failed
