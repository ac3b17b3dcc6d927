"""What operators say to each other about groups of dead letters: one compacted topic for all services."""

from __future__ import annotations

from typing import ClassVar, Final

from ensemble import messages
from ensemble.messages import Millis
from ensemble.runtime_state import SCHEMAS
from ensemble.schemas import SchemaSet
from ensemble.topology import Topic


class GroupNote(messages.State):
    """A note on a group. Its key is the group's name; no note is a tombstone."""

    __schemas__: ClassVar[SchemaSet] = SCHEMAS
    operation_id: str
    requested_by: str
    note: str
    at: Millis


NOTES: Final = Topic("operators.notes", "operators", key="", partitions=1, cleanup="compact")
