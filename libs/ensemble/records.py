"""State that the runtime itself keeps in changelogs."""

from __future__ import annotations

from pathlib import Path

from ensemble.messages import Int64, Millis, SchemaSet, State

RUNTIME_SCHEMAS = SchemaSet(Path(__file__).parent / "schemas")


class RuntimeState(State):
    """Marks the runtime's own state."""

    __schemas__ = RUNTIME_SCHEMAS


class Timer(RuntimeState):
    """A durable timer: what is due when, with whatever its owner wants back."""

    due_at: Millis
    name: str
    payload: str = ""


class SeenMessage(RuntimeState):
    """A message id that took effect already."""

    at: Millis


class LedgerPosition(RuntimeState):
    """How far a snapshot reaches: the last fact's sequence number, and the offset to read on from."""

    sequence: Int64
    offset: Int64
