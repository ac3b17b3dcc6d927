"""Follows orders at a steady rate through every hop: where the time between OrderPlaced and OrderCompleted goes.

A message waits from its sender's commit until the service that takes it polls it, then for its handlers and those of
its batch, then for the transaction. A reader of all topics tells which message led to which.
"""

from __future__ import annotations

import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, Message, TopicPartition

from benchmarks import flow
from benchmarks.cluster import Cluster
from benchmarks.traced_service import Batch
from contracts.catalogue import CATALOGUE
from ensemble.kafka.client import assigned_reader
from launcher import SANDBOX, SERVICES, Member, with_free_port

_LAST: Final = "OrderCompleted"
_READ_LIMIT_S: Final = 10.0


Batches = Mapping[tuple[str, str], Batch]
"""The batch that a service has handled a message in, by service and message id."""


@dataclass(frozen=True)
class TracedMember(Member):
    """A service that writes its batches to a file of `directory`."""

    directory: str = ""

    @property
    def module(self) -> str:
        return "benchmarks.traced_service"

    def settings(self) -> dict[str, str]:
        return {
            **super().settings(),
            "BENCHMARK_SERVICE": self.service,
            "BENCHMARK_TRACE": str(Path(self.directory) / f"{self.service}.jsonl"),
        }


@dataclass(frozen=True)
class Hop:
    """One message on its way through one service, in milliseconds."""

    name: str
    """`ProcessPayment in payment`."""
    waited: float
    """From its sender's commit until it was polled; 0 of one from outside, whose sender notes nothing."""
    handled: float
    """Until its handlers, and those of all that was polled with it, were done."""
    committed: float
    """Until the transaction with its effects was committed."""


@dataclass(frozen=True)
class Sent:
    """A message as a reader of all topics sees it."""

    type: str
    sender: str
    """The service that sent it; of one from outside, its source."""
    cause: str
    """The id of the message that it followed from, which the sender has handled."""


def measure(cluster: Cluster, directory: Path, *, rate: float, seconds: float, warm_s: float) -> dict[str, Any]:
    """Return the median of each hop of an order at `rate`, after `warm_s` at that rate."""
    members: list[str | Member] = [SANDBOX]
    for name in SERVICES:
        plain = with_free_port(name)
        members.append(TracedMember(plain.service, plain.port, directory=str(directory)))
    with flow.running(cluster, directory, members) as system:
        system.offer(rate, warm_s)
        offered = system.offer(rate, seconds)
        last = [key.decode() for key in list(system.arrivals.at)[-offered.completed :]]
    sent = dict(_read_all(cluster, set(last)))
    hops = list(hops_of(sent, dict(_batches(directory))))
    return {"offered": vars(offered), "hops": medians(hops)}


def hops_of(sent: Mapping[str, Sent], batches: Batches) -> Iterator[Hop]:
    """Yield every hop of the messages that led to the end of an order, the last one first."""
    for end in [message for message in sent.values() if message.type == _LAST]:
        effect = end
        while (batch := batches.get((effect.sender, effect.cause))) and (taken := sent.get(effect.cause)):
            before = batches.get((taken.sender, taken.cause))
            yield Hop(
                f"{taken.type} in {effect.sender}",
                1000 * (batch.polled - before.committed) if before else 0.0,
                1000 * (batch.committing - batch.polled),
                1000 * (batch.committed - batch.committing),
            )
            effect = taken


def medians(hops: Iterable[Hop]) -> list[dict[str, Any]]:
    """Return one row for each hop, in the order of an order's life."""
    by_name: dict[str, list[Hop]] = defaultdict(list)
    for hop in hops:
        by_name[hop.name].append(hop)
    columns = ("waited", "handled", "committed")
    return [
        {"hop": name, **{column: statistics.median(getattr(hop, column) for hop in same) for column in columns}}
        for name, same in reversed(by_name.items())
    ]


def _batches(directory: Path) -> Iterator[tuple[tuple[str, str], Batch]]:
    for path in directory.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            batch = Batch(**json.loads(line))
            for message_id in batch.handled:
                yield (path.stem, message_id), batch


def _read_all(cluster: Cluster, orders: set[str]) -> Iterator[tuple[str, Sent]]:
    """Yield the messages about these orders, by id."""
    places = [TopicPartition(topic.name, number, 0) for topic in CATALOGUE.topics for number in range(topic.partitions)]
    consumer = Consumer(assigned_reader(cluster.shared, "benchmark-timeline"))
    consumer.assign(places)
    ends = 0
    while ends < len(places) and (record := consumer.poll(_READ_LIMIT_S)) is not None:
        if record.error():
            ends += 1
        elif (record.key() or b"").decode() in orders or record.topic() == "inventory.commands":
            yield _sent(record)
    consumer.close()


def _sent(record: Message) -> tuple[str, Sent]:
    headers: dict[str, Any] = dict(record.headers() or ())
    message_id = (headers.get("ce_id") or f"{record.topic()}/{record.partition()}/{record.offset()}".encode()).decode()
    kind = (headers.get("ce_type") or b"OrderPlaced").decode().rpartition(".")[2]
    sender = (headers.get("ce_source") or b"").decode().removeprefix("/services/")
    return message_id, Sent(kind, sender, (headers.get("ce_causationid") or b"").decode())
