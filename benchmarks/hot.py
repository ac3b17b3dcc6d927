"""What hot keys do: how many messages a second one process handles when they are of few keys, or of one warehouse.

By the CPU of the engine, without a broker; the records that a batch of 500 leaves behind say what a broker would get.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from typing import Final

from benchmarks import workload
from contracts import FulfilOrder, OrderLine, ReceiveStock
from contracts.catalogue import INVENTORY_COMMANDS
from ensemble import Service
from ensemble.engine import BatchCycle, PartitionTask, compile_service
from ensemble.messages import Message, StoredRecord, encoder_for
from ensemble.partitioning import partition_of
from ensemble.testing import ManualClock
from services.inventory.service import inventory_service

HOT_KEYS: Final = (1, 1_000, 10_000)
HOT_WAREHOUSES: Final = (1, 100)
_BATCHES: Final = 60
_BATCH: Final = 500
_WARM: Final = 20
_PLENTY: Final = 1_000_000
_NEVER: Final = 4_000_000_000_000


def measure(batches: int = _BATCHES) -> dict[str, dict[str, float]]:
    """Return for each number of hot keys and of warehouses the throughput, and the records written for a message."""
    hops = {f"{count} keys of a hop": _measure_hop(count, batches) for count in HOT_KEYS}
    return hops | {f"{count} warehouses of the stock": _measure_stock(count, batches) for count in HOT_WAREHOUSES}


class Process:
    """One partition of a service: takes batches and commits them, as a worker does."""

    def __init__(self, service: Service, topic: str) -> None:
        self._topic, clock, self._offset, self._encoders = topic, ManualClock(), 0, dict[type, Callable[..., bytes]]()
        self._task = PartitionTask(compile_service(service, clock), 0)
        self._task.start_at({each.name: 0 for each in service.inputs})
        self._cycle = BatchCycle(clock, lambda _: None, due_until=lambda _, __: None)
        self.spent_s, self.written = 0.0, 0

    def handle(self, messages: Iterable[tuple[str, Message]]) -> None:
        """Handle a batch of messages by key."""
        records = [self._record(key, message) for key, message in messages]
        began = time.process_time()
        self._cycle.run({0: self._task}, records, lambda _: [])
        changes = sum(len(records) for _, records in self._task.changes())
        assert self._task.counts.failures == 0, "each message is handled"
        self.written += changes + len(self._task.outputs)
        self._task.offsets()
        self._task.commit()
        self.spent_s += time.process_time() - began

    def _record(self, key: str, message: Message) -> StoredRecord:
        self._offset += 1
        encode = self._encoders.setdefault(type(message), encoder_for(type(message)))
        headers = workload.input_headers(self._offset)
        return StoredRecord(self._topic, 0, self._offset, key.encode(), encode(message), headers)


def _measure_hop(count: int, batches: int) -> dict[str, float]:
    chance, (order,) = random.Random(7), workload.placed_orders(1)
    process = Process(workload.service("hot", "in"), "in")

    def make(_: int) -> tuple[str, Message]:
        key = f"o-{chance.randrange(count)}"
        return key, order.model_copy(update={"order_id": key})

    return _measure(process, make, batches)


def _measure_stock(count: int, batches: int) -> dict[str, float]:
    names = [name for number in range(64 * count) if partition_of((name := f"w-{number}").encode(), 4) == 0][:count]
    process = Process(inventory_service(), INVENTORY_COMMANDS.name)
    process.handle((name, ReceiveStock(warehouse_id=name, sku="bolt", quantity=_PLENTY)) for name in names)

    def make(number: int) -> tuple[str, Message]:
        name = names[number % len(names)]
        command = FulfilOrder(
            order_id=f"o-{number}",
            warehouse_id=name,
            customer_id="c-1",
            lines=(OrderLine(sku="bolt", quantity=1, unit_price=100),),
            shipping_speed="standard",
            attempt=1,
            expires_at=_NEVER,
        )
        return name, command

    return _measure(process, make, batches)


def _measure(process: Process, make: Callable[[int], tuple[str, Message]], batches: int) -> dict[str, float]:
    for start in range(-_WARM, batches):
        if start == 0:
            process.spent_s, process.written = 0.0, 0
        process.handle([make((start + _WARM) * _BATCH + number) for number in range(_BATCH)])
    messages = batches * _BATCH
    return {"per_s": messages / process.spent_s, "records": process.written / messages}
