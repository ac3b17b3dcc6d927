"""What the orchestrator knows of all orders, for tests of commands."""

from __future__ import annotations

from typing import Any

from contracts.catalogue import ORDER_STATE
from ensemble.command_line.connection import entry_of
from ensemble.kafka.client import ClusterClient


def all_states(access: ClusterClient) -> dict[str, dict[str, Any]]:
    """Return the newest state of each order, oldest change first."""
    states: dict[str, dict[str, Any]] = {}
    for record in access.read(access.places([ORDER_STATE.name])):
        entry = entry_of(record)
        states.pop(entry.key, None)
        if entry.type == "OrderState":
            states[entry.key] = dict(entry.fields)
    return dict(sorted(states.items(), key=lambda item: int(item[1]["updated_at"])))
