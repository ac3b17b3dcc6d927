"""Why an input may have no message that follows from it: each rule looks for the state that it must have left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from verifier.case import Case
from verifier.facts import Message
from verifier.flow import ORDER_CHANGELOG, SHIPMENT_CHANGELOG, STEPS, TERMS
from verifier.runtime_formats import FIRST_SEEN, MOST_SEEN


def same_terms(one: Message, other: Message) -> bool:
    """Return whether both messages place the same order."""
    return all(one.fields.get(name) == other.fields.get(name) for name in TERMS)


def noted(case: Case, message: Message) -> bool:
    """Return whether the orchestrator has recorded the message, or no longer could.

    A full memory has lost what came between its first and its latest entries, a deleted state what came before.
    """
    return message.message_id in case.noted or message.time <= _forgotten_until(case)


def _forgotten_until(case: Case) -> int:
    """Return until when messages that are recorded nowhere may have been recorded, -1 if none may."""
    until = -1
    for record in case.states:
        if not record.status:
            until = record.time
        elif len(record.seen) >= MOST_SEEN:
            until = max(until, record.seen[FIRST_SEEN].get("at", 0))
    return until


def placed_before(case: Case, message: Message) -> bool:
    """Return whether the same order was placed before, or had ended before it was placed."""
    placed = case.of_type("OrderPlaced")
    if not placed:
        closing = (*case.of_type("CompleteOrder"), *case.of_type("CancelOrder"))
        has_ended = case.completed is not None or case.cancelled is not None
        return has_ended and any(each.offset < message.offset for each in closing)
    return any(same_terms(message, other) for other in placed)


def order_known(case: Case, _: Message) -> bool:
    """Return whether the order service knows the order."""
    return case.is_kept_in(ORDER_CHANGELOG)


def shipment_known(case: Case, message: Message) -> bool:
    """Return whether shipping knows the order; an express one is planned or cancelled in either case."""
    if not case.is_kept_in(SHIPMENT_CHANGELOG):
        return False
    has_answered = any(case.of_type(kind) for kind in STEPS["shipment"].events)
    return case.placed != message or message.fields.get("shipping_speed") != "express" or has_answered


def packing_begun(case: Case, _: Message) -> bool:
    """Return whether packing has begun, or the shipment is cancelled."""
    shipment = case.kept_in(SHIPMENT_CHANGELOG)
    return bool(shipment.get("packaging")) or shipment.get("status") == "cancelled"


def refunded_before(case: Case, message: Message) -> bool:
    """Return whether the order was refunded before the charge was tried, which ends the charge."""
    return _followed(case, message, "RefundPayment", "PaymentRefunded")


def dispatched_before(case: Case, message: Message) -> bool:
    """Return whether the reserved goods have left already, because of an earlier command."""
    return _followed(case, message, "DispatchStock", "StockDispatched")


def _followed(case: Case, message: Message, command: str, effect: str) -> bool:
    """Return whether an earlier command has had this effect, before the message was read."""
    earlier = (each for each in case.of_type(command) if each.offset < message.offset)
    return any(each.type == effect for one in earlier for each in case.caused.get(one.message_id, ()))


_RULES: Final = (
    noted, placed_before, order_known, shipment_known, packing_begun, refunded_before, dispatched_before,
)  # fmt: skip
SILENCES: Final[Mapping[str, Callable[[Case, Message], bool]]] = {rule.__name__: rule for rule in _RULES}
