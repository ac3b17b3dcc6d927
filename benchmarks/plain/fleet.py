"""Runs the hand-written services under the same load as ours: five processes, and the same payment sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from confluent_kafka import Producer
from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]  # unmarked re-export

from benchmarks.cluster import Cluster
from benchmarks.flow import Arrivals, Running
from benchmarks.plain.service import TOPICS
from contracts import OrderPlaced
from contracts.catalogue import ORDERS_EVENTS
from ensemble.free_ports import free_ports
from ensemble.kafka.client import plain_producer
from launcher import SANDBOX, SERVICES, Fleet, Member

_COMPLETED = b'"OrderCompleted"'


@dataclass(frozen=True)
class PlainMember(Member):
    """One of the hand-written services."""

    @property
    def module(self) -> str:
        return "benchmarks.plain.service"

    def settings(self) -> dict[str, str]:
        return {**super().settings(), "PLAIN_SERVICE": self.service}


def encode(order: OrderPlaced) -> bytes:
    """Return the order as JSON."""
    return json.dumps({**order.model_dump(mode="json"), "type": "OrderPlaced"}).encode()


@contextmanager
def running(cluster: Cluster, directory: Path) -> Iterator[Running]:
    """Topics as many and as wide as ours, the sandbox and the five services."""
    admin = cluster.admin
    for future in admin.create_topics([NewTopic(name, ORDERS_EVENTS.partitions, 1) for name in TOPICS]).values():
        future.result(60)
    members = [PlainMember(name, port) for name, port in zip(SERVICES, free_ports(len(SERVICES)), strict=True)]
    producer = Producer({**plain_producer(cluster.shared, "benchmark"), "linger.ms": 0})
    with Fleet(cluster.bootstrap, directory, [SANDBOX, *members]) as fleet:
        arrivals = Arrivals(cluster, TOPICS[0], lambda value: _COMPLETED in value)
        try:
            yield Running(cluster, fleet, arrivals, producer, TOPICS[0], encode)
        finally:
            arrivals.stop()
