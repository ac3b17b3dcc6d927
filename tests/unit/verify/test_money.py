"""Money that was taken, kept or given back wrongly is found."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.recorded_flow.flow import DUE, RecordedFlow
from tests.support.recorded_flow.orders import asked_for_payment, place, violation_lines_with


def charged_twice(flow: RecordedFlow) -> None:
    flow.bookings.append(flow.bookings[0]._replace(key="o-done:charge-again", entry_id="ch-2"))


def charged_twice_under_one_key(flow: RecordedFlow) -> None:
    flow.bookings.append(flow.bookings[0])


def never_charged(flow: RecordedFlow) -> None:
    flow.bookings = [booking for booking in flow.bookings if booking.order_id != "o-done"]


def charged_too_much(flow: RecordedFlow) -> None:
    flow.bookings[0] = flow.bookings[0]._replace(amount=DUE + 1)


def open_order_charged_too_much(flow: RecordedFlow) -> None:
    asked_for_payment(flow, place(flow, "o-open"))
    flow.book("charge", "o-open", "captured", amount=DUE + 1)


def charged_in_another_currency(flow: RecordedFlow) -> None:
    flow.bookings[0] = flow.bookings[0]._replace(currency="USD")


def never_refunded(flow: RecordedFlow) -> None:
    flow.bookings = [booking for booking in flow.bookings if booking.kind != "refund"]


def declined_and_charged(flow: RecordedFlow) -> None:
    flow.bookings = [
        booking._replace(status="captured") if booking.order_id == "o-declined" else booking
        for booking in flow.bookings
    ]


def refunded_twice(flow: RecordedFlow) -> None:
    refund = next(booking for booking in flow.bookings if booking.kind == "refund")
    flow.bookings.append(refund._replace(key="again"))


def refunded_from_another_charge(flow: RecordedFlow) -> None:
    flow.bookings = [
        booking._replace(charge_key="o-else:charge") if booking.kind == "refund" else booking
        for booking in flow.bookings
    ]


def kept_while_only_goods_are_owed(flow: RecordedFlow) -> None:
    never_refunded(flow)
    flow.drop(flow.last("OrderCancelled", "o-undone"))
    flow.last("OrderState", "o-undone").fields |= {"status": "compensation_failed", "owed": ["reservation"]}


def charge_of_nobodys_order(flow: RecordedFlow) -> None:
    flow.book("charge", "o-unknown", "captured")


def confirmed_amount_that_was_not_taken(flow: RecordedFlow) -> None:
    flow.last("PaymentConfirmed", "o-done").fields["amount"] = 7


def confirmed_under_a_charge_that_never_was(flow: RecordedFlow) -> None:
    flow.last("PaymentConfirmed", "o-done").fields["charge_id"] = "ch-none"


def refund_told_that_was_not_given(flow: RecordedFlow) -> None:
    flow.last("PaymentRefunded", "o-undone").fields["amount"] = 0


@pytest.mark.parametrize(
    ("plant", "check", "expected"),
    [
        (charged_twice, "money", "o-done was charged 2 times"),
        (charged_twice_under_one_key, "money", "10.00 EUR under o-done:charge, 10.00 EUR under o-done:charge"),
        (never_charged, "money", "10.00 EUR is due, but 0.00 EUR is held"),
        (charged_too_much, "money", "10.00 EUR is due, but 10.01 EUR is held"),
        (open_order_charged_too_much, "money", "o-open 10.00 EUR is due, but 10.01 EUR is held"),
        (charged_in_another_currency, "money", "charged in USD"),
        (never_refunded, "money", "o-undone is cancelled, but 10.00 EUR is held"),
        (declined_and_charged, "money", "o-declined is cancelled, but 10.00 EUR is held"),
        (refunded_twice, "money", "20.00 EUR was given back"),
        (refunded_from_another_charge, "money", "given back for o-else:charge, under which 0.00 EUR was taken"),
        (kept_while_only_goods_are_owed, "money", "o-undone is cancelled, but 10.00 EUR is held"),
        (charge_of_nobodys_order, "money", "no message names this order"),
        (confirmed_amount_that_was_not_taken, "money", "says 0.07 EUR captured"),
        (confirmed_under_a_charge_that_never_was, "money", "captured as ch-none, which the provider does not know"),
        (refund_told_that_was_not_given, "money", "says 0.00 EUR given back"),
    ],
)
def test_finds(plant: Callable[[RecordedFlow], object], check: str, expected: str) -> None:
    assert expected in violation_lines_with(plant, check)
