"""Keeps a partition's stores, timers, pauses and parked records, restores them, and stages changes to them."""

from ensemble.state.parking import ParkingStore
from ensemble.state.unit_of_work import Output

__all__ = ["Output", "ParkingStore"]
