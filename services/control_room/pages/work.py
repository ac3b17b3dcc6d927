"""What pages ask about those who do the work."""

from __future__ import annotations

from ensemble.operations import PartitionLag
from services.control_room.control_room import ControlRoom


def lags_of(room: ControlRoom) -> tuple[PartitionLag, ...]:
    """Return how far each service is behind its inputs; nothing while the brokers do not answer."""
    return () if room.updates.status.problem is not None else room.brokers.lags()


def stopped_of(room: ControlRoom) -> frozenset[str]:
    """Return the services of which no process runs, as far as brokers or the launcher say.

    A group loses a member that was killed only when its session has timed out; the launcher knows at once.
    """
    killed = frozenset[str]() if room.demonstration is None else room.demonstration.stopped()
    return killed if room.updates.status.problem is not None else killed | room.brokers.stopped()
