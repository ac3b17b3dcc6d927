"""What happens to orders, told to a `Story`: completed, declined, undone."""

from __future__ import annotations

from tests.support.recorded_flow.records import Written
from tests.support.recorded_flow.story import DUE, LINES, Story

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


def receive(story: Story, quantity: int = 100) -> None:
    for line in LINES:
        command = story.outside(
            "inventory.commands",
            "ReceiveStock",
            "berlin",
            warehouse_id="berlin",
            sku=line["sku"],
            quantity=quantity,
        )
        story.fact("StockReceived", command, sku=line["sku"], quantity=quantity, receipt_id=command.message_id)


def place(story: Story, order_id: str, speed: str = "standard") -> Written:
    """Accepted by the order service, known to all who care."""
    terms = {**TERMS, "order_id": order_id, "shipping_speed": speed}
    command = story.outside("orders.commands", "PlaceOrder", order_id, **terms)
    placed = story.by("order", "orders.events", "OrderPlaced", command, **terms, placed_at=1)
    story.write("order.order-changelog", "Order", order_id, {"order_id": order_id, "status": "placed"})
    shipment = {"order_id": order_id, "status": "awaited", "shipping_speed": speed}
    story.write("shipping.shipment-changelog", "Shipment", order_id, shipment)
    early = _begin_early(story, placed, order_id) if speed == "express" else []
    begun = {
        "step": "payment",
        "attempt": 1,
        "begun": ["shipment", "payment"],
        "due_at": 5,
        "expected": ["PaymentConfirmed"],
    }
    story.state(order_id, "payment_pending", placed, *early, **begun)
    return placed


def _begin_early(story: Story, placed: Written, order_id: str) -> list[Written]:
    shipment = {"order_id": order_id, "shipment_id": f"s-{order_id}", "shipping_speed": "express"}
    story.by("shipping", "shipping.commands", "InitiatePackaging", placed, order_id=order_id, warehouse_id="berlin")
    scheduled = story.by("shipping", "shipping.events", "ShipmentScheduled", placed, **shipment)
    packed = {**shipment, "status": "scheduled", "packaging": True}
    story.write("shipping.shipment-changelog", "Shipment", order_id, packed)
    return [scheduled]


def pay(story: Story, placed: Written) -> Written:
    order_id = placed.fields["order_id"]
    asked = story.by(
        "orchestrator", "payments.commands", "ProcessPayment", placed, order_id=order_id, attempt=1, **PAYMENT
    )
    charge = story.by("payment", "payments.commands", "AttemptCharge", asked, order_id=order_id, **PAYMENT)
    booking = story.book("charge", order_id, "captured")
    confirmed = {"order_id": order_id, "amount": DUE, "currency": "EUR", "charge_id": booking.entry_id}
    paid = story.by("payment", "payments.events", "PaymentConfirmed", charge, **confirmed)
    story.state(
        order_id,
        "fulfilled",
        paid,
        step="reservation",
        begun=["shipment", "payment", "reservation"],
        done=["payment"],
    )
    return paid


def reserve(story: Story, paid: Written) -> Written:
    """Reserved, and the shipment commanded; returns that command."""
    at = {"order_id": paid.fields["order_id"], "warehouse_id": "berlin"}
    speeds = {"customer_id": "c-1", "shipping_speed": "standard"}
    order_id = at["order_id"]
    asked = story.by(
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
    story.facts("StockReserved", asked, order_id)
    held = story.by("inventory", "inventory.events", "ReservationConfirmed", asked, **at)
    command = story.by("inventory", "shipping.commands", "ScheduleShipment", asked, **at, **speeds, expires_at=9)
    story.state(order_id, "fulfilled", held, step="shipment", done=["payment", "reservation"])
    return command


def complete(story: Story, order_id: str, speed: str = "standard") -> None:
    command = reserve(story, pay(story, place(story, order_id, speed)))
    shipped = {"order_id": order_id, "shipment_id": f"s-{order_id}", "shipping_speed": speed}
    scheduled = story.by("shipping", "shipping.events", "ShipmentScheduled", command, **shipped)
    done = ["payment", "reservation", "shipment"]
    story.state(order_id, "completed", scheduled, step=None, done=done, due_at=None, expected=[])
    closing = story.by("orchestrator", "orders.commands", "CompleteOrder", scheduled, order_id=order_id)
    leaving = story.by(
        "orchestrator", "inventory.commands", "DispatchStock", scheduled, order_id=order_id, warehouse_id="berlin"
    )
    story.by("order", "orders.events", "OrderCompleted", closing, order_id=order_id)
    story.facts("StockDispatched", leaving, order_id)


def decline(story: Story, order_id: str) -> None:
    placed = place(story, order_id)
    asked = story.by(
        "orchestrator", "payments.commands", "ProcessPayment", placed, order_id=order_id, attempt=1, **PAYMENT
    )
    charge = story.by("payment", "payments.commands", "AttemptCharge", asked, order_id=order_id, **PAYMENT)
    story.book("charge", order_id, "declined")
    refused = story.by("payment", "payments.events", "PaymentDeclined", charge, order_id=order_id, reason="card")
    story.state(order_id, "compensating", refused, step="shipment", failed=["payment"])
    cancelled(story, unship(story, refused))


def cancel(story: Story, order_id: str) -> None:
    """Asked for while the shipment was awaited: everything is undone."""
    reserve(story, pay(story, place(story, order_id)))
    asked = story.outside(
        "orchestrator.commands", "RequestCancellation", order_id, order_id=order_id, reason="asked to"
    )
    scheduling = story.last("ScheduleShipment", order_id)
    story.state(order_id, "compensating", asked, step="shipment")
    told = {"order_id": order_id, "shipment_id": None}
    late = story.by("shipping", "shipping.events", "ShipmentCancelled", scheduling, **told)
    released = release(story, unship(story, asked))
    cancelled(story, refund(story, released), late)


def unship(story: Story, cause: Written) -> Written:
    order_id = cause.fields["order_id"]
    command = story.by("orchestrator", "shipping.commands", "CancelShipment", cause, order_id=order_id, **UNDO)
    event = story.by("shipping", "shipping.events", "ShipmentCancelled", command, order_id=order_id, shipment_id=None)
    story.state(order_id, "compensating", event, step="reservation", undone=["shipment"])
    return event


def release(story: Story, cause: Written) -> Written:
    at = {"order_id": cause.fields["order_id"], "warehouse_id": "berlin"}
    command = story.by("orchestrator", "inventory.commands", "ReleaseStock", cause, **at, **UNDO)
    story.facts("StockReleased", command, at["order_id"])
    event = story.by("inventory", "inventory.events", "ReservationReleased", command, **at)
    story.state(at["order_id"], "compensating", event, step="payment", undone=["shipment", "reservation"])
    return event


def refund(story: Story, cause: Written) -> Written:
    order_id = cause.fields["order_id"]
    command = story.by("orchestrator", "payments.commands", "RefundPayment", cause, order_id=order_id, **UNDO)
    story.book("refund", order_id, "refunded")
    event = story.by("payment", "payments.events", "PaymentRefunded", command, order_id=order_id, amount=DUE)
    story.state(order_id, "compensating", event, undone=["shipment", "reservation", "payment"])
    return event


def cancelled(story: Story, cause: Written, *late: Written) -> None:
    order_id = cause.fields["order_id"]
    story.state(order_id, "cancelled", *late, step=None, due_at=None, expected=[])
    closing = story.by("orchestrator", "orders.commands", "CancelOrder", cause, order_id=order_id, reason="asked to")
    story.by("order", "orders.events", "OrderCancelled", closing, order_id=order_id, reason="asked to")


def asked_for_payment(story: Story, cause: Written) -> Written:
    """Sent, and not read yet."""
    fields = {"order_id": cause.fields["order_id"], "attempt": 1, **PAYMENT}
    asked = story.by("orchestrator", "payments.commands", "ProcessPayment", cause, **fields)
    if "payment" not in story.committed:
        story.unread("payment", asked)
    return asked


def decide(story: Story, order_id: str, entry: int, *decided: str) -> None:
    """What the order's states say that it decided upon one of the entries of the latest."""
    message_id = story.last("OrderState", order_id).fields["seen"][entry]["message_id"]
    for state in story.all("OrderState", order_id):
        state.fields["seen"] = [
            {**seen, "decided": list(decided)} if seen["message_id"] == message_id else seen
            for seen in state.fields["seen"]
        ]


def settle_by_hand(story: Story, order_id: str) -> None:
    """The refund of an order that was cancelled is given up after all, and somebody paid back without the provider."""
    gone = ("RefundPayment", "PaymentRefunded", "CancelOrder", "OrderCancelled", "OrderState", "OrderState")
    for kind in gone:
        story.drop(story.last(kind, order_id))
    story.bookings = [booking for booking in story.bookings if booking.kind != "refund"]
    story.seen[order_id] = [record for record in story.seen[order_id] if record in story.records]
    fields = {"order_id": order_id, "steps": ["payment"], **BY_HAND}
    command = story.outside("orchestrator.commands", "SettleOrder", order_id, **fields)
    story.states[order_id] |= {"undone": ["shipment", "reservation"], "settled": ["payment"]}
    cancelled(story, command, command)


def clean_story() -> Story:
    """Orders of each kind, repeats, and a dead letter: nothing is wrong with any of it."""
    story = Story()
    receive(story)
    complete(story, "o-done")
    complete(story, "o-fast", speed="express")
    decline(story, "o-declined")
    cancel(story, "o-undone")
    again = story.last("PlaceOrder", "o-done")
    story.outside("orders.commands", "PlaceOrder", "o-done", **again.fields)
    other = story.outside("orders.commands", "PlaceOrder", "o-done", **{**again.fields, "customer_id": "c-2"})
    story.given_up("order", other)
    told_of(story, "order", other, "completed")
    return story


def told_of(story: Story, service: str, command: Written, status: str) -> Written:
    """Its sender is told that a command has failed; the orchestrator notes it."""
    order_id = command.fields["order_id"]
    said = {"command": command.type, "command_id": command.message_id, "error": "E", "message": "m", "attempts": 1}
    failed = story.by(service, EVENTS_OF[service], "CommandFailed", command, order_id=order_id, **said)
    failed.fields["service"] = service
    story.state(order_id, status, failed)
    return failed
