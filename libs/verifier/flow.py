"""What the check knows of the flow: who reads what, and what has to follow. Written down here, not taken over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from contracts.catalogue import CATALOGUE
from ensemble.messages.message import Command

ORDER_STATE: Final = "orchestrator.order-state"
LEDGER: Final = "inventory.ledger"
ORDER_EVENTS: Final = "orders.events"
ORDER_CHANGELOG: Final = "order.order-changelog"
SHIPMENT_CHANGELOG: Final = "shipping.shipment-changelog"
WAREHOUSE_CHANGELOG: Final = "inventory.warehouse-changelog"
STATE_TOPICS: Final = (ORDER_STATE, ORDER_CHANGELOG, SHIPMENT_CHANGELOG, WAREHOUSE_CHANGELOG)
REQUESTS: Final = "orchestrator.commands"
"""What operators and customers ask of an order: few write here, and most partitions of an old cluster are empty."""

MESSAGE_TOPICS: Final = tuple(topic.name for topic in CATALOGUE.topics if topic.name != ORDER_STATE)
EXTERNAL_TOPICS: Final = frozenset(topic.name for topic in CATALOGUE.topics if topic.is_external)
"""Outsiders write here as well: the same message may come more than once."""
TYPES_OF: Final[Mapping[str, frozenset[str]]] = {
    topic.name: frozenset(message.__name__ for message in topic.messages) for topic in CATALOGUE.topics
}
KEY_OF: Final[Mapping[str, str]] = {topic.name: topic.key for topic in CATALOGUE.topics}
FORMAT_OF: Final[Mapping[str, str]] = {topic.name: topic.format for topic in CATALOGUE.topics}
TERMS: Final = ("customer_id", "lines", "currency", "payment_token", "warehouse_id", "shipping_speed")
"""What makes two orders of one id the same order."""
_FACTS: Final = tuple(sorted(TYPES_OF[LEDGER]))
FROM_OUTSIDE: Final = frozenset(message.__name__ for message in CATALOGUE.from_outside)
"""Types that need no cause."""


class Duty(NamedTuple):
    """What one service owes a message that it has read: one of these effects, or a reason for silence."""

    reader: str
    effects: frozenset[str] = frozenset()
    """Types of messages; one of them, caused by the input, is enough."""
    silence: str = ""
    """Name of the rule in `silences` that says when no message has to follow; empty: one always has to."""
    together: tuple[tuple[str, str], ...] = ()
    """Effects that come in one transaction: when the first is there, so is the second."""


def _owes(reader: str, *effects: str, silence: str = "", together: tuple[tuple[str, str], ...] = ()) -> Duty:
    return Duty(reader, frozenset(effects), silence, together)


_NOTED: Final = (_owes("orchestrator", silence="noted"),)

DUTIES: Final[Mapping[str, tuple[Duty, ...]]] = {
    "PlaceOrder": (_owes("order", "OrderPlaced", silence="placed_before"),),
    "CompleteOrder": (_owes("order", "OrderCompleted", "OrderCancelled"),),
    "CancelOrder": (_owes("order", "OrderCancelled", "OrderCompleted"),),
    "OrderPlaced": (
        *_NOTED,
        _owes("order", silence="order_known"),
        _owes(
            "shipping",
            "ShipmentScheduled",
            silence="shipment_known",
            together=(("ShipmentScheduled", "InitiatePackaging"), ("InitiatePackaging", "ShipmentScheduled")),
        ),
    ),
    "ProcessPayment": (_owes("payment", "AttemptCharge", "PaymentConfirmed", "PaymentDeclined"),),
    "AttemptCharge": (_owes("payment", "PaymentConfirmed", "PaymentDeclined", silence="refunded_before"),),
    "RefundPayment": (_owes("payment", "PaymentRefunded"),),
    "FulfilOrder": (
        _owes(
            "inventory",
            "ReservationConfirmed",
            "ReservationRejected",
            together=(("ReservationConfirmed", "ScheduleShipment"), ("ScheduleShipment", "ReservationConfirmed")),
        ),
    ),
    "ReleaseStock": (_owes("inventory", "ReservationReleased"),),
    "DispatchStock": (_owes("inventory", "StockDispatched", silence="dispatched_before"),),
    "ReceiveStock": (_owes("inventory", "StockReceived"),),
    "ScheduleShipment": (_owes("shipping", "ShipmentScheduled", "ShipmentCancelled"),),
    "InitiatePackaging": (_owes("shipping", silence="packing_begun"),),
    "CancelShipment": (_owes("shipping", "ShipmentCancelled"),),
    **dict.fromkeys(
        (
            *("RequestCancellation", "PauseOrder", "ResumeOrder", "RetryOrder", "CompensateOrder", "SettleOrder"),
            *("PaymentConfirmed", "PaymentDeclined", "PaymentRefunded"),
            *("ReservationConfirmed", "ReservationRejected", "ReservationReleased"),
            *("ShipmentScheduled", "ShipmentCancelled", "CommandFailed"),
        ),
        _NOTED,
    ),
}
"""Every input there is. What is not listed is read by nobody here, such as OrderCompleted, and owes nothing."""

SERVICES: Final = tuple(sorted({duty.reader for duties in DUTIES.values() for duty in duties}))
"""The consumer groups, named like the services."""

FIELDS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("PlaceOrder", "OrderPlaced"), TERMS),
    "PaymentConfirmed": ("amount", "currency", "charge_id"),
    "PaymentRefunded": ("amount",),
    "SettleOrder": ("steps",),
    **dict.fromkeys(("FulfilOrder", "ReleaseStock", "DispatchStock"), ("warehouse_id",)),
    "ReceiveStock": ("warehouse_id", "sku", "quantity"),
    **dict.fromkeys(_FACTS, ("warehouse_id", "sku", "quantity", "sequence", "receipt_id")),
}
"""The fields that a rule looks at; the others are read, and not kept."""

READERS_OF: Final[Mapping[str, frozenset[str]]] = {
    topic: frozenset(duty.reader for name in types for duty in DUTIES.get(name, ()))
    for topic, types in TYPES_OF.items()
}
"""The groups that read a topic, and so meet every record on it."""


class StepTraces(NamedTuple):
    """What a step of the order saga leaves on the topics."""

    command: str
    succeeded: str
    failed: str
    undo: str
    undone: str


STEPS: Final[Mapping[str, StepTraces]] = {
    "payment": StepTraces("ProcessPayment", "PaymentConfirmed", "PaymentDeclined", "RefundPayment", "PaymentRefunded"),
    "reservation": StepTraces(
        "FulfilOrder", "ReservationConfirmed", "ReservationRejected", "ReleaseStock", "ReservationReleased"
    ),
    "shipment": StepTraces("", "ShipmentScheduled", "", "CancelShipment", "ShipmentCancelled"),
}
"""The shipment is commanded past the orchestrator, and nobody refuses it."""


def _may_follow(step: StepTraces) -> Mapping[str, frozenset[str]]:
    """Return what may come next on the topic of a step's events; the repeat of an answer is legal."""
    return {
        step.succeeded: frozenset({step.succeeded, step.undone}),
        step.undone: frozenset({step.undone, step.failed}),
        step.failed: frozenset({step.failed, step.undone}),
    }


FOLLOWERS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    "payments.events": _may_follow(STEPS["payment"]),
    "inventory.events": _may_follow(STEPS["reservation"]),
    "shipping.events": _may_follow(STEPS["shipment"]),
    ORDER_EVENTS: {
        "OrderPlaced": frozenset({"OrderPlaced", "OrderCompleted", "OrderCancelled"}),
        "OrderCompleted": frozenset({"OrderPlaced", "OrderCompleted"}),
        "OrderCancelled": frozenset({"OrderPlaced", "OrderCancelled"}),
    },
    LEDGER: {
        "StockReserved": frozenset({"StockReserved", "StockReleased", "StockDispatched"}),
        "StockReleased": frozenset({"StockReleased"}),
        "StockDispatched": frozenset({"StockDispatched"}),
        "ReservationClosed": frozenset(),
    },
}
"""What may come next on a topic, for one order, after each type. The repeat of an answer is legal."""

UNDONE_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "ProcessPayment": ("RefundPayment",),
    "AttemptCharge": ("RefundPayment",),
    "FulfilOrder": ("ReleaseStock",),
    "ScheduleShipment": ("CancelShipment",),
    "InitiatePackaging": ("CancelShipment",),
}
"""An undo passes the commands of its order that wait parked, and makes them moot."""

SENT_AGAIN: Final = frozenset(
    {"ProcessPayment", "AttemptCharge", "FulfilOrder", "RefundPayment", "ReleaseStock", "CancelShipment"}
)
"""Commands that count their attempts: a later one takes the place of one that waits parked."""

COMMANDS: Final = frozenset(
    message.__name__ for topic in CATALOGUE.topics for message in topic.messages if issubclass(message, Command)
)

FIRST: Final[Mapping[str, frozenset[str]]] = {
    LEDGER: frozenset({"StockReserved", "ReservationClosed"}),
}
"""What an order may begin with on a topic, where that is not everything."""

_FORWARD: Final = ("payment_pending", "fulfilled", "completed", "compensating", "cancelled", "compensation_failed")
_UNDOING: Final = ("compensating", "cancelled", "compensation_failed")
NEXT_STATUSES: Final[Mapping[str, frozenset[str]]] = {
    "placeholder": frozenset(("placeholder", *_FORWARD, "")),
    "payment_pending": frozenset(_FORWARD),
    "fulfilled": frozenset(_FORWARD[1:]),
    "compensating": frozenset(_UNDOING),
    "compensation_failed": frozenset(_UNDOING),
    "completed": frozenset(("completed", "")),
    "cancelled": frozenset(("cancelled", "")),
}
"""What may follow a status; several steps may lie in one transaction, which writes one record. Empty: deleted."""
