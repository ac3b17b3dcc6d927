"""How late durable timers fire while the service is idle: from due to visible to a read_committed consumer."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from benchmarks.cluster import Cluster
from benchmarks.hop import at_share, run_name
from benchmarks.workload import PARTITIONS, OrderPlaced, ProcessPayment, input_topic, output_topic, placed_orders
from ensemble import Catalogue, CommandBus, Service, TimerDue, Timers, decides, reacts_to, when_due
from ensemble.kafka.client import assigned_reader
from ensemble.kafka.worker import make_loop
from ensemble.messages import decoders_for, encoder_for
from ensemble.settings import KafkaSettings, RuntimeSettings

_EVERY_S: Final = 0.25
"""On average; at random, so that some come together and some after a pause."""
_FIRST_S: Final = 5.0
_LIMIT_S: Final = 30.0


@decides("an order is paid when its time has come")
@dataclass(frozen=True)
class Alarm:
    """Sets a timer for each input; says when it fires."""

    timers: Timers
    commands: CommandBus[ProcessPayment]

    @reacts_to(OrderPlaced)
    def on_order_placed(self, event: OrderPlaced) -> None:
        self.timers.schedule(event.order_id, "pay", event.placed_at)

    @when_due("pay")
    def on_due(self, timer: TimerDue) -> None:
        self.commands.send(
            ProcessPayment(
                command_id="timer",
                order_id=timer.key,
                customer_id="anybody",
                amount_cents=0,
                currency="EUR",
                requested_at=timer.due_at,
            )
        )


def measure(cluster: Cluster, *, timers: int) -> dict[str, float]:
    """Milliseconds by which a timer is seen after it was due. Never before, or RuntimeError."""
    name = run_name()
    topic = input_topic(f"bench-timers-{name}")
    catalogue = Catalogue(topics=(topic, output_topic(name)))
    service = Service(f"alarm-{name}", catalogue, roles=[Alarm], stores=[])
    cluster.make([topic, output_topic(name), *service.own_topics])
    with _running(cluster, service):
        _schedule(cluster, topic.name, timers)
        late = sorted(_seen(cluster, output_topic(name).name, timers))
    if late[0] < 0:
        raise RuntimeError(f"a timer fired {-late[0]} ms before it was due")
    return {"timers": timers, "p50": at_share(late, 0.5), "p99": at_share(late, 0.99), "worst": late[-1]}


@contextmanager
def _running(cluster: Cluster, service: Service) -> Iterator[None]:
    settings = RuntimeSettings(http_port=0, log_level="warning")
    loop = make_loop(service, settings, KafkaSettings(bootstrap_servers=cluster.bootstrap))
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    limit = time.monotonic() + _LIMIT_S
    while not loop.is_ready and time.monotonic() < limit:
        time.sleep(0.05)
    try:
        yield
    finally:
        loop.stop()
        thread.join(_LIMIT_S)


def _schedule(cluster: Cluster, topic: str, timers: int) -> None:
    chance, encode, producer = random.Random(7), encoder_for(OrderPlaced), cluster.producer(linger_ms=5)
    now = time.time_ns() // 1_000_000
    for number, order in enumerate(placed_orders(timers)):
        due = now + round(1000 * (_FIRST_S + chance.uniform(0, timers * _EVERY_S)))
        key = f"order-{number}"
        producer.produce(topic, encode(order.model_copy(update={"order_id": key, "placed_at": due})), key)
    producer.flush(30)


def _seen(cluster: Cluster, topic: str, timers: int) -> Iterator[int]:
    patient = {"fetch.wait.max.ms": 500, "enable.partition.eof": False}
    consumer = Consumer({**assigned_reader(cluster.shared, "benchmark-timers"), **patient})
    consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
    readers, remaining = decoders_for(ProcessPayment), timers
    limit = time.monotonic() + _FIRST_S + timers * _EVERY_S + _LIMIT_S
    while remaining:
        record = consumer.poll(0.5)
        now = time.time_ns() // 1_000_000
        if time.monotonic() > limit:
            raise RuntimeError(f"{remaining} of {timers} timers did not fire")
        if record is not None and record.error() is None and (value := record.value()):
            remaining -= 1
            yield now - readers[value[:5]](value).requested_at
    consumer.close()
