"""What the check knows of the flow: who reads what, and what has to follow. Written down here, not taken over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from contracts.catalogue import CATALOGUE

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


class StepTraces(NamedTuple):
    """What a step of the order saga leaves on the topics."""

    topic: str
    command: str
    succeeded: str
    failed: str
    undo: str
    undone: str
    inner: tuple[str, ...] = ()
    """Commands of participants that belong to the step: its undo makes them moot as well."""

    @property
    def events(self) -> tuple[str, ...]:
        """Return the answers of the step."""
        return tuple(filter(None, (self.succeeded, self.failed, self.undone)))

    @property
    def followers(self) -> Mapping[str, frozenset[str]]:
        """Return what may come next on the topic of its events; the repeat of an answer is legal."""
        return {
            self.succeeded: frozenset({self.succeeded, self.undone}),
            self.undone: frozenset({self.undone, self.failed}),
            self.failed: frozenset({self.failed, self.undone}),
        }


STEPS: Final[Mapping[str, StepTraces]] = {
    "payment": StepTraces(
        "payments.events", "ProcessPayment", "PaymentConfirmed", "PaymentDeclined", "RefundPayment", "PaymentRefunded",
        inner=("AttemptCharge",),
    ),
    "reservation": StepTraces(
        "inventory.events", "FulfilOrder", "ReservationConfirmed", "ReservationRejected", "ReleaseStock",
        "ReservationReleased",
    ),
    "shipment": StepTraces(
        "shipping.events", "", "ShipmentScheduled", "", "CancelShipment", "ShipmentCancelled",
        inner=("ScheduleShipment", "InitiatePackaging"),
    ),
}  # fmt: skip
"""The shipment is commanded past the orchestrator, and nobody refuses it."""

UNDONE_BY: Final = {command: step.undo for step in STEPS.values() for command in (step.command, *step.inner)}
"""An undo passes the commands of its order that wait parked, and makes them moot."""


class Duty(NamedTuple):
    """What one service owes a message that it has read: one of these effects, or a reason for silence."""

    reader: str
    effects: tuple[str, ...] = ()
    """Types of messages; one of them, caused by the input, is enough."""
    silence: str = ""
    """Name of the rule in `silences` that says when no message has to follow; empty: one always has to."""
    together: tuple[str, ...] = ()
    """Effects that come in one transaction: when one of them is there, so is the other."""


_NOTED: Final = Duty("orchestrator", silence="noted")
_RESERVED: Final = ("ReservationConfirmed", "ScheduleShipment")

DUTIES: Final[Mapping[str, tuple[Duty, ...]]] = {
    "PlaceOrder": (Duty("order", ("OrderPlaced",), "placed_before"),),
    "CompleteOrder": (Duty("order", ("OrderCompleted", "OrderCancelled")),),
    "CancelOrder": (Duty("order", ("OrderCancelled", "OrderCompleted")),),
    "OrderPlaced": (
        _NOTED,
        Duty("order", silence="order_known"),
        Duty("shipping", ("ShipmentScheduled",), "shipment_known", ("ShipmentScheduled", "InitiatePackaging")),
    ),
    "ProcessPayment": (Duty("payment", ("AttemptCharge", "PaymentConfirmed", "PaymentDeclined")),),
    "AttemptCharge": (Duty("payment", ("PaymentConfirmed", "PaymentDeclined"), "refunded_before"),),
    "RefundPayment": (Duty("payment", ("PaymentRefunded",)),),
    "FulfilOrder": (Duty("inventory", ("ReservationConfirmed", "ReservationRejected"), together=_RESERVED),),
    "ReleaseStock": (Duty("inventory", ("ReservationReleased",)),),
    "DispatchStock": (Duty("inventory", ("StockDispatched",), "dispatched_before"),),
    "ReceiveStock": (Duty("inventory", ("StockReceived",)),),
    "ScheduleShipment": (Duty("shipping", ("ShipmentScheduled", "ShipmentCancelled")),),
    "InitiatePackaging": (Duty("shipping", silence="packing_begun"),),
    "CancelShipment": (Duty("shipping", ("ShipmentCancelled",)),),
    **dict.fromkeys(("RequestCancellation", "PauseOrder", "ResumeOrder", "RetryOrder", "CompensateOrder"), (_NOTED,)),
    **dict.fromkeys(("SettleOrder", "CommandFailed"), (_NOTED,)),
    **{event: (_NOTED,) for step in STEPS.values() for event in step.events},
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

FOLLOWERS: Final[Mapping[str, Mapping[str, frozenset[str]]]] = {
    **{step.topic: step.followers for step in STEPS.values()},
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

SENT_AGAIN: Final = frozenset(
    {"ProcessPayment", "AttemptCharge", "FulfilOrder", "RefundPayment", "ReleaseStock", "CancelShipment"}
)
"""Commands that count their attempts: a later one takes the place of one that waits parked."""

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
