"""What pages ask about those who do the work."""

from __future__ import annotations

from ensemble.operations import PartitionLag
from services.control_room.control_room import ControlRoom


def lags_of(room: ControlRoom) -> tuple[PartitionLag, ...]:
    """Return how far each service is behind its inputs; nothing while the brokers do not answer."""
    return () if room.updates.status.problem is not None else room.brokers.lags()


def stopped_of(room: ControlRoom) -> frozenset[str]:
    """Return the services of which no process runs; only what the launcher says while the brokers do not answer."""
    return room.brokers.killed() if room.updates.status.problem is not None else room.brokers.stopped()
