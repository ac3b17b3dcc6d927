"""What services hold back and what operators ask for, told to a `Story`."""

from __future__ import annotations

from typing import Any

from cli.verify.flow import CONTROL, OPERATIONS, PARKED
from tests.support.recorded_flow.orders import PAYMENT, place, told_of
from tests.support.recorded_flow.records import Written
from tests.support.recorded_flow.story import Story

ORDER = "o-held"
ASKED = {"requested_by": "ann", "reason": "mended", "at": 1}


def command(story: Story, attempt: int = 1) -> Written:
    """ProcessPayment of an order that is placed and waits for it."""
    placed = story.last("OrderPlaced", ORDER) if attempt > 1 else place(story, ORDER)
    return story.by(
        "orchestrator", "payments.commands", "ProcessPayment", placed, order_id=ORDER, attempt=attempt, **PAYMENT
    )


def park(story: Story, record: Written, status: str = "retrying", newer: Written | None = None) -> None:
    """Payment lets it wait, or a newer attempt in its place; the first of its key."""
    _hold(story, record, newer or record, (0, status))


def park_behind(story: Story, record: Written) -> None:
    """The second of its key."""
    _hold(story, record, record, (1, "retrying"))


def _hold(story: Story, place: Written, inside: Written, said: tuple[int, str]) -> None:
    (topic, partition, offset), (number, status) = place.at, said
    held = {"topic": topic, "partition": partition, "offset": offset, "key": inside.raw_key, "value": inside.value()}
    held |= {"headers": [], "message": inside.type, "message_id": inside.message_id, "parked_at": 1}
    _change(story, partition, f"record/{ORDER}/{number:012d}", ("ParkedRecord", held))
    entry = {"status": status, "first": 0, "next": number + 1, "since": 1}
    _change(story, partition, f"key/{ORDER}", ("ParkedKey", entry))


def free(story: Story, record: Written, number: int = 0) -> None:
    """It is done with, and so is the key."""
    for key in (f"record/{ORDER}/{number:012d}", f"key/{ORDER}"):
        _change(story, record.at[1], key, ("ParkedKey", {})).is_tombstone = True


def given_up(story: Story, record: Written) -> Written:
    """A dead letter that holds the key back, and whoever sent it is told."""
    letter = story.given_up("payment", record, disposition="dead_letter", parking_key=ORDER)
    told_of(story, "payment", record, "payment_pending")
    return letter


def resolve(story: Story, record: Written, how: str) -> None:
    """An operator, or an undo, has decided."""
    topic, partition, offset = record.at
    decided = {"how": how, "operation_id": "op-1", "requested_by": "ann", "reason": "mended", "at": 1}
    _change(story, partition, f"mark/{topic}/{partition}/{offset}/0/{ORDER}", ("Resolution", decided))


def ask(story: Story, operation: str, **fields: Any) -> Written:
    """An operator's command to payment, in partition 1."""
    return story.write_at((f"payment{CONTROL}", 1), operation, "x", {"operation_id": "op-2", **ASKED, **fields})


def answer(story: Story) -> None:
    said = {"operation_id": "op-2", "service": "payment", "partition": 1, "operation": "PauseWork", "outcome": "done"}
    story.write_at((f"payment{OPERATIONS}", 1), "OperationDone", "x", {**said, "at": 1})


def succeed(story: Story, record: Written) -> None:
    story.by("payment", "payments.commands", "AttemptCharge", record, order_id=ORDER, **PAYMENT)
    declined = story.by(
        "payment", "payments.events", "PaymentDeclined", story.last("AttemptCharge"), order_id=ORDER, reason="card"
    )
    story.state(ORDER, "payment_pending", declined)


def answer_again(story: Story, cause: Written) -> None:
    """The outcome is known: it is told once more."""
    told = story.by("payment", "payments.events", "PaymentDeclined", cause, order_id=ORDER, reason="card")
    story.state(ORDER, "payment_pending", told)


def _change(story: Story, partition: int, key: str, state: tuple[str, dict[str, Any]]) -> Written:
    kind, fields = state
    return story.write_at((f"payment{PARKED}", partition), kind, key, fields)
