"""Operators' commands about records that a service has given up, or holds back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ensemble.operations.dead_letter import DeadLetterEntry
from ensemble.operations.errors import Invalid
from ensemble.operations.intent import Intent
from ensemble.system_messages import DiscardRecord, OperatorRequest, RecordOperation, RedriveRecord, discard, redrive

MOST_GENERATIONS: Final = 5
"""What failed so often again is not redriven without force: another time will not help."""


@dataclass(frozen=True)
class SentOperation:
    """A command about the record behind a dead letter."""

    letter: DeadLetterEntry
    operation: RecordOperation


def redrive_of(letter: DeadLetterEntry, intent: Intent, edited: bytes | None = None) -> RedriveRecord:
    """Build the command that redrives a dead letter. Raises Invalid if it holds an excerpt, and nothing is edited."""
    try:
        return redrive(letter.dead_letter, OperatorRequest(**intent.operation()), edited)
    except ValueError as error:
        raise Invalid(f"{letter.place}: {error}", hint="give the value anew, or discard it", field="edit") from None


def discard_of(letter: DeadLetterEntry, intent: Intent) -> DiscardRecord:
    """Build the command that discards a dead letter."""
    return discard(letter.dead_letter, OperatorRequest(**intent.operation()))
