"""Field types of messages and policies: numbers with the range that Avro gives them, times, durations; Avro's marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

__all__ = ["MAX_INT32", "MAX_INT64", "AvroEnum", "AvroFixed", "EpochMillis", "Int32", "Int64", "Millis", "Seconds"]


@dataclass(frozen=True)
class EpochMillis:
    """Mark of an integer field that is a time, `timestamp-millis` in Avro."""


@dataclass(frozen=True)
class AvroEnum:
    """Mark of a Literal of texts: `Annotated[Literal["standard", "express"], AvroEnum("Speed", default="standard")]`.

    `name`: of the enum in Avro; without it, the record's name and the field's, as in `OrderStatus`. `default`: the
    symbol that older code reads a newer symbol as, without which an enum can never get another symbol.
    """

    name: str = ""
    default: str | None = None


@dataclass(frozen=True)
class AvroFixed:
    """Mark of bytes of one length: `Annotated[bytes, Field(min_length=32, max_length=32), AvroFixed("Digest")]`.

    `name`: of the type in Avro; without it, the record's name and the field's.
    """

    name: str = ""


MAX_INT32: Final = 2**31 - 1
MAX_INT64: Final = 2**63 - 1
Int32 = Annotated[int, Field(strict=True, ge=-(2**31), le=MAX_INT32)]
"""An integer of 32 bits, Avro's int."""
Int64 = Annotated[int, Field(strict=True, ge=-(2**63), le=MAX_INT64)]
"""An integer of 64 bits, Avro's long."""
Millis = Annotated[int, Field(strict=True, ge=0, le=253_402_300_799_999), EpochMillis()]
"""A time in epoch milliseconds, up to the year 9999: beyond it, readers that make a datetime of it fail."""
Seconds = Annotated[float, Field(gt=0, le=366 * 86_400)]
"""A duration: above zero, at most a year."""
