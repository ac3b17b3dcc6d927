"""Keeps a partition's stores, timers, pauses and parked records, restores them, and stages changes to them."""

from ensemble.state.parking import (
    KeyState,
    ParkingStore,
    PauseState,
    RecordState,
    ResolutionState,
    describe_state_key,
)
from ensemble.state.restore_phases import changelog_sources
from ensemble.state.unit_of_work import Output

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
