"""The payment's rules: charge only what is due, and give a final answer again."""

from __future__ import annotations

import pytest

from contracts import Payment, PaymentConfirmed, PaymentDeclined
from services.payment.domain import (
    EXPIRED,
    Contradicted,
    answer,
    assess,
    captured_payment,
    charge_command,
    charge_is_due,
    charge_key,
    declined_payment,
    refund_key,
    refunded_payment,
    why_not_due,
    why_not_given_back,
)
from tests.support.order_messages import attempt_charge, process_payment, refund_payment

CHARGING = Payment(order_id="o-1", status="charging", amount=500, currency="EUR")
CAPTURED = captured_payment(attempt_charge(), "ch_1", 500)
DECLINED = declined_payment(attempt_charge(), "card declined")
REFUNDED = refunded_payment(CAPTURED, refund_payment(), 500)
NOTHING_DUE = Payment(order_id="o-1", status="nothing_due", currency="EUR")


def test_a_charge_is_due_until_its_outcome_is_final() -> None:
    assert [charge_is_due(payment) for payment in (None, CHARGING)] == [True, True]
    assert not any(charge_is_due(payment) for payment in (CAPTURED, DECLINED, REFUNDED, NOTHING_DUE))


@pytest.mark.parametrize(
    ("amount", "currency", "is_due"),
    [(500, "EUR", True), (500, "eur", True), (1, "EUR", False), (501, "EUR", False), (500, "USD", False)],
)
def test_what_was_taken_has_to_be_what_was_due(amount: int, currency: str, is_due: bool) -> None:
    reason = why_not_due(attempt_charge(), amount, currency)
    assert (reason == "") is is_due
    assert is_due or f"captured {amount} {currency} for o-1, but 500 EUR is due" in reason


UNSEEN = declined_payment(attempt_charge(), EXPIRED)


@pytest.mark.parametrize(
    ("payment", "amount", "currency", "is_right"),
    [
        (CAPTURED, 500, "EUR", True), (CAPTURED, 500, "eur", True), (CAPTURED, 500, "", True),
        (CAPTURED, 499, "EUR", False), (CAPTURED, 501, "EUR", False), (CAPTURED, 0, "", False),
        (CAPTURED, 500, "USD", False), (DECLINED, 0, "", True), (DECLINED, 500, "EUR", False),
        (NOTHING_DUE, 0, "USD", True), (NOTHING_DUE, 1, "EUR", False),
        (None, 500, "EUR", True), (CHARGING, 0, "", True), (CHARGING, 1, "USD", True), (UNSEEN, 500, "EUR", True),
    ],
)  # fmt: skip
def test_what_is_given_back_has_to_be_what_is_known_to_be_taken(
    payment: Payment | None, amount: int, currency: str, is_right: bool
) -> None:
    reason = why_not_given_back(payment, amount, currency)
    assert (reason == "") is is_right
    assert is_right or f"gave {amount} {currency or 'EUR'} back for o-1, but had taken" in reason


def test_nothing_is_charged_where_nothing_is_due_however_late() -> None:
    assert assess(None, process_payment(amount=0, expires_at=1), now=2) == NOTHING_DUE


def test_an_expired_command_begins_nothing() -> None:
    assert assess(None, process_payment(expires_at=10), now=9) == CHARGING
    assert assess(None, process_payment(expires_at=10), now=10) == declined_payment(process_payment(), "expired")


@pytest.mark.parametrize("recorded", [CHARGING, CAPTURED, DECLINED, REFUNDED], ids=lambda payment: payment.status)
def test_what_is_known_is_kept_also_when_the_command_has_expired(recorded: Payment) -> None:
    assert assess(recorded, process_payment(expires_at=1), now=2) == recorded


@pytest.mark.parametrize("recorded", [CHARGING, CAPTURED], ids=lambda payment: payment.status)
def test_another_amount_for_the_same_order_is_a_contradiction(recorded: Payment) -> None:
    assert assess(recorded, process_payment(amount=600), now=0) == Contradicted(
        "amount: 500 EUR is due for o-1, not 600 EUR"
    )
    assert isinstance(assess(recorded, process_payment(currency="USD"), now=0), Contradicted)


@pytest.mark.parametrize(
    ("payment", "event"),
    [
        (CAPTURED, PaymentConfirmed(order_id="o-1", amount=500, currency="EUR", charge_id="ch_1")),
        (NOTHING_DUE, PaymentConfirmed(order_id="o-1", amount=0, currency="EUR", charge_id=None)),
        (DECLINED, PaymentDeclined(order_id="o-1", reason="card declined")),
        (declined_payment(attempt_charge(), ""), PaymentDeclined(order_id="o-1", reason="declined")),
        (REFUNDED, PaymentDeclined(order_id="o-1", reason="closed")),
    ],
    ids=lambda value: getattr(value, "status", ""),
)
def test_each_final_outcome_has_its_event(payment: Payment, event: object) -> None:
    assert answer(payment) == event


def test_a_refund_needs_no_charge_before_it() -> None:
    closed = refunded_payment(None, refund_payment(), 0)

    assert (closed.status, closed.amount) == ("refunded", 0)
    assert not charge_is_due(closed)


def test_a_refunded_payment_still_says_what_was_charged_and_how() -> None:
    assert (REFUNDED.currency, REFUNDED.charge_id, REFUNDED.reason) == ("EUR", "ch_1", "cancelled")


def test_the_provider_knows_an_order_by_keys_that_never_change() -> None:
    assert (charge_key("o-1"), refund_key("o-1")) == ("o-1:charge", "o-1:refund")


def test_the_charge_asks_for_what_the_payment_asked_for() -> None:
    assert charge_command(process_payment(attempt=3)) == attempt_charge(attempt=3)
