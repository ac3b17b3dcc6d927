"""Amounts as people read them: by the decimals of their currency, wherever an operator acts on them."""

import pytest

from backoffice.currencies import money
from backoffice.debts import ChargeOwed
from backoffice.effect_text import describe_debt
from backoffice.order_story import Story
from ensemble.command_line.selection import control_flow
from ensemble.kafka.records import ReceivedRecord
from ensemble.operations import Entry, Money
from tests.support.recorded_flow.orders import clean_flow


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (12_345, "EUR", "123.45 EUR"),
        (5, "USD", "0.05 USD"),
        (-150, "EUR", "-1.50 EUR"),
        (1_000, "JPY", "1000 JPY"),
        (5_800, "KRW", "5800 KRW"),
        (1_234, "KWD", "1.234 KWD"),
        (12_345, "CLF", "1.2345 CLF"),
        (0, "JPY", "0 JPY"),
        (7, "XAU", "7 minor units XAU"),
        (1_000, "", "1000 minor units"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(amount: int, currency: str, text: str) -> None:
    assert money(amount, currency) == text


def test_a_debt_is_told_in_the_decimals_of_its_currency() -> None:
    debt = ChargeOwed(total=Money(amount=1_000, currency="JPY"), charge_id="ch-1", is_certain=True)
    assert describe_debt(debt) == "refund 1000 JPY (charge ch-1)"


def test_a_refund_has_the_currency_that_the_story_named_before() -> None:
    story, record = Story(control_flow()), ReceivedRecord("payment.events", 0, 0, 0, b"o-1", b"", {})
    story.tell(Entry(record, "PaymentConfirmed", "event", {"order_id": "o-1", "amount": 1_000, "currency": "JPY"}))
    assert (
        story.tell(Entry(record, "PaymentRefunded", "event", {"order_id": "o-1", "amount": 1_000})).says == "1000 JPY"
    )


def test_the_check_names_amounts_in_their_currency() -> None:
    flow = clean_flow()
    flow.bookings[0] = flow.bookings[0]._replace(amount=1_234, currency="KWD")
    assert "1.000 KWD is due, but 1.234 KWD is held" in flow.violation_lines("money")
