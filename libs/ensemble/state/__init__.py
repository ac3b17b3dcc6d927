"""Keeps a partition's stores, timers, pauses and parked records, restores them, and stages changes to them."""

from typing import TYPE_CHECKING

from ensemble.lazy import import_on_first_use
from ensemble.state.parking import (
    KeyState,
    ParkingStore,
    PauseState,
    RecordState,
    ResolutionState,
    describe_state_key,
)
from ensemble.state.unit_of_work import Output

if TYPE_CHECKING:
    from ensemble.state.restore_phases import changelog_sources

__all__ = [
    "KeyState",
    "Output",
    "ParkingStore",
    "PauseState",
    "RecordState",
    "ResolutionState",
    "changelog_sources",
    "describe_state_key",
]

# Who only reads what stores have written needs none, and no log: that takes as long to import as all of the client.
if not TYPE_CHECKING:  # a type checker knows the name by its import above, and no other
    __getattr__ = import_on_first_use(__name__, {"changelog_sources": "ensemble.state.restore_phases"})
