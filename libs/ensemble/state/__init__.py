"""Keeps a partition's stores, timers, pauses and parked records, restores them, and stages changes to them."""

from ensemble.state.parking import (
    KeyState,
    ParkingStore,
    PauseState,
    RecordState,
    ResolutionState,
    describe_state_key,
)
from ensemble.state.unit_of_work import Output

__all__ = [
    "KeyState",
    "Output",
    "ParkingStore",
    "PauseState",
    "RecordState",
    "ResolutionState",
    "describe_state_key",
]
