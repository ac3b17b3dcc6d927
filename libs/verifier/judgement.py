"""All checks over one snapshot, and what was counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from verifier.checks.dead_letters import check_dead_letters
from verifier.checks.endings import check_endings, check_expected
from verifier.checks.inputs import check_inputs
from verifier.checks.money import check_money
from verifier.checks.operations import check_operations
from verifier.checks.pauses import check_pauses
from verifier.checks.records import check_records
from verifier.checks.sequence import check_sequence
from verifier.checks.state import check_state
from verifier.checks.stock import check_stock
from verifier.checks.traces import check_traces
from verifier.checks.transitions import check_transitions
from verifier.facts import Violation
from verifier.flow import DUTIES, MESSAGE_TOPICS, TYPES_OF
from verifier.progress import owing_orders
from verifier.snapshot import Snapshot

CHECKS: Final[Mapping[str, Callable[[Snapshot], list[Violation]]]] = {
    "money": check_money,
    "stock": check_stock,
    "endings": check_endings,
    "inputs": check_inputs,
    "order state": check_state,
    "transitions": check_transitions,
    "pauses": check_pauses,
    "traces": check_traces,
    "records": check_records,
    "dead letters": check_dead_letters,
    "order per key": check_sequence,
    "operations": check_operations,
}

ASKED: Final[Mapping[str, str]] = {
    "money": "what is held is what is due, and nobody was charged twice",
    "stock": "received = on hand + reserved + dispatched, never negative, no gap",
    "endings": "every order ends once",
    "inputs": "every input has an effect, waits parked, or is a dead letter",
    "order state": "the order state agrees with the topics",
    "transitions": "orders only move forward",
    "pauses": "no command leaves a paused order",
    "traces": "one trace from the first message to the last",
    "records": "each record can be read, where its key belongs, once",
    "dead letters": "dead letters are the untouched originals, and their senders know",
    "order per key": "nothing of a key overtakes what failed",
    "operations": "operators' commands are carried out",
}
"""What each check asks, for people."""


class Counted(NamedTuple):
    """What was looked at."""

    orders: int
    completed: int
    cancelled: int
    compensation_failed: int
    messages: Mapping[str, int]
    """By topic."""
    captures: int
    refunds: int
    """Those that gave money back."""
    stock_lines_reserved: int
    stock_lines_released: int
    stock_lines_dispatched: int
    warehouses: int
    dead_letters: Mapping[str, int]
    """By service."""
    parked: int = 0
    """Records that wait."""


def judge(snapshot: Snapshot, expect_orders: int | None = None) -> tuple[Violation, ...]:
    """Return every violation, check by check, in the order of their subjects."""
    violations = [violation for check in CHECKS.values() for violation in sorted(check(snapshot))]
    return (*violations, *(check_expected(snapshot, expect_orders) if expect_orders is not None else ()))


def count(snapshot: Snapshot) -> Counted:
    """Count what the snapshot holds."""
    accepted = snapshot.accepted.keys()
    facts = Counter(fact.type for facts in snapshot.facts.values() for fact in facts)
    bookings = snapshot.bookings or ()
    messages = Counter(dict.fromkeys(MESSAGE_TOPICS, 0))
    for (topic, _), partition in snapshot.messages.items():
        messages[topic] += len(partition)
    return Counted(
        orders=len(accepted),
        completed=len(accepted & snapshot.completed.keys()),
        cancelled=len(accepted & snapshot.cancelled.keys()),
        compensation_failed=len(owing_orders(snapshot)),
        messages=messages,
        captures=sum(1 for booking in bookings if booking.status == "captured"),
        refunds=sum(1 for booking in bookings if booking.kind == "refund" and booking.amount),
        stock_lines_reserved=facts["StockReserved"],
        stock_lines_released=facts["StockReleased"],
        stock_lines_dispatched=facts["StockDispatched"],
        warehouses=len(snapshot.facts),
        dead_letters=dict(Counter(letter.service for letter in snapshot.dead_letters)),
        parked=len(snapshot.parked.waiting),
    )


def notes(snapshot: Snapshot) -> tuple[str, ...]:
    """Return the limits of this check, as sentences."""
    sentences = []
    if not snapshot.is_whole:
        lost = sorted({place[0] for place, first in snapshot.firsts.items() if first and place in snapshot.messages})
        sentences.append(f"retention has removed the beginning of {', '.join(lost)}: what lay there was not checked")
    events = {"OrderCompleted", "OrderCancelled", "OrderPaused", "OrderResumed", "OrderCompensationFailed"}
    types = {*DUTIES, *events, *TYPES_OF["inventory.ledger"]}
    if unknown := sorted({name for topic in MESSAGE_TOPICS for name in TYPES_OF[topic]} - types):
        sentences.append(f"this check knows no effects of {', '.join(unknown)}: add them to libs/verifier/flow.py")
    return tuple(sentences)
