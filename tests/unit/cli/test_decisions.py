"""What the orchestrator decided, who asked for it, and what is still owed, as `orders show` tells it."""

from __future__ import annotations

import pytest

from backoffice.debts import Debt, ShipmentOwed, StockLine, StockOwed, debts_of
from backoffice.effect_text import describe_debt
from backoffice.message_text import details
from backoffice.order_history import OrderHistory
from cli.debts import document
from cli.decisions import align, decisions, plain
from cli.order_output import show_order
from cli.orders import document_of
from contracts import OrderPaused, OrderResumed
from ensemble.command_line.output_format import TABLE
from services.orchestrator.domain import note
from tests.support.order_saga_driver import (
    CANCEL,
    PAID,
    PAUSE,
    PLACED,
    PROBE,
    RELEASED,
    UNSHIPPED,
    OrderSaga,
    failed,
    settle,
)

SENT = {"type": "OrderPlaced", "at": 1_000, "decided": ["ProcessPayment"], "status": "payment_pending",
        "step": "payment", "attempt": 1, "policy": "default"}  # fmt: skip
BY_HAND = {"type": "PauseOrder", "at": 2_000, "decided": ["pause"], "by": "anna", "why": "audit"}
LATE = {"type": "PaymentConfirmed", "at": 3_000, "late": True}
OLD = {"type": "PaymentConfirmed", "at": 4_000}


@pytest.mark.parametrize(
    ("seen", "row"),
    [
        (SENT, ("OrderPlaced", "ProcessPayment", "payment_pending, payment attempt 1", "policy default")),
        (BY_HAND, ("PauseOrder", "pause", "", "anna: audit")),
        ({**BY_HAND, "by": "", "why": "provider down"}, ("PauseOrder", "pause", "", "provider down")),
        (LATE, ("PaymentConfirmed", "noted: it came late", "", "")),
        (OLD, ("PaymentConfirmed", "noted", "", "")),
    ],
)
def test_each_entry_says_what_was_decided_and_by_whom(seen: dict[str, object], row: tuple[str, ...]) -> None:
    (decision,) = decisions({"seen": [seen]})
    assert decision[1:] == row


def test_decisions_are_aligned_on_a_terminal_and_tabbed_in_a_pipe() -> None:
    rows = list(decisions({"seen": [SENT, BY_HAND]}))
    first, second = align(rows)
    assert first.index("ProcessPayment") == second.index("pause")
    assert plain(rows[1]).split("\t") == [
        "decision",
        "1970-01-01T00:00:02.000Z",
        "PauseOrder",
        "pause",
        "",
        "anna: audit",
    ]


def owing() -> OrderHistory:
    order_saga = OrderSaga(PLACED, PAID, CANCEL, UNSHIPPED, RELEASED).time_out(2)
    return OrderHistory("o-1", note(order_saga.state, PAID, "m-1").model_dump(), [], [])


def test_what_is_owed_is_said_in_words_and_as_a_document() -> None:
    (debt,) = debts_of(owing().state)
    assert describe_debt(debt) == "refund 9.00 EUR (charge ch-1)"
    assert document(debt) == {
        "kind": "charge", "amount": 900, "currency": "EUR", "charge_id": "ch-1", "is_certain": True,
    }  # fmt: skip
    assert document_of(owing())["owed"] == [document(debt)]


@pytest.mark.parametrize(
    ("debt", "text"),
    [
        (StockOwed(warehouse_id="berlin", lines=(StockLine(sku="tea", quantity=2),), is_certain=True),
         "release 2 tea in warehouse berlin"),
        (ShipmentOwed(shipment_id="s-1", is_certain=True), "cancel the shipment (id s-1)"),
        (ShipmentOwed(shipment_id=None, is_certain=False), "cancel the shipment (unconfirmed)"),
    ],
)  # fmt: skip
def test_each_debt_says_what_is_to_be_done(debt: Debt, text: str) -> None:
    assert describe_debt(debt) == text


def test_a_state_of_another_release_names_its_steps() -> None:
    (debt,) = debts_of({"owed": ["packing"], "unheard_of": 1})
    assert (describe_debt(debt), document(debt)) == ("undo packing", {"kind": "step", "step": "packing"})


def test_an_order_shows_what_it_owes(capsys: pytest.CaptureFixture[str]) -> None:
    show_order(owing(), output=TABLE)
    assert "still owed: refund 9.00 EUR" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (PAUSE, "by anna, audit"),
        (PROBE, "by ben, try one, past pause"),
        (settle("payment", "shipment"), "by anna, wired the money, steps payment, shipment"),
        (OrderPaused(order_id="o-1", paused_by="step payment", reason="down"), "by step payment, down"),
        (
            OrderResumed(order_id="o-1", resumed_by="operator ben", reason="up", paused_ms=60_000),
            "by operator ben, up, after 60 s",
        ),
        (
            failed("ProcessPayment", 1, "pause"),
            "ProcessPayment after 5 attempts: Down: provider down (pause)",
        ),
    ],
)
def test_messages_of_operators_and_pauses_are_said_in_words(message: object, text: str) -> None:
    assert details(message.model_dump()) == text  # type: ignore[attr-defined]  # a message
