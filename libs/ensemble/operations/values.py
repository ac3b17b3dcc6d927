"""What results are made of, whatever they are about."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict

MOST_OFFSET_DIGITS: Final = 18
"""No topic has an offset with more."""


class Result(BaseModel):
    """A value that an operator's question is answered with. It does not change."""

    model_config = ConfigDict(frozen=True)


class Position(Result):
    """Where a record lies."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


class Money(Result):
    """An amount in minor units of a currency (ISO 4217)."""

    amount: int
    currency: str
