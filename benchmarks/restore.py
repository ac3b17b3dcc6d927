"""Restore of local state from its changelog: our Restoration, beside reading the same bytes into a dict."""

from __future__ import annotations

import resource
import time
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, TopicPartition

from benchmarks.cluster import Cluster
from benchmarks.workload import PARTITIONS, OrderState, input_topic, output_topic, service
from ensemble.clock import SystemClock
from ensemble.engine import CompiledService, PartitionTask, compile_service
from ensemble.kafka.client import assigned_reader
from ensemble.kafka.worker import Restoration
from ensemble.messages import encoder_for

_LIMIT_S: Final = 120.0


def measure(cluster: Cluster, *, keys: int) -> dict[str, Any]:
    """Keys restored a second, and CPU microseconds for each."""
    hop = service("restore", "bench-restore-in")
    cluster.make([input_topic("bench-restore-in"), output_topic("restore"), *hop.own_topics])
    changelog = hop.changelogs[0].name
    _fill(cluster, changelog, keys)
    by_hand = _timed(lambda: _into_dict(cluster, changelog, keys), keys)
    ours = _timed(lambda: _restored(cluster, compile_service(hop, SystemClock())), keys)
    return {"keys": keys, "ours": ours, "by_hand": by_hand, "ratio": ours["cpu_us"] / by_hand["cpu_us"]}


def _fill(cluster: Cluster, changelog: str, keys: int) -> None:
    state = OrderState(status="payment_pending", version=1, last_id=f"{7:032x}", amount_cents=4_200)
    value, producer = encoder_for(OrderState)(state), cluster.producer(linger_ms=20)
    for number in range(keys):
        producer.produce(changelog, value, f"{number:036d}")
        if number % 10_000 == 0:
            producer.poll(0)
    producer.flush(60)


def _timed(work: Any, keys: int) -> dict[str, float]:
    began, used = time.perf_counter(), _cpu()
    done = work()
    if done != keys:
        raise RuntimeError(f"{done} of {keys} keys were restored")
    return {"keys_per_s": keys / (time.perf_counter() - began), "cpu_us": 1e6 * (_cpu() - used) / keys}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _restored(cluster: Cluster, plan: CompiledService) -> int:
    tasks = [PartitionTask(plan, number) for number in range(PARTITIONS)]
    restoration = Restoration(plan, tasks, assigned_reader(cluster.shared, "benchmark-restore"), cluster.admin)
    while not restoration.advance(0.05, _LIMIT_S):
        pass
    restoration.close()
    return restoration.records


def _into_dict(cluster: Cluster, changelog: str, keys: int) -> int:
    consumer = Consumer(assigned_reader(cluster.shared, "benchmark-dict"))
    consumer.assign([TopicPartition(changelog, number, 0) for number in range(PARTITIONS)])
    restored: dict[Any, Any] = {}
    ends, limit = 0, time.monotonic() + _LIMIT_S
    while (ends < PARTITIONS or len(restored) < keys) and time.monotonic() < limit:
        for record in consumer.consume(10_000, 0.05):
            error = record.error()
            if error is None:
                restored[record.key()] = record.value()
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  the client's own name
                ends += 1
    consumer.close()
    return len(restored)
