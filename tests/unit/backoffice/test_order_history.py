"""What an order waits for, in words, and who owns a message."""

from __future__ import annotations

from typing import Any

import pytest

from backoffice.order_history import expected_events, owner_of, waits_for

NOON = 1_750_000_000_000
PAID = ("PaymentConfirmed", "PaymentDeclined")
AWAITED = "PaymentConfirmed or PaymentDeclined from payment"


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({}, ""),
        ({"expected": None, "due_at": NOON}, ""),
        ({"expected": PAID}, AWAITED),
        ({"expected": PAID, "due_at": NOON}, f"{AWAITED} by 15:06:40 (in 0.000 s)"),
        ({"expected": PAID, "due_at": NOON + 15_000}, f"{AWAITED} by 15:06:55 (in 15 s)"),
        ({"expected": PAID, "due_at": NOON - 1}, f"{AWAITED} by 15:06:39 (overdue by 0.001 s)"),
        (
            {"expected": PAID, "due_at": NOON, "paused_since": NOON - 15_000, "paused_reason": "audit"},
            f"paused 15 s ago (audit); it sends when resumed; then it waits for {AWAITED}",
        ),
        (
            {"paused_since": NOON - 15_000, "paused_by": "ann", "paused_reason": "audit", "remaining_ms": 0},
            "paused 15 s ago by ann (audit); its deadline resumes with 0.000 s left",
        ),
    ],
)
def test_what_an_order_waits_for_is_said_with_who_owes_it_and_by_when(state: dict[str, Any], text: str) -> None:
    assert waits_for(state, NOON) == text


def test_events_are_told_by_the_service_that_owns_them() -> None:
    assert owner_of("ShipmentScheduled") == "shipping"
    assert owner_of("Unheard") == "nobody here"
    events = ["PaymentConfirmed", "ShipmentScheduled", "PaymentDeclined", "Unheard"]
    assert expected_events(events) == f"{AWAITED} or ShipmentScheduled from shipping or Unheard from nobody here"
    assert expected_events([]) == ""
