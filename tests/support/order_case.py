"""Orders as the verifier knows them, built from a few messages and notes."""

from __future__ import annotations

from typing import Any

from contracts import SCHEMAS, OrderState
from ensemble.messages import GenericDecoder, encoder_for
from verifier.case import Case, Decoders
from verifier.evidence import Evidence
from verifier.facts import Booking, Message, Parked
from verifier.flow import ORDER_STATE, SERVICES
from verifier.storage import BOOKING, PARKING, STATE, Note

DECODER = GenericDecoder([SCHEMAS])
COMMANDS = "payments.commands"


def message(kind: str, offset: int = 0, **fields: Any) -> Message:
    """Return a message of an order; an id and a place of its own follow from its offset."""
    plain: dict[str, Any] = {
        "topic": COMMANDS, "partition": 0, "offset": offset, "time": 1_000 + offset, "key": b"o-1", "type": kind,
        "message_id": f"m-{offset}", "source": "/services/orchestrator", "service": "orchestrator", "causation_id": "",
        "order_id": "o-1", "fault": "", "fields": {},
    }  # fmt: skip
    return Message(**plain | fields)


def evidence(**fields: Any) -> Evidence:
    """Return what holds where nothing is cut, and every group has read each topic up to offset 9."""
    topics = (COMMANDS, "orders.events", "orders.commands", "inventory.commands", "orchestrator.commands")
    groups = {group: {(topic, 0): 9 for topic in topics} for group in SERVICES}
    plain: dict[str, Any] = {"read_at": 10_000, "partitions": dict.fromkeys(topics, 1), "committed": groups}
    return Evidence(**plain | {"cut": {(topic, 0): 9 for topic in topics}} | fields)


def case(*messages: Message, notes: tuple[Note, ...] = (), of: Evidence | None = None, subject: str = "o-1") -> Case:
    return Case(of or evidence(), Decoders(DECODER, DECODER), (subject, list(messages), list(notes)))


def state_note(offset: int = 0, **fields: Any) -> Note:
    value = encoder_for(OrderState, SCHEMAS)(OrderState.model_validate({"order_id": "o-1"} | fields))
    return STATE, ORDER_STATE, 0, offset, 5_000 + offset, value


def parked(service: str, offset: int | None, number: int = 0, message_id: str = "") -> Note:
    source = None if offset is None else (COMMANDS, 0, offset)
    content = tuple(Parked(service, (0, "o-1", number), source, message_id))
    return PARKING, f"{service}.parked-changelog", 0, number, 0, content


def seen(message_id: str, at: int) -> dict[str, Any]:
    """Return what a state says to have seen."""
    return {"message_id": message_id, "type": "x", "topic": COMMANDS, "partition": 0, "offset": 0, "at": at}


def booked(amount: int, key: str = "o-1:charge", **fields: Any) -> Note:
    """Return an entry of the provider: a charge that was captured, unless the fields say something else."""
    plain = {"kind": "charge", "currency": "EUR", "status": "captured", "entry_id": "ch-1", "charge_key": None, "at": 0}
    content = Booking(key=key, order_id="o-1", amount=amount, **plain | fields)
    return BOOKING, "", 0, 0, 0, tuple(content)
