"""The whole flow as it runs: broker, sandbox and five services as processes, orders from an outsider at a steady rate.

Latency is from before the produce of OrderPlaced to its OrderCompleted in the hands of a read_committed consumer,
both read on one clock. Orders come by the clock, not by answers, so a queue shows as latency.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
from confluent_kafka import Consumer, Producer, TopicPartition

from benchmarks.cluster import Cluster
from contracts import OrderCompleted, OrderLine, OrderPlaced, ReceiveStock
from contracts.catalogue import CATALOGUE, INVENTORY_COMMANDS, ORDERS_EVENTS
from ensemble.kafka.admin import topics
from ensemble.kafka.client import assigned_reader, plain_producer
from ensemble.messages import PREFIX_LENGTH, decoders_for, encoder_for
from ensemble.settings import KafkaSettings
from launcher import ALL, Fleet, Member
from services.app import SERVICES
from verifier import Options, run_verify

WAREHOUSES: Final = tuple(f"w-{number}" for number in range(8))
"""Several, so that inventory has keys on every partition."""
_SKU: Final = "lamp"
_PREFIXES: Final = frozenset(decoders_for(OrderCompleted))
_STEP_S: Final = 0.05
_SHOWN: Final = 5
"""Of violations the first few are told."""
_SETTLE_S: Final = 120.0
"""So long the check waits at most for what the last step has left under way."""


@dataclass(frozen=True)
class Offered:
    """What was asked for, and what came of it. Times in milliseconds."""

    rate: float
    sent: int
    completed: int
    per_s: float
    p50: float
    p90: float
    p99: float
    cpu_ms_per_order: Mapping[str, float]

    @property
    def holds(self) -> bool:
        """All completed, without a queue that grew to seconds."""
        return self.completed == self.sent and self.p99 < 2_000 and self.per_s > 0.9 * self.rate


class Arrivals:
    """Notes when each order's OrderCompleted came, on a thread of its own."""

    def __init__(self, cluster: Cluster, topic: str, is_last: Callable[[bytes], bool]) -> None:
        """Read `topic` from now on; `is_last` tells the value of an OrderCompleted from others."""
        self.at: dict[bytes, float] = {}
        self._is_last = is_last
        patient = {"fetch.wait.max.ms": 500}  # asking an idle broker 50 times a second would be a load of its own
        self._consumer = Consumer({**assigned_reader(cluster.shared, "benchmark-arrivals"), **patient})
        partitions = [TopicPartition(topic, number) for number in range(ORDERS_EVENTS.partitions)]
        self._consumer.assign(partitions)
        self._stopping = False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._thread.join(10)
        self._consumer.close()

    def _read(self) -> None:
        while not self._stopping:
            first = self._consumer.poll(0.1)
            for record in [first, *self._consumer.consume(1000, 0)] if first else []:
                key, value = record.key(), record.value()
                if key and value and self._is_last(value):
                    self.at[key] = time.perf_counter()


@dataclass
class Running:
    """The system under load."""

    cluster: Cluster
    fleet: Fleet
    arrivals: Arrivals
    producer: Producer
    topic: str
    """Where orders are placed."""
    encode: Callable[[OrderPlaced], bytes]
    _orders: int = field(default=0)
    _mark: str = field(default_factory=lambda: secrets.token_hex(3))
    """Tells the orders of this run from those of another on the same broker."""

    def offer(self, rate: float, seconds: float, settle_s: float = 15) -> Offered:
        """Send orders at `rate` for `seconds`, then wait up to `settle_s` for those under way."""
        before = self._cpu()
        began = time.perf_counter()
        sent = self._send(rate, seconds)
        self._await(sent, settle_s)
        return self._offered(rate, began, sent, before)

    def _send(self, rate: float, seconds: float) -> dict[bytes, float]:
        sent, began = dict[bytes, float](), time.perf_counter()
        for number in range(int(rate * seconds)):
            wait = began + number / rate - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            order = self._order()
            key = order.order_id.encode()
            sent[key] = time.perf_counter()
            self.producer.produce(self.topic, self.encode(order), key)
            self.producer.poll(0)
        self.producer.flush(10)
        return sent

    def _order(self) -> OrderPlaced:
        self._orders += 1
        return OrderPlaced(
            order_id=f"bench-{self._mark}-{self._orders}",
            customer_id="c-1",
            lines=(OrderLine(sku=_SKU, quantity=1, unit_price=500),),
            currency="EUR",
            payment_token="tok_approve",  # noqa: S106  a token of the sandbox
            warehouse_id=WAREHOUSES[self._orders % len(WAREHOUSES)],
            shipping_speed="standard",
            placed_at=time.time_ns() // 1_000_000,
        )

    def _await(self, sent: Mapping[bytes, float], settle_s: float) -> None:
        limit = time.monotonic() + settle_s
        while time.monotonic() < limit and not sent.keys() <= self.arrivals.at.keys():
            time.sleep(_STEP_S)

    def _offered(self, rate: float, began: float, sent: Mapping[bytes, float], before: Mapping[str, float]) -> Offered:
        arrived = {key: self.arrivals.at[key] for key in sent if key in self.arrivals.at}
        took = sorted(1000 * (at - sent[key]) for key, at in arrived.items())
        seconds = max(arrived.values(), default=began) - began
        spent = {name: 1000 * (cpu - before.get(name, 0.0)) / max(len(sent), 1) for name, cpu in self._cpu().items()}
        return Offered(
            rate=rate,
            sent=len(sent),
            completed=len(took),
            per_s=len(took) / seconds if seconds else 0.0,
            p50=_quantile(took, 0.5),
            p90=_quantile(took, 0.9),
            p99=_quantile(took, 0.99),
            cpu_ms_per_order=spent,
        )

    def _cpu(self) -> dict[str, float]:
        """CPU seconds so far of each process, the broker's among them."""
        pids = {name: self.fleet.pid(name) for name in self.fleet.members}
        pids["broker"] = next(p.pid for p in psutil.Process().children(recursive=True) if p.name() == "java")
        return {name: sum(psutil.Process(pid).cpu_times()[:2]) for name, pid in pids.items()}


def _quantile(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("inf")


@contextmanager
def running(cluster: Cluster, directory: Path, members: Iterable[str | Member] = ALL) -> Iterator[Running]:
    """Topics, all processes, and shelves that do not run empty; warmed up by some orders."""
    cluster.make(topics.all_topics(CATALOGUE, [make() for make in SERVICES.values()]))
    producer = Producer({**plain_producer(cluster.shared, "benchmark"), "linger.ms": 0})
    environment = {"ENSEMBLE_LOG_LEVEL": "warning"}
    with Fleet(cluster.bootstrap, directory, members, environment) as fleet:
        for warehouse in WAREHOUSES:
            stock = ReceiveStock(warehouse_id=warehouse, sku=_SKU, quantity=1_000_000)
            producer.produce(INVENTORY_COMMANDS.name, encoder_for(ReceiveStock)(stock), warehouse.encode())
        producer.flush(10)
        arrivals = Arrivals(cluster, ORDERS_EVENTS.name, lambda value: value[:PREFIX_LENGTH] in _PREFIXES)
        system = Running(cluster, fleet, arrivals, producer, ORDERS_EVENTS.name, encoder_for(OrderPlaced))
        try:
            system.offer(50, 10)
            yield system
        finally:
            arrivals.stop()


def measure(system: Running, *, quick: bool) -> dict[str, Any]:
    """20 orders/s cold; a minute of 100 to warm up the JVM; then faster and faster until it no longer holds.

    Each of the steps takes 30 s, with `quick` 8.
    """
    seconds = 8 if quick else 30
    cold = system.offer(20, 8)
    system.offer(100, 15 if quick else 60)
    calm = system.offer(20, seconds)
    fastest, tried = calm, [calm]
    for rate in (50, 100, 200, 300, 500, 600, 700, 1000, 1500):
        offered = system.offer(rate, seconds)
        tried.append(offered)
        if not offered.holds:
            break
        fastest = offered
    return {
        "cold": vars(cold),
        "calm": vars(calm),
        "fastest": vars(fastest),
        "tried": [vars(offered) for offered in tried],
    }


def check(system: Running) -> dict[str, Any]:
    """Return what the independent check says of all that was done: its verdict, its exit code, what it has found."""
    options = Options(provider_url=system.fleet.provider_url, settle_s=_SETTLE_S)
    report = run_verify(KafkaSettings(bootstrap_servers=system.cluster.bootstrap), options)
    found = [": ".join(violation) for violation in report.violations[:_SHOWN]]
    return {"verdict": report.verdict, "exit_code": report.exit_code, "found": [*found, *report.problems]}


def rolling_restart(system: Running, rate: float = 20) -> dict[str, float]:
    """Return the longest gap between two completions, in seconds, while each service restarts in turn."""
    done = threading.Event()
    pauses: dict[str, float] = {}

    def restart_all() -> None:
        for name in SERVICES:
            began = time.perf_counter()
            system.fleet.restart(name)
            system.fleet.await_ready()
            time.sleep(2)
            times = sorted(at for at in list(system.arrivals.at.values()) if at > began)
            steps = zip([began, *times], [*times, time.perf_counter()], strict=True)
            pauses[name] = max(later - earlier for earlier, later in steps)
        done.set()

    worker = threading.Thread(target=restart_all, daemon=True)
    worker.start()
    limit = time.monotonic() + 120
    while not done.is_set() and time.monotonic() < limit:
        system.offer(rate, 1, settle_s=0)
    worker.join(10)
    return pauses
