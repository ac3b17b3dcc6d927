"""What `demo` plays: one order each, and how it has to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from cli.examples import CUSTOMER, PRICES, WAREHOUSE, lines
from contracts import OrderPlaced, PlaceOrder
from ensemble.operations import now

End = Literal["completed", "cancelled"]


@dataclass(frozen=True)
class Scenario:
    """One order. `cancel_after` is the message on whose sight the customer asks to cancel."""

    name: str
    shows: str
    ends: End
    terms: Mapping[str, Any] = field(default_factory=dict)
    cancel_after: str = ""
    from_outside: bool = False
    """Whether another system publishes OrderPlaced itself, past the order service."""

    def order(self, order_id: str) -> PlaceOrder | OrderPlaced:
        """Build the message that begins the scenario."""
        fields = {**_TERMS, "lines": lines(), **self.terms, "order_id": order_id}
        return OrderPlaced(**fields, placed_at=now()) if self.from_outside else PlaceOrder(**fields)


_TERMS: Final[Mapping[str, Any]] = {
    "customer_id": CUSTOMER,
    "currency": "EUR",
    "payment_token": "tok_approve",
    "warehouse_id": WAREHOUSE,
}
_TOO_MANY: Final = [{"sku": "espresso-machine", "quantity": 5_000, "unit_price": PRICES["espresso-machine"]}]
_A_GIFT: Final = [{"sku": "beans-1kg", "quantity": 1, "unit_price": 0}]

SCENARIOS: Final = (
    Scenario("paid", "the conductor commands payment and stock; inventory tells shipping by itself", "completed"),
    Scenario(
        "declined", "the payment is refused, so nothing else begins", "cancelled", {"payment_token": "tok_declined"}
    ),
    Scenario("out-of-stock", "paid, but not on the shelf: the money goes back", "cancelled", {"lines": _TOO_MANY}),
    Scenario("express", "shipping begins as soon as it hears of the order", "completed", {"shipping_speed": "express"}),
    Scenario(
        "express-declined",
        "shipping began early, the payment is refused: the shipment is undone",
        "cancelled",
        {"shipping_speed": "express", "payment_token": "tok_declined"},
    ),
    Scenario(
        "cancelled-in-flight",
        "the customer cancels while the provider still thinks: whatever it takes is given back",
        "cancelled",
        {"payment_token": "tok_late"},
        cancel_after="AttemptCharge",
    ),
    Scenario(
        "nothing-due",
        "another system publishes OrderPlaced itself; a gift needs no charge",
        "completed",
        {"lines": _A_GIFT},
        from_outside=True,
    ),
)
