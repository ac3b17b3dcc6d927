"""The words that messages are made of, each with its limits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from ensemble.messages import Millis, NestedRecord

MOST_MONEY = 10**15
"""The largest order total, in minor units."""

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Sku = Id
MessageId = Annotated[str, Field(min_length=1, max_length=300)]
"""32 hexadecimal digits, or where the record lay, for records of outsiders that carry no id."""

Money = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
"""Minor units of a currency, such as cents."""

Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
PaymentToken = Annotated[str, Field(min_length=1, max_length=128)]
Quantity = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Attempt = Annotated[int, Field(strict=True, ge=0, le=2**31 - 1)]
Count = Annotated[int, Field(strict=True, ge=0, le=2**63 - 1)]
Flag = Annotated[bool, Field(strict=True)]
ShippingSpeed = Literal["standard", "express"]
Disposition = Literal["dead_letter", "skip", "pause", "compensate"]
"""What a service does with a command that it has given up."""

Names = tuple[str, ...]
Operator = Annotated[str, Field(min_length=1, max_length=200)]
"""A person, or what acts for one."""

Why = Annotated[str, Field(min_length=1, max_length=500)]

REASON_LIMIT = 2_000
Reason = Annotated[str, Field(max_length=REASON_LIMIT)]
"""Why something is asked for, or went wrong, in the words of whoever says so; may be empty."""

Requester = Annotated[str, Field(max_length=500)]
"""Who asks for it; empty where nobody says."""

OperationId = Annotated[str, Field(max_length=300)]
Name = Annotated[str, Field(max_length=300)]
"""What something is called in the code: a message type, a service, an error, a step."""


class OrderLine(NestedRecord):
    """So many pieces of one sku, at a price each."""

    sku: Sku
    quantity: Quantity
    unit_price: Money


def total_of(lines: Iterable[OrderLine]) -> int:
    """Return what the lines cost together, in minor units."""
    return sum(line.quantity * line.unit_price for line in lines)


def _within_limit(lines: tuple[OrderLine, ...]) -> tuple[OrderLine, ...]:
    if (total := total_of(lines)) > MOST_MONEY:
        raise ValueError(f"the total is {total}, more than {MOST_MONEY} minor units")
    return lines


Lines = Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=100), AfterValidator(_within_limit)]
"""One to a hundred lines whose total stays within `MOST_MONEY`."""


class OrderTerms(NestedRecord):
    """What was agreed on when the order was placed."""

    customer_id: Id
    lines: Lines
    currency: Currency
    payment_token: PaymentToken
    warehouse_id: Id
    shipping_speed: ShippingSpeed = "standard"
    placed_at: Millis
