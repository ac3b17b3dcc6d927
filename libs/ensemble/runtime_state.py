"""The state that the runtime itself keeps: timers, ids seen, and how far a snapshot reaches into its ledger."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from ensemble import messages
from ensemble.messages import Int64, Millis
from ensemble.schemas import SchemaSet

SCHEMAS = SchemaSet(Path(__file__).parent / "schemas")


class Timer(messages.State):
    """A durable timer. Its key is `<key>/<name>`; it is gone (a tombstone) once fired or cancelled."""

    __schemas__: ClassVar[SchemaSet] = SCHEMAS
    due_at: Millis
    payload: str = ""
    correlation_id: str = ""
    trace: str = ""


class SeenMessage(messages.State):
    """A message id that was handled. Its key is `<record key>/<message id>`."""

    __schemas__: ClassVar[SchemaSet] = SCHEMAS
    at: Millis


class LedgerPosition(messages.State):
    """A snapshot of a key holds all its facts up to `sequence`; later ones lie at or behind `offset` of the ledger."""

    __schemas__: ClassVar[SchemaSet] = SCHEMAS
    sequence: Int64
    offset: Int64
