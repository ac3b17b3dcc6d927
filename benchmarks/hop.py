"""One hop, ours beside the hand-written loop in the same run: CPU for each message, and latency at a steady rate."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

from benchmarks.cluster import Cluster
from benchmarks.meter import HopRun, endless_run
from benchmarks.program import program
from benchmarks.workload import PARTITIONS, input_headers, input_topic, output_topic, placed_orders, service
from ensemble.kafka.client import assigned_reader
from ensemble.messages import encoder_for

OURS: Final = "our_hop"
BY_HAND: Final = "hand_written"
_RATE: Final = 200
_LIMIT_S: Final = 180.0


def cpu(cluster: Cluster, *, messages: int, rounds: int) -> dict[str, Any]:
    """CPU of the client process for each message, in microseconds: each round measures both, one after the other."""
    topic = f"bench-in-{messages}"
    cluster.make([input_topic(topic)])
    load(cluster, topic, messages)
    run = HopRun(cluster.bootstrap, topic, "", messages, messages // 4, 100, _LIMIT_S)
    results: dict[str, list[dict[str, float]]] = {OURS: [], BY_HAND: []}
    for number in range(rounds):
        for name in (BY_HAND, OURS) if number % 2 == 0 else (OURS, BY_HAND):
            results[name].append(_measured(cluster, name, replace(run, run=run_name())))
    ratios = [ours["cpu_us"] / hand["cpu_us"] for ours, hand in zip(results[OURS], results[BY_HAND], strict=True)]
    return {"rounds": results, "ratios": ratios, "ratio": statistics.median(ratios)}


def latency(cluster: Cluster, *, seconds: float, rounds: int) -> dict[str, Any]:
    """From produce to a read_committed consumer at 200 messages/s, in milliseconds."""
    results: dict[str, list[dict[str, float]]] = {OURS: [], BY_HAND: []}
    for _ in range(rounds):
        for name in (BY_HAND, OURS):
            results[name].append(_latency(cluster, name, seconds))
    ratios = [ours["p50"] / hand["p50"] for ours, hand in zip(results[OURS], results[BY_HAND], strict=True)]
    return {"rounds": results, "ratios": ratios, "ratio": statistics.median(ratios)}


def run_name() -> str:
    """Return a name that no earlier run has."""
    return format(time.time_ns() // 1_000_000 % 10**10, "x")


def load(cluster: Cluster, topic: str, messages: int) -> None:
    """Put placed orders on a topic."""
    producer, encode = cluster.producer(linger_ms=20), encoder_for(type(next(placed_orders(1))))
    for number, order in enumerate(placed_orders(messages)):
        producer.produce(topic, encode(order), order.order_id, headers=input_headers(number))
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush(60)


def _measured(cluster: Cluster, name: str, run: HopRun) -> dict[str, float]:
    with _hop(cluster, name, run) as process:
        out, _ = process.communicate(timeout=_LIMIT_S + 30)
    if not out:
        raise RuntimeError(f"{name} did not handle {run.messages} messages of {run.topic_in} within {_LIMIT_S:.0f} s")
    measured: dict[str, float] = json.loads(out)
    return measured


def _hop(cluster: Cluster, name: str, run: HopRun) -> AbstractContextManager[subprocess.Popen[str]]:
    topics = [output_topic(run.run), *service(run.run, run.topic_in).own_topics]
    return program(cluster, topics, [f"benchmarks.{name}", run.argument()])


def _latency(cluster: Cluster, name: str, seconds: float) -> dict[str, float]:
    unique = run_name()
    topic = f"bench-lat-{unique}"
    cluster.make([input_topic(topic)])
    with _hop(cluster, name, endless_run(cluster.bootstrap, topic, unique, seconds + 60)):
        took = _Probe(cluster, topic, output_topic(unique).name).measure(seconds)
    cluster.drop([topic])
    return {"p50": at_share(took, 0.5), "p90": at_share(took, 0.9), "p99": at_share(took, 0.99), "messages": len(took)}


def at_share(values: Sequence[float], share: float) -> float:
    """Of sorted values the one that so many are not above."""
    return values[min(len(values) - 1, int(len(values) * share))]


class _Probe:
    """Sends by the clock and reads what comes out, on one thread: at this rate both have time."""

    def __init__(self, cluster: Cluster, topic: str, out: str) -> None:
        self._topic, self._encode = topic, encoder_for(type(next(placed_orders(1))))
        self._orders = placed_orders(10**6)
        self._producer = cluster.producer(linger_ms=0)
        patient = {"fetch.wait.max.ms": 500, "enable.partition.eof": False}
        self._consumer = Consumer({**assigned_reader(cluster.shared, "benchmark-latency"), **patient})
        self._consumer.assign([TopicPartition(out, number, 0) for number in range(PARTITIONS)])
        self._sent: dict[bytes, float] = {}
        self._took: dict[bytes, float] = {}

    def measure(self, seconds: float) -> list[float]:
        """Latencies in milliseconds, sorted, after a warm-up of a few seconds."""
        limit = time.monotonic() + 60
        while not self._took and time.monotonic() < limit:
            self._send()
            self._read_until(time.perf_counter() + 0.05)
        self._offer(4)
        self._took.clear()
        warm = len(self._sent)
        self._offer(seconds)
        self._read_until(time.perf_counter() + 1)
        self._consumer.close()
        counted = list(self._sent)[warm:]
        return sorted(self._took[key] for key in counted if key in self._took)

    def _offer(self, seconds: float) -> None:
        began = time.perf_counter()
        for number in range(int(_RATE * seconds)):
            self._read_until(began + number / _RATE)
            self._send()

    def _send(self) -> None:
        order = next(self._orders)
        key = order.order_id.encode()
        self._sent[key] = time.perf_counter()
        self._producer.produce(self._topic, self._encode(order), key, headers=input_headers(len(self._sent)))
        self._producer.poll(0)

    def _read_until(self, end: float) -> None:
        while (remaining := end - time.perf_counter()) > 0:
            record = self._consumer.poll(remaining)
            key = record.key() if record is not None and record.error() is None else None
            if key in self._sent:
                self._took[key] = 1000 * (time.perf_counter() - self._sent[key])
