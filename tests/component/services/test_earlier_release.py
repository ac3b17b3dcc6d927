"""Each service restores what an earlier release had written, and goes on with the very bytes that that one wrote."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from contracts import Order, OrderState, Payment, Reservation, Shipment, StockLevel
from contracts.catalogue import INVENTORY_LEDGER
from ensemble import State
from ensemble.messages.codec import decoders_for
from ensemble.messages.records import StoredRecord, place_of
from ensemble.system_messages import state as runtime
from ensemble.system_messages.notes import GroupNote
from ensemble.testing.driver import ServiceTestDriver
from services.inventory.domain import Warehouse
from tests.support.earlier_release.comparison import Comparison
from tests.support.earlier_release.records import COMPACTED, Step, continuation, records, state
from tests.support.earlier_release.services import NAMES, restored

RUNTIME_STATES = (
    runtime.Timer,
    runtime.SeenMessage,
    runtime.LedgerPosition,
    runtime.ParkedKey,
    runtime.ParkedRecord,
    runtime.Pause,
    runtime.Resolution,
    GroupNote,
)
STATES: tuple[type[State], ...] = (Order, OrderState, Payment, Shipment, StockLevel, Reservation, *RUNTIME_STATES)


def test_the_records_hold_states_of_all_kinds() -> None:
    live = [(row["type"], row["state"]) for rows in state()["states"].values() for row in rows.values()]
    assert {name for name, _ in live} == {kind.__name__ for kind in STATES}
    assert {row["status"] for name, row in live if name == "ParkedKey"} == {
        "retrying",
        "dead_lettered",
        "paused",
        "in_flight",
        "outage",
    }
    assert {row["how"] for name, row in live if name == "Resolution"} == {"redriven", "discarded", "closed"}
    assert {row["status"] for name, row in live if name == "OrderState"} == {
        "placeholder",
        "payment_pending",
        "fulfilled",
        "completed",
        "compensating",
        "cancelled",
        "compensation_failed",
    }


def test_the_ledger_holds_facts_of_all_kinds_around_a_snapshot() -> None:
    readers = {prefix: kind for kind in INVENTORY_LEDGER.messages for prefix in decoders_for(kind)}
    facts = [
        readers[record.raw_value[:5]]
        for record in records()
        if record.at_topic == "inventory.ledger"
        if record.raw_value
    ]
    snapshot = state()["states"]["inventory.warehouse-changelog"]["berlin"]["state"]["sequence"]
    assert set(facts) == set(INVENTORY_LEDGER.messages)
    assert 0 < snapshot < state()["warehouses"]["berlin"]["sequence"]


def test_every_state_reads_as_it_did() -> None:
    readers = {prefix: read for kind in STATES for prefix, read in decoders_for(kind).items()}
    live: dict[str, dict[str, Any]] = {}
    for record in records():
        if record.at_topic.endswith(COMPACTED) and (value := record.raw_value) is not None:
            read = readers[value[:5]](value)
            row = {"partition": record.at_partition, "type": type(read).__name__, "state": plain(read)}
            live.setdefault(record.at_topic, {})[(record.raw_key or b"").decode()] = row
    assert live == state()["states"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_parked_is_restored(name: str) -> None:
    driver = restored(name)
    parked = state()["parked"].get(name, {})
    assert {key: plain(driver.parked(key)) for key in parked} == {key: row["entry"] for key, row in parked.items()}
    assert {
        key: [[parked_record.message, parked_record.message_id] for parked_record in driver.waiting(key)]
        for key in parked
    } == {key: row["waiting"] for key, row in parked.items()}


@pytest.mark.parametrize("warehouse_id", ["berlin", "oslo"])
def test_a_warehouse_is_its_snapshot_and_the_facts_behind_it(warehouse_id: str) -> None:
    warehouse = restored("inventory").aggregate(Warehouse, warehouse_id)
    assert {
        "sequence": warehouse.sequence,
        "stock": plain(dict(warehouse.stock)),
        "reservations": plain(dict(warehouse.reservations)),
    } == state()["warehouses"][warehouse_id]


@pytest.mark.parametrize("name", NAMES)
def test_it_goes_on_with_the_same_records(name: str) -> None:
    """Retries, parked keys, timers, pauses, redrives, running orders: topics, keys, headers, values are equal.

    What is meant to differ is in `Comparison`.
    """
    steps = continuation()
    written = [*records(), *(record for step in steps for record in step.writes)]
    by_place = {place_of(record): record for record in written}
    driver, comparison = restored(name), Comparison()
    for step in steps:
        if step.service == name:
            differences = comparison.differences(step.writes, run(driver, step, by_place))
            assert differences == [], f"step {step.number} of {name}: {step.do}"


def run(
    driver: ServiceTestDriver, step: Step, by_place: dict[tuple[str, int, int], StoredRecord]
) -> list[StoredRecord]:
    """Do one step and return what was written."""
    before = len(driver.log)
    match step.do:
        case "receive":
            in_its_order = sorted(step.reads, key=lambda place: place[1])  # the earlier release wrote by partition
            driver.receive_records([by_place[place] for place in in_its_order])
        case "advance":
            driver.advance(step.seconds)
        case "land":
            driver.land()
    return driver.log[before:]


def plain(value: Any) -> Any:
    """Return models as JSON has them."""
    match value:
        case bytes():
            return {"base64": base64.b64encode(value).decode()}
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
    return plain(value.model_dump()) if hasattr(value, "model_dump") else value
