"""Tells when a service last wrote its state: before that, what a LostState tells of was whole."""

from __future__ import annotations

from typing import Final

from confluent_kafka.admin import AdminClient

from ensemble.clock import rfc3339
from ensemble.kafka.offsets import last_written
from ensemble.service.service import Service

_TIMEOUT_S: Final = 5.0


def describe_last_write(admin: AdminClient, service: Service) -> str:
    """Return a sentence; it says so if no changelog holds a record, or no broker tells."""
    places = [(topic.name, partition) for topic in service.changelogs for partition in range(service.partitions)]
    times = last_written(admin, places, _TIMEOUT_S)
    if not times:
        return f"When {service.name} last wrote its state, no changelog tells."
    topic, partition = max(times, key=lambda place: times[place])
    return f"{service.name} last wrote its state at {rfc3339(times[topic, partition])} ({topic}[{partition}])."
