"""What a message costs, in counts that are the same on any machine: no later change takes a saving back unseen.

A count that falls is written down here; one that has to rise is argued in docs/performance.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from benchmarks import workload
from contracts import PaymentConfirmed, ReservationConfirmed, ShipmentScheduled
from contracts.catalogue import INVENTORY_EVENTS, ORDERS_EVENTS, PAYMENTS_EVENTS, SHIPPING_EVENTS
from ensemble import Service
from ensemble.clock import ManualClock
from ensemble.engine import BatchCycle, PartitionTask, compile_service
from ensemble.messages import Message, encoder_for
from ensemble.messages.records import StoredRecord
from ensemble.partitioning import partition_of
from services.orchestrator.service import orchestrator
from tests.support.call_counts import count_of
from tests.support.order_messages import order_placed

Maker = Callable[[str], Message]
KEYS = [key for number in range(400) if partition_of((key := f"o-{number}").encode(), 4) == 0][:60]
"""Keys of one partition."""
TOLERANCE = 1.03
"""Calls differ a little between versions of Python and of its libraries."""

DECODES, ENCODES, VALIDATIONS = "_decoder.<locals>.decode", "_encoder.<locals>.encode", "validate_python"

A_HOP: dict[str, Maker] = {"in": lambda key: next(workload.placed_orders(1)).model_copy(update={"order_id": key})}
AN_ORDER: dict[str, Maker] = {
    ORDERS_EVENTS.name: lambda key: order_placed(order_id=key),
    PAYMENTS_EVENTS.name: lambda key: PaymentConfirmed(order_id=key, amount=500, currency="EUR", charge_id="ch-1"),
    INVENTORY_EVENTS.name: lambda key: ReservationConfirmed(order_id=key, warehouse_id="w-1"),
    SHIPPING_EVENTS.name: lambda key: ShipmentScheduled(order_id=key, shipment_id="s-1", shipping_speed="standard"),
}


@pytest.mark.parametrize(
    ("service", "stages", "limits"),
    [
        (workload.service("cost", "in"), A_HOP, {"calls": 104, DECODES: 1, ENCODES: 2, VALIDATIONS: 3}),
        (orchestrator(), AN_ORDER, {"calls": 885, DECODES: 4, ENCODES: 10, VALIDATIONS: 16}),
    ],
    ids=["a hop", "an order in the orchestrator"],
)
def test_a_message_costs_no_more_than_it_did(
    service: Service, stages: dict[str, Maker], limits: dict[str, float]
) -> None:
    # given a task that has seen each type of message, so that all is looked up
    task = PartitionTask(compile_service(service, clock := ManualClock()), 0)
    task.start_at({topic.name: 0 for topic in service.inputs})
    cycle = BatchCycle(clock, lambda _: None, due_until=lambda _, __: None)
    handle(task, cycle, stages, KEYS[:10])

    # when
    batches = list(records_of(stages, KEYS[10:]))
    counts = count_of(lambda: run(task, cycle, *batches))

    # then
    costs = {name: counts[name] / len(KEYS[10:]) for name in limits}
    assert {name: cost for name, cost in costs.items() if cost > TOLERANCE * limits[name]} == {}


def records_of(stages: dict[str, Maker], keys: list[str]) -> Iterable[list[StoredRecord]]:
    """Yield one batch for each stage: a record of each key."""
    for topic, make in stages.items():
        messages = [make(key) for key in keys]
        encode = encoder_for(type(messages[0]))
        yield [
            StoredRecord(topic, 0, offset, key.encode(), encode(message), workload.input_headers(offset))
            for offset, (key, message) in enumerate(zip(keys, messages, strict=True))
        ]


def handle(task: PartitionTask, cycle: BatchCycle, stages: dict[str, Maker], keys: list[str]) -> None:
    for batch in records_of(stages, keys):
        run(task, cycle, batch)


def run(task: PartitionTask, cycle: BatchCycle, *batches: list[StoredRecord]) -> None:
    """Handle each batch and commit it, as the worker does, without a broker."""
    for batch in batches:
        cycle.run({0: task}, batch, lambda _: [])
        assert task.counts.failures == task.counts.skipped == 0
        task.offsets()
        list(task.changes())
        task.commit()
