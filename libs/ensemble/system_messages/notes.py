"""Operators' notes on groups of dead letters, on one compacted topic for all services."""

from __future__ import annotations

from ensemble.messages.fields import Millis
from ensemble.messages.message import State
from ensemble.system_messages.state import SCHEMAS


class GroupNote(State, schemas=SCHEMAS):
    """A note on a group of dead letters. Its key is the group's name; a tombstone removes it."""

    operation_id: str
    """Names the operation."""
    requested_by: str
    """Who."""
    note: str
    """What he or she says."""
    at: Millis
    """When."""
