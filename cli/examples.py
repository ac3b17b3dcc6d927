"""A good message of each type, for trying things out: fresh order id, times from now."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

from ensemble.messages import Message
from ensemble.operations import now

WAREHOUSE: Final = "main"
CURRENCY: Final = "EUR"
CUSTOMER: Final = "customer-1"
STOCK: Final[Mapping[str, int]] = {"espresso-machine": 500, "grinder": 800, "beans-1kg": 10_000, "last-one": 0}
"""What `up` and `demo` put on the shelves: pieces by sku."""

PRICES: Final[Mapping[str, int]] = {"espresso-machine": 49_900, "grinder": 12_900, "beans-1kg": 1_850}
_TEN_MINUTES_MS: Final = 600_000


def example(message: type[Message]) -> dict[str, Any]:
    """Return fields that make a valid message; fields with a default are left out."""
    needed = [name for name, field in message.model_fields.items() if field.is_required()]
    return {name: _SAMPLES.get(name, lambda: f"example {secrets.token_hex(2)}")() for name in needed}


def fresh_order_id() -> str:
    """Return a new random order id."""
    return f"order-{secrets.token_hex(4)}"


def lines() -> list[dict[str, Any]]:
    """Return the lines of an example order: two kinds of goods that `up` has in stock."""
    quantities = {"grinder": 1, "beans-1kg": 2}
    return [{"sku": sku, "quantity": count, "unit_price": PRICES[sku]} for sku, count in quantities.items()]


def _total() -> int:
    return sum(line["quantity"] * line["unit_price"] for line in lines())


_SAMPLES: Final[Mapping[str, Callable[[], Any]]] = {
    "order_id": fresh_order_id,
    "customer_id": lambda: CUSTOMER,
    "lines": lines,
    "currency": lambda: CURRENCY,
    "payment_token": lambda: "tok_approve",
    "warehouse_id": lambda: WAREHOUSE,
    "shipping_speed": lambda: "standard",
    "placed_at": now,
    "expires_at": lambda: now() + _TEN_MINUTES_MS,
    "amount": _total,
    "attempt": lambda: 1,
    "attempts": lambda: 1,
    "sku": lambda: "beans-1kg",
    "quantity": lambda: 10,
    "sequence": lambda: 1,
    "reason": lambda: "an example",
    "requested_by": lambda: "somebody",
    "steps": lambda: ["payment"],
    "owed": lambda: ["payment"],
    "paused_by": lambda: "operator somebody",
    "resumed_by": lambda: "operator somebody",
    "paused_ms": lambda: 60_000,
    "receipt_id": lambda: secrets.token_hex(16),
    "shipment_id": lambda: f"shipment-{secrets.token_hex(4)}",
    "command": lambda: "ProcessPayment",
    "command_id": lambda: secrets.token_hex(16),
    "service": lambda: "payment",
    "error": lambda: "RetryableError",
    "message": lambda: "an example",
}
