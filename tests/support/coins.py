"""An event with fields of all logical types, of which tests make events of their own."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field

from ensemble import Event
from ensemble.messages import AvroFixed, Millis, NestedRecord

Price = Annotated[Decimal, Field(max_digits=9, decimal_places=2)]


class Metal(StrEnum):
    GOLD = "gold"
    SILVER = "silver"


class Weight(NestedRecord):
    grams: Annotated[Decimal, Field(max_digits=6, decimal_places=3)]


class Coined(Event):
    coin: UUID
    price: Price
    spot: Price | None = None
    at: AwareDatetime
    sold_at: AwareDatetime | None = None
    day: date
    opens: time
    seal: Annotated[bytes, Field(min_length=2, max_length=2), AvroFixed("Seal")]
    metal: Metal
    written: Millis
