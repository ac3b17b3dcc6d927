"""What documents and findings say about orders: every secret hidden, every message in a few words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from backoffice.message_text import details, goods
from backoffice.order_document import HIDDEN, hide_secrets, restore_secrets
from backoffice.status import OrderTotals, order_findings

SECRET: dict[str, Any] = {
    "payment_token": "tok_approve",
    "lines": ({"sku": "tea", "payment_token": "tok_deep"},),
    "raw": b"\x01\xff",
    "at": datetime.fromtimestamp(7, UTC),
}


def test_secrets_are_hidden_at_any_depth_and_the_rest_is_json() -> None:
    assert hide_secrets(SECRET) == {
        "payment_token": HIDDEN, "lines": [{"sku": "tea", "payment_token": HIDDEN}], "raw": "01ff", "at": 7_000,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("edited", "restored"),
    [
        ({"payment_token": HIDDEN, "note": "x"}, {"payment_token": "tok_approve", "note": "x"}),
        ({"payment_token": "tok_new"}, {"payment_token": "tok_new"}),
        ({"note": HIDDEN}, {"note": HIDDEN}),
        ({"lines": [{"payment_token": HIDDEN}, {"payment_token": HIDDEN}]},
         {"lines": [{"payment_token": "tok_deep"}, {"payment_token": HIDDEN}]}),
        ({"lines": [{"payment_token": "tok_new"}]}, {"lines": [{"payment_token": "tok_new"}]}),
        ({"lines": "none"}, {"lines": "none"}),
    ],
    ids=["hidden", "changed", "no secret", "deep, and a line more", "changed deep", "another kind"],
)  # fmt: skip
def test_an_edit_gets_back_each_secret_that_it_left_hidden(edited: Any, restored: Any) -> None:
    assert restore_secrets(edited, SECRET) == restored


LINES = [{"sku": name, "quantity": 2, "unit_price": 150} for name in ("tea", "cup", "pot", "jug")]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"order_id": "o-1", "lines": LINES[:1], "currency": "EUR"}, "2 tea, 3.00 EUR"),
        ({"lines": LINES}, "2 tea, 2 cup, 2 pot and 1 more"),
        ({"amount": 900, "currency": "JPY", "attempt": 1}, "900 JPY"),
        ({"amount": 900, "attempt": 2}, "9.00 USD, attempt 2"),
        ({"reason": "late", "paused_ms": 65_000, "warehouse_id": "w-1"}, "late, after 65 s, warehouse w-1"),
        ({"owed": ("payment", "shipment"), "requested_by": "ann"}, "owed payment, shipment, by ann"),
        ({"quantity": 1, "sku": "tea"}, "1 piece, tea"),
        ({"quantity": 2, "past_pause": True, "step": "", "by": None, "late": False}, "2 pieces, past pause"),
        ({"command": "Pay", "error": "Gone", "message": "410", "attempts": 1}, "Pay after 1 attempt: Gone: 410"),
        ({"command": "Pay", "error": "Gone", "message": "410", "attempts": 3, "disposition": "skip"},
         "Pay after 3 attempts: Gone: 410 (skip)"),
    ],
)  # fmt: skip
def test_a_message_in_a_few_words(fields: dict[str, Any], text: str) -> None:
    assert details(fields, "USD") == text


def test_three_kinds_of_goods_fit_on_a_line() -> None:
    assert goods(LINES[:3]) == "2 tea, 2 cup, 2 pot"


def test_orders_that_do_not_move_or_owe_something_are_findings() -> None:
    well = OrderTotals(by_status={"completed": 7}, overdue=0, owed=0, paused=0)
    assert list(order_findings(well)) == []
    assert OrderTotals(by_status={"completed": 7, "fulfilled": 2}, overdue=0, owed=0, paused=0).active == 2
    findings = list(order_findings(well.model_copy(update={"overdue": 1, "owed": 2, "paused": 3})))
    assert [(each.severity, each.message.split(":")[0], each.next_command) for each in findings] == [
        ("problem", "1 order past the deadline", "ensemble orders list --overdue"),
        ("problem", "2 orders with a debt of money, stock or a shipment", "ensemble orders list --owed"),
        ("warning", "3 orders paused", "ensemble orders list --paused"),
    ]
