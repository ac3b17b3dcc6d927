"""The topic catalogue: every topic that messages travel on, its key, and how long it keeps them.

There is no other list.
"""

from __future__ import annotations

from contracts import commands as c
from contracts import events as e
from contracts import state as s
from ensemble import Catalogue, Command, CommandFailure, Topic

FOR_EVER = None
"""Retention of what is the truth itself: the ledger."""

ORDERS_COMMANDS = Topic(
    "orders.commands",
    "order",
    "order_id",
    (c.PlaceOrder, c.CompleteOrder, c.CancelOrder),
    from_outside=(c.PlaceOrder,),
)
ORDERS_EVENTS = Topic(
    "orders.events",
    "order",
    "order_id",
    (e.OrderPlaced, e.OrderCompleted, e.OrderCancelled, e.CommandFailed),
    from_outside=(e.OrderPlaced,),
    to_outside=dict.fromkeys((e.OrderCompleted, e.OrderCancelled), "for customers' notifications and other teams"),
)
PAYMENTS_COMMANDS = Topic(
    "payments.commands", "payment", "order_id", (c.ProcessPayment, c.AttemptCharge, c.RefundPayment)
)
PAYMENTS_EVENTS = Topic(
    "payments.events",
    "payment",
    "order_id",
    (e.PaymentConfirmed, e.PaymentDeclined, e.PaymentRefunded, e.CommandFailed),
)
INVENTORY_COMMANDS = Topic(
    "inventory.commands",
    "inventory",
    "warehouse_id",
    (c.FulfilOrder, c.ReleaseStock, c.DispatchStock, c.ReceiveStock),
    from_outside=(c.ReceiveStock,),
)
INVENTORY_EVENTS = Topic(
    "inventory.events",
    "inventory",
    "order_id",
    (e.ReservationConfirmed, e.ReservationRejected, e.ReservationReleased, e.CommandFailed),
)
INVENTORY_LEDGER = Topic(
    "inventory.ledger",
    "inventory",
    "warehouse_id",
    (e.StockReceived, e.StockReserved, e.StockReleased, e.StockDispatched, e.ReservationClosed),
    retention=FOR_EVER,
)
SHIPPING_COMMANDS = Topic(
    "shipping.commands", "shipping", "order_id", (c.ScheduleShipment, c.InitiatePackaging, c.CancelShipment)
)
SHIPPING_EVENTS = Topic(
    "shipping.events", "shipping", "order_id", (e.ShipmentScheduled, e.ShipmentCancelled, e.CommandFailed)
)
_OPERATOR_COMMANDS = (
    c.RequestCancellation,
    c.PauseOrder,
    c.ResumeOrder,
    c.RetryOrder,
    c.CompensateOrder,
    c.SettleOrder,
)
ORCHESTRATOR_COMMANDS = Topic(
    "orchestrator.commands", "orchestrator", "order_id", _OPERATOR_COMMANDS, from_outside=_OPERATOR_COMMANDS
)
ORCHESTRATOR_EVENTS = Topic(
    "orchestrator.events",
    "orchestrator",
    "order_id",
    (e.OrderPaused, e.OrderResumed, e.OrderCompensationFailed, e.CommandFailed),
    to_outside={
        e.OrderPaused: "for notifications: somebody, or a policy, holds an order back",
        e.OrderResumed: "for notifications: it goes on",
        e.OrderCompensationFailed: "for notifications: somebody has to settle what is owed",
    },
)
ORDER_STATE = Topic("orchestrator.order-state", "orchestrator", "order_id", (s.OrderState,), cleanup="compact")

SAGA_COMMANDS: dict[type[Command], type[Command]] = {
    **{kind: kind for kind in (c.ProcessPayment, c.RefundPayment, c.FulfilOrder, c.ReleaseStock, c.CancelShipment)},
    c.AttemptCharge: c.ProcessPayment,
}


def command_failed(failure: CommandFailure) -> e.CommandFailed | None:
    """Return the event for the orchestrator, or None for a command of no order: no sender waits for its answer.

    A command that stands behind one of the saga's own is told as that one.
    """
    order_id, kind = getattr(failure.command, "order_id", None), type(failure.command)
    if order_id is None:
        return None
    saga_command = SAGA_COMMANDS.get(kind, kind)
    reason = failure.reason if saga_command is kind else f"{kind.__name__}: {failure.reason}"
    return e.CommandFailed(
        order_id=order_id,
        command=saga_command.__name__,
        command_id=failure.message_id,
        service=failure.service,
        error=failure.error,
        message=reason[:1000],
        attempts=failure.attempts,
        command_attempt=getattr(failure.command, "attempt", 0),
        disposition=failure.disposition,
    )


CATALOGUE = Catalogue(
    topics=(
        ORDERS_COMMANDS,
        ORDERS_EVENTS,
        PAYMENTS_COMMANDS,
        PAYMENTS_EVENTS,
        INVENTORY_COMMANDS,
        INVENTORY_EVENTS,
        INVENTORY_LEDGER,
        SHIPPING_COMMANDS,
        SHIPPING_EVENTS,
        ORCHESTRATOR_COMMANDS,
        ORCHESTRATOR_EVENTS,
        ORDER_STATE,
    ),
    on_exhausted=command_failed,
    saga_commands=SAGA_COMMANDS,
)
