"""What grows with the keys: memory for each key, and CPU for each message, of a hop that keeps a state for each.

Each size is measured in a process of its own, without a broker, with the states in memory, packed and on disk:
`python -m benchmarks.keys COUNT memory|packed|rocksdb`.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, cast, get_args

import psutil

from benchmarks import workload
from benchmarks.workload import Engine
from ensemble.engine import BatchCycle, PartitionTask, compile_service
from ensemble.kafka.worker import StateDisk, calm_collector
from ensemble.messages import StoredRecord, encoder_for
from ensemble.state import changelog_sources
from ensemble.testing import ManualClock

SIZES: Final = (10_000, 100_000, 1_000_000)
ENGINES: Final[tuple[Engine, ...]] = get_args(Engine)
_MESSAGES: Final = 20_000
_BATCH: Final = 500


def measure(sizes: tuple[int, ...] = SIZES) -> dict[str, Any]:
    """Return for each number of keys what a key takes, and what a message of one of them costs."""
    return {f"{size} {engine}": _in_a_process(size, engine) for engine in ENGINES for size in sizes}


def _in_a_process(size: int, engine: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.keys", str(size), engine]
    measured: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return measured


def _measure_one(count: int, engine: Engine, directory: Path) -> dict[str, float]:
    clock = ManualClock()
    disk = StateDisk(workload.service("keys", "in", engine), directory, "0", clock.now)
    plan = compile_service(workload.service("keys", "in", engine), clock)
    task = PartitionTask(plan, 0, open_state=disk.opener(0, dict.fromkeys(disk.changelogs, "id")))
    (source,) = (each for each in changelog_sources(task.stores, plan) if each.topic.endswith("order-state-changelog"))
    calm_collector()
    before, payload, began = psutil.Process().memory_info().rss, 0, time.process_time()
    for offset, (key, value) in enumerate(_states(count)):
        source.restore(StoredRecord(source.topic, 0, offset, key, value))
        payload += len(key) + len(value)
    task.finish_restore()
    restored, took = psutil.Process().memory_info().rss, time.process_time() - began
    task.start_at({topic.name: 0 for topic in task.plan.service.inputs})
    cpu_us = _handle(task, BatchCycle(clock, lambda _: None, due_until=lambda _, __: None), count)
    used = psutil.Process().memory_info().rss
    task.close()
    began_again = time.perf_counter()
    PartitionTask(plan, 0, open_state=disk.opener(0, dict.fromkeys(disk.changelogs, "id"))).close()
    return {
        "open_again_ms": 1e3 * (time.perf_counter() - began_again),
        "payload_bytes": payload / count,
        "bytes_a_key": (restored - before) / count,
        "cache_mib": (used - restored) / 2**20,
        "restore_us": 1e6 * took / count,
        "cpu_us": cpu_us,
    }


def _states(count: int) -> Iterator[tuple[bytes, bytes]]:
    encode = encoder_for(workload.OrderState)
    for number in range(count):
        state = workload.OrderState(
            status="payment_pending", version=1, last_id=f"{number:032x}", amount_cents=number % 500_000
        )
        yield _key(number), encode(state)


def _key(number: int) -> bytes:
    return f"{number * 2654435761 % 2**128:032x}-{number % 1000:03d}".encode()


def _handle(task: PartitionTask, cycle: BatchCycle, count: int) -> float:
    """Return the CPU of a message in microseconds: messages of keys at random, in batches that are committed."""
    chance, encode = random.Random(7), encoder_for(workload.OrderPlaced)
    order = next(workload.placed_orders(1))
    spent = 0.0
    for start in range(0, _MESSAGES, _BATCH):
        keys = [_key(chance.randrange(count)) for _ in range(_BATCH)]
        batch = [_record(start + number, key, encode(_order(order, key))) for number, key in enumerate(keys)]
        began = time.process_time()
        cycle.run({0: task}, batch, lambda _: [])
        list(task.changes())
        task.offsets()
        assert task.counts.failures == 0, "each message is handled"
        task.commit()
        spent += time.process_time() - began
    return 1e6 * spent / _MESSAGES


def _order(order: workload.OrderPlaced, key: bytes) -> workload.OrderPlaced:
    return order.model_copy(update={"order_id": key.decode()})


def _record(offset: int, key: bytes, value: bytes) -> StoredRecord:
    return StoredRecord("in", 0, offset, key, value, workload.input_headers(offset))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(_measure_one(int(sys.argv[1]), cast("Engine", sys.argv[2]), Path(directory))))
