"""A partition's state, and the unit of work that stages changes to it."""

from ensemble.state.parking import ParkingStore
from ensemble.state.unit_of_work import Output

__all__ = ["Output", "ParkingStore"]
