"""Which records would be redriven or discarded, in which order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from heapq import merge
from itertools import groupby
from typing import Literal

from pydantic import ConfigDict

from ensemble.operations.failures import DeadLetterSummary
from ensemble.operations.plans import Plan, PlanItem
from ensemble.operations.values import Position

Verb = Literal["redrive", "discard"]


class RedriveItem(PlanItem):
    """One record that a service has given up or holds back.

    It is named by the position of its dead letter, or by its own if its service still tries it; `waiting` records of
    its key wait behind it.
    """

    service: str
    partition: int
    parking_key: str
    origin: Position
    generation: int
    type: str
    key: str
    error: str
    waiting: int
    failed_at: datetime | None
    dead_letter: Position | None

    @classmethod
    def of(cls, letter: DeadLetterSummary) -> RedriveItem:
        """Return the item of a dead letter."""
        shared = {name: getattr(letter, name) for name in cls.model_fields if name in DeadLetterSummary.model_fields}
        position = letter.position
        return cls(**shared, name=str(position), partition=position.partition, dead_letter=position)


class RedrivePlan(Plan[RedriveItem]):
    """Records to redrive or to discard, in order. `Skipped.why` is the status of a dead letter that is settled.

    It is `excerpt` if the dead letter holds only a part of its record, which has to be edited or discarded.
    """

    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")

    verb: Verb
    edited: bytes | None = None
    """What the value of the one record is replaced with."""


def in_order(letters: Iterable[DeadLetterSummary]) -> list[DeadLetterSummary]:
    """Return each record once, oldest first and in partition order, so that each key keeps its order."""
    by_place = sorted(letters, key=lambda letter: (*_line_of(letter), letter.position.offset))
    latest = {(letter.service, letter.parking_key, letter.origin, letter.generation): letter for letter in by_place}
    lines = [list(line) for _, line in groupby(latest.values(), key=_line_of)]
    return list(merge(*lines, key=_failed_at))


def _line_of(letter: DeadLetterSummary) -> tuple[str, int]:
    return letter.service, letter.position.partition


def _failed_at(letter: DeadLetterSummary) -> float:
    return letter.failed_at.timestamp() if letter.failed_at else 0.0
