"""One key of a thousand is poison: what the others keep of their throughput, and whether the key ends in order."""

from __future__ import annotations

import json
import statistics
import subprocess
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

from benchmarks.cluster import Cluster
from benchmarks.hop import run_name
from benchmarks.meter import HopRun
from benchmarks.poisoned_hop import MENDED, POISONED, poisoned_service
from benchmarks.program import program
from benchmarks.workload import PARTITIONS, ProcessPayment, input_headers, input_topic, output_topic, placed_orders
from ensemble.kafka.client import assigned_reader
from ensemble.messages import decoders_for, encoder_for

KEYS: Final = 1_000
_LIMIT_S: Final = 180.0
_POLICY: Final = """
[retry]
strategy = "fixed"
initial_s = 0.2
attempts = 1000

[parking]
per_key = 1000
"""


def measure(cluster: Cluster, *, messages: int, rounds: int) -> dict[str, Any]:
    """Messages a second and CPU a message of the 999 good keys, with the poison beside without it, in each round."""
    topic = f"bench-poison-{messages}"
    cluster.make([input_topic(topic)])
    _load(cluster, topic, messages)
    counted = messages - 2 * messages // KEYS
    hop = HopRun(cluster.bootstrap, topic, "", counted, messages // 4, 0, _LIMIT_S)
    results: dict[str, list[dict[str, float]]] = {"poisoned": [], "healthy": []}
    for number in range(rounds):
        for name in ("healthy", "poisoned") if number % 2 == 0 else ("poisoned", "healthy"):
            run = Run(cluster, replace(hop, run=run_name()), messages // KEYS)
            results[name].append(run.measured(is_poisoned=name == "poisoned"))
    pairs = list(zip(results["poisoned"], results["healthy"], strict=True))
    ratios = [poisoned["per_s"] / healthy["per_s"] for poisoned, healthy in pairs]
    cpu = [healthy["cpu_us"] / poisoned["cpu_us"] for poisoned, healthy in pairs]
    medians = {"ratio": statistics.median(ratios), "cpu_ratio": statistics.median(cpu)}
    return {"rounds": results, "ratios": ratios, "cpu_ratios": cpu, "in_order": messages // KEYS, **medians}


@dataclass(frozen=True)
class Run:
    """One process over all the messages."""

    cluster: Cluster
    hop: HopRun
    each: int
    """How many messages a key has."""

    def measured(self, *, is_poisoned: bool) -> dict[str, float]:
        """Return the meter's figures. Raises RuntimeError if the poisoned key does not end in exact order."""
        with tempfile.TemporaryDirectory(prefix="ensemble-poison-") as name:
            directory = Path(name)
            mended = directory / "mended"
            if not is_poisoned:
                mended.touch()
            (directory / f"hop-{self.hop.run}.toml").write_text(_POLICY)
            with self._process(directory) as process:
                assert process.stdout is not None
                figures: dict[str, float] = json.loads(process.stdout.readline())
                self._check_nothing_came(is_poisoned=is_poisoned)
                mended.touch()
                self._await_order()
        return figures

    def _process(self, directory: Path) -> AbstractContextManager[subprocess.Popen[str]]:
        own = poisoned_service(self.hop.run, self.hop.topic_in, directory).own_topics
        settings = {"ENSEMBLE_POLICIES_DIR": str(directory), MENDED: str(directory / "mended")}
        command = ["benchmarks.poisoned_hop", self.hop.argument()]
        return program(self.cluster, [output_topic(self.hop.run), *own], command, settings)

    def _check_nothing_came(self, *, is_poisoned: bool) -> None:
        if is_poisoned and (came := self._payments(wait_s=0)):
            raise RuntimeError(f"the poisoned key was not held back: {came}")

    def _await_order(self) -> None:
        expected = [KEYS * number + int(POISONED.removeprefix("key-")) for number in range(self.each)]
        if (came := self._payments(wait_s=60)) != expected:
            raise RuntimeError(f"the poisoned key did not end in order: {came}, not {expected}")

    def _payments(self, wait_s: float) -> list[int]:
        """Which of its messages the key has been paid for, in the order of the output."""
        consumer, readers = Consumer(assigned_reader(self.cluster.shared, "benchmark")), decoders_for(ProcessPayment)
        numbers: list[int] = []
        topic, ends = output_topic(self.hop.run).name, 0
        consumer.assign([TopicPartition(topic, number, 0) for number in range(PARTITIONS)])
        limit = time.monotonic() + wait_s
        while len(numbers) < self.each and (ends < PARTITIONS or time.monotonic() < limit):
            for record in consumer.consume(10_000, 0.2):
                ends += record.error() is not None
                if record.error() is None and record.key() == POISONED.encode() and (value := record.value()):
                    numbers.append(int(readers[value[:5]](value).command_id.removeprefix("cmd-"), 16))
        consumer.close()
        return numbers


def _load(cluster: Cluster, topic: str, messages: int) -> None:
    """Key after key, round and round; each message's id is its number."""
    producer, encode = cluster.producer(linger_ms=20), encoder_for(type(next(placed_orders(1))))
    for number, order in enumerate(placed_orders(messages)):
        key = f"key-{number % KEYS:03d}"
        producer.produce(topic, encode(order.model_copy(update={"order_id": key})), key, headers=input_headers(number))
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush(60)
