"""What services hold back and what operators ask for, written to a `RecordedFlow`."""

from __future__ import annotations

from typing import Any

from tests.chaos.audit.recording import OPERATIONS
from tests.support.recorded_flow.flow import RecordedFlow
from tests.support.recorded_flow.orders import PAYMENT, place, told_of
from tests.support.recorded_flow.records import WrittenRecord
from verifier.runtime_formats import CONTROL, PARKED

ORDER = "o-held"
ASKED = {"requested_by": "ann", "reason": "mended", "at": 1}


def command(flow: RecordedFlow, attempt: int = 1) -> WrittenRecord:
    """ProcessPayment of an order that is placed and waits for it."""
    placed = flow.last("OrderPlaced", ORDER) if attempt > 1 else place(flow, ORDER)
    return flow.by(
        "orchestrator", "payments.commands", "ProcessPayment", placed, order_id=ORDER, attempt=attempt, **PAYMENT
    )


def park(
    flow: RecordedFlow, record: WrittenRecord, status: str = "retrying", newer: WrittenRecord | None = None
) -> None:
    """Payment lets it wait, or a newer attempt in its place; the first of its key."""
    _hold(flow, record, newer or record, (0, status))


def park_behind(flow: RecordedFlow, record: WrittenRecord) -> None:
    """Park the record as the second of its key."""
    _hold(flow, record, record, (1, "retrying"))


def _hold(
    flow: RecordedFlow, place: WrittenRecord, inside: WrittenRecord, entry_number_and_status: tuple[int, str]
) -> None:
    (topic, partition, offset), (number, status) = place.at, entry_number_and_status
    parked = {"topic": topic, "partition": partition, "offset": offset, "key": inside.raw_key, "value": inside.value()}
    parked |= {"headers": [], "message": inside.type, "message_id": inside.message_id, "parked_at": 1}
    _change(flow, partition, f"record/{ORDER}/{number:012d}", ("ParkedRecord", parked))
    entry = {"status": status, "first": 0, "next": number + 1, "since": 1}
    _change(flow, partition, f"key/{ORDER}", ("ParkedKey", entry))


def free(flow: RecordedFlow, record: WrittenRecord, number: int = 0) -> None:
    """Free the record, and its key with it."""
    for key in (f"record/{ORDER}/{number:012d}", f"key/{ORDER}"):
        _change(flow, record.at[1], key, ("ParkedKey", {})).is_tombstone = True


def dead_letter(flow: RecordedFlow, record: WrittenRecord) -> WrittenRecord:
    """Write a dead letter that holds the key back, and the failure that its sender receives."""
    letter = flow.dead_letter("payment", record, disposition="dead_letter", parking_key=ORDER)
    told_of(flow, "payment", record, "payment_pending")
    return letter


def resolve(flow: RecordedFlow, record: WrittenRecord, how: str) -> None:
    """Record that an operator, or an undo, has resolved the dead letter."""
    topic, partition, offset = record.at
    decided = {"how": how, "operation_id": "op-1", "requested_by": "ann", "reason": "mended", "at": 1}
    _change(flow, partition, f"mark/{topic}/{partition}/{offset}/0/{ORDER}", ("Resolution", decided))


def ask(flow: RecordedFlow, operation: str, **fields: Any) -> WrittenRecord:
    """Write an operator's command to payment, in partition 1."""
    return flow.write_at((f"payment{CONTROL}", 1), operation, "x", {"operation_id": "op-2", **ASKED, **fields})


def answer(flow: RecordedFlow) -> None:
    fields = {"operation_id": "op-2", "service": "payment", "partition": 1, "operation": "PauseWork", "outcome": "done"}
    flow.write_at((f"payment{OPERATIONS}", 1), "OperationDone", "x", {**fields, "at": 1})


def succeed(flow: RecordedFlow, record: WrittenRecord) -> None:
    flow.by("payment", "payments.commands", "AttemptCharge", record, order_id=ORDER, **PAYMENT)
    declined = flow.by(
        "payment", "payments.events", "PaymentDeclined", flow.last("AttemptCharge"), order_id=ORDER, reason="card"
    )
    flow.state(ORDER, "payment_pending", declined)


def answer_again(flow: RecordedFlow, cause: WrittenRecord) -> None:
    """Write once more the event of an outcome that is known."""
    event = flow.by("payment", "payments.events", "PaymentDeclined", cause, order_id=ORDER, reason="card")
    flow.state(ORDER, "payment_pending", event)


def _change(flow: RecordedFlow, partition: int, key: str, state: tuple[str, dict[str, Any]]) -> WrittenRecord:
    kind, fields = state
    return flow.write_at((f"payment{PARKED}", partition), kind, key, fields)
