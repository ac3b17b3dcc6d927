"""What pages ask about those who do the work."""

from __future__ import annotations

from ensemble import EnsembleError
from ensemble.operations import PartitionLag, read_lag
from services.control_room.control_room import ControlRoom


def lags_of(room: ControlRoom) -> tuple[PartitionLag, ...]:
    """Return how far each service is behind its inputs; nothing while the brokers do not answer."""
    if room.updates.status.problem is not None:
        return ()
    try:
        return read_lag(room.session.client, list(room.session.application.services))
    except EnsembleError:
        return ()
