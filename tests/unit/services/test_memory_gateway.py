"""The payment provider in memory answers by its tokens, final results once, and keeps what was captured."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from ensemble import RetryableError, TerminalError
from services.payment.ports import Captured, ChargeRequest, Declined, Refunded, RefundRequest
from services.payment.testing import InMemoryPaymentGateway

CHARGE = ChargeRequest("o-1:charge", "o-1", 500, "EUR", "tok_approve")
REFUND = RefundRequest("o-1:refund", "o-1:charge", "o-1", "cancelled")
CAPTURED = Captured("ch_o-1:charge", 500)


@pytest.fixture
def gateway() -> InMemoryPaymentGateway:
    return InMemoryPaymentGateway()


def outcome(
    gateway: InMemoryPaymentGateway, request: ChargeRequest | RefundRequest
) -> Captured | Declined | Refunded | str:
    """Return the answer, or what was raised."""
    try:
        if isinstance(request, RefundRequest):
            return asyncio.run(gateway.refund(request))
        return asyncio.run(gateway.charge(request))
    except (RetryableError, TerminalError) as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize(
    ("token", "first", "second"),
    [
        ("tok_approve", CAPTURED, CAPTURED),
        ("tok_ok_7", CAPTURED, CAPTURED),
        ("tok_declined", Declined("card declined"), Declined("card declined")),
        ("tok_odd", Declined("unknown token"), Declined("unknown token")),
        ("tok_fail_once", "RetryableError: the provider failed on o-1:charge", CAPTURED),
        ("tok_hang", "RetryableError: no answer for o-1:charge", CAPTURED),
        (
            "tok_late",
            "RetryableError: o-1:charge is booked later",
            "RetryableError: o-1:charge is not final yet: ask again",
        ),
        (
            "tok_error",
            "RetryableError: the outcome of o-1:charge is not known",
            "RetryableError: the outcome of o-1:charge is not known",
        ),
        (
            "tok_hang_always",
            "RetryableError: the outcome of o-1:charge is not known",
            "RetryableError: the outcome of o-1:charge is not known",
        ),
    ],
)
def test_a_token_says_how_its_charge_goes(
    gateway: InMemoryPaymentGateway, token: str, first: object, second: object
) -> None:
    charge = replace(CHARGE, payment_token=token)
    assert (outcome(gateway, charge), outcome(gateway, charge)) == (first, second)
    assert gateway.calls == [charge, charge]
    is_taken = token not in {"tok_declined", "tok_odd", "tok_error", "tok_hang_always"}
    assert gateway.captured == ({"o-1:charge": 500} if is_taken else {})


def test_a_late_charge_is_final_once_it_was_asked_about(gateway: InMemoryPaymentGateway) -> None:
    charge = replace(CHARGE, payment_token="tok_late")
    for _ in range(2):
        outcome(gateway, charge)
    assert outcome(gateway, charge) == CAPTURED
    assert gateway.bookings == [(charge, CAPTURED)]


@pytest.mark.parametrize(
    ("amount", "is_taken"), [(-1, False), (0, False), (1, True), (10**15, True), (10**15 + 1, False)]
)
def test_an_amount_is_above_zero_and_not_beyond_all_measure(
    gateway: InMemoryPaymentGateway, amount: int, *, is_taken: bool
) -> None:
    refused = f"TerminalError: the payment provider refused o-1:charge: amount {amount}"
    expected = Captured("ch_o-1:charge", amount) if is_taken else refused
    assert outcome(gateway, replace(CHARGE, amount=amount)) == expected


def test_a_refund_gives_back_what_was_captured_once_and_closes_its_charge(gateway: InMemoryPaymentGateway) -> None:
    other = replace(REFUND, key="o-1:refund-2")
    asked = [outcome(gateway, request) for request in (CHARGE, REFUND, REFUND, other, CHARGE)]
    assert asked == [CAPTURED, Refunded(500, "EUR"), Refunded(500, "EUR"), Refunded(0), CAPTURED]
    assert gateway.captured == {}
    assert gateway.bookings == [(CHARGE, CAPTURED), (REFUND, Refunded(500, "EUR")), (other, Refunded(0))]


def test_a_refund_before_its_charge_closes_it(gateway: InMemoryPaymentGateway) -> None:
    assert [outcome(gateway, request) for request in (REFUND, CHARGE)] == [Refunded(0), Declined("closed")]
    assert gateway.captured == {}


def test_a_refund_waits_for_a_charge_that_is_running(gateway: InMemoryPaymentGateway) -> None:
    late = replace(CHARGE, payment_token="tok_late")
    asked = [outcome(gateway, request) for request in (late, REFUND, REFUND)]
    assert asked[1:] == ["RetryableError: o-1:charge is not final yet: ask again", Refunded(500, "EUR")]


@pytest.mark.parametrize(
    "other",
    [
        replace(CHARGE, amount=501),
        replace(CHARGE, currency="USD"),
        replace(CHARGE, order_id="o-2"),
        replace(CHARGE, payment_token="tok_ok"),
        replace(REFUND, key="o-1:charge"),
    ],
)
def test_a_key_stands_for_one_request(gateway: InMemoryPaymentGateway, other: ChargeRequest | RefundRequest) -> None:
    assert outcome(gateway, CHARGE) == CAPTURED
    assert outcome(gateway, other) == "TerminalError: o-1:charge was used for another request"


def test_an_outage_is_met_by_every_call(gateway: InMemoryPaymentGateway) -> None:
    gateway.available = False
    unavailable = "RetryableError: the payment provider is unavailable"
    assert [outcome(gateway, request) for request in (CHARGE, REFUND)] == [unavailable] * 2
    assert (gateway.calls, gateway.bookings) == ([CHARGE, REFUND], [])
