"""The words that messages are made of, each with its limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ensemble.messages import AvroEnum, Millis, NestedRecord

MOST_MONEY = 10**15
"""The largest order total, in minor units."""

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
OrderId = Annotated[Id, Field(description="The order.")]
CustomerId = Annotated[Id, Field(description="Who ordered.")]
WarehouseId = Annotated[Id, Field(description="The warehouse that fulfils the order.")]
Sku = Annotated[Id, Field(description="The stock keeping unit.")]
MessageId = Annotated[str, Field(min_length=1, max_length=300)]
"""32 hexadecimal digits, or where the record lay, for records of outsiders that carry no id."""

Money = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1, description="Minor units of the currency.")]
"""Minor units of a currency, such as cents."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217 code, three capitals.")]
PaymentToken = Annotated[
    str, Field(min_length=1, max_length=128, description="The payment method, as the provider knows it.")
]
Quantity = Annotated[int, Field(strict=True, ge=1, le=1_000_000, description="Pieces, 1 to 1000000.")]
Attempt = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1, description="Which attempt of the step this is.")]
Count = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
Sequence = Annotated[Count, Field(description="Number of this fact within its warehouse, without gaps.")]
Expiry = Annotated[Millis, Field(description="From then on the command is answered as expired, not done.")]
Flag = Annotated[bool, Field(strict=True)]
ShippingSpeed = Annotated[
    Literal["standard", "express"],
    AvroEnum("ShippingSpeed", default="standard"),
    Field(description="How fast it is to arrive."),
]
Disposition = Annotated[
    Literal["dead_letter", "skip", "pause", "compensate"], AvroEnum("Disposition", default="dead_letter")
]
"""What a service does with a command that it has given up."""

Names = tuple[str, ...]
Operator = Annotated[str, Field(min_length=1, max_length=200, description="Who asks for it, 1 to 200 characters.")]
"""A person, or what acts for one."""

Why = Annotated[str, Field(min_length=1, max_length=500, description="Why, in words, 1 to 500 characters.")]

REASON_LIMIT = 2_000
Reason = Annotated[str, Field(max_length=REASON_LIMIT, description="Why, in words.")]
"""Why something is asked for, or went wrong, in the words of whoever says so; may be empty."""

Requester = Annotated[str, Field(max_length=500)]
"""Who asks for it; empty where nobody says."""

OperationId = Annotated[
    str,
    Field(max_length=300, description="The same for all orders of one operation; empty: it is one of its own."),
]
Name = Annotated[str, Field(max_length=300)]
"""What something is called in the code: a message type, a service, an error, a step."""


class OrderLine(NestedRecord):
    """So many pieces of one sku, at a price each."""

    sku: Sku
    quantity: Quantity
    unit_price: Money
    """Minor units of the order's currency for one piece."""


def total_of(lines: Iterable[OrderLine]) -> int:
    """Return what the lines cost together, in minor units."""
    return sum(line.quantity * line.unit_price for line in lines)


def _within_limit(lines: tuple[OrderLine, ...]) -> tuple[OrderLine, ...]:
    if (total := total_of(lines)) > MOST_MONEY:
        raise ValueError(f"the total is {total}, more than {MOST_MONEY} minor units")
    return lines


Lines = Annotated[
    tuple[OrderLine, ...],
    Field(
        min_length=1,
        max_length=100,
        description="What was ordered: 1 to 100 lines, their total at most 10^15 minor units.",
    ),
    AfterValidator(_within_limit),
]
"""One to a hundred lines whose total stays within `MOST_MONEY`."""


class OrderTerms(NestedRecord):
    """What was agreed on when the order was placed."""

    customer_id: CustomerId
    lines: Lines
    currency: Currency
    payment_token: PaymentToken
    warehouse_id: WarehouseId
    shipping_speed: ShippingSpeed = "standard"
    placed_at: Millis
    """When the order was placed."""
