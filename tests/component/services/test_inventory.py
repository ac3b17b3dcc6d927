"""The inventory service, whole, in memory: its ledger, snapshots and restarts included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import (
    CommandFailed,
    DispatchStock,
    ReservationClosed,
    ReservationConfirmed,
    ReservationRejected,
    ReservationReleased,
    StockDispatched,
    StockLevel,
    StockReceived,
    StockReleased,
    StockReserved,
)
from contracts.catalogue import INVENTORY_LEDGER
from ensemble.messages import Message
from ensemble.messages.codec import decoders_for, encoder_for
from ensemble.messages.records import StoredRecord
from ensemble.testing.driver import ServiceTestDriver
from services.inventory.domain import MOST_STOCK, Fact, Warehouse, rebuild_state
from services.inventory.service import inventory_service
from tests.support.order_messages import fulfil_order, lines, receive_stock, release_stock, schedule_shipment

DISPATCH = DispatchStock(order_id="o-1", warehouse_id="w-1")
CONFIRMED = ReservationConfirmed(order_id="o-1", warehouse_id="w-1")
RELEASED = ReservationReleased(order_id="o-1", warehouse_id="w-1")


@pytest.fixture
def driver() -> ServiceTestDriver:
    return ServiceTestDriver(inventory_service())


@pytest.fixture
def stocked(driver: ServiceTestDriver) -> ServiceTestDriver:
    """Ten bolts have arrived."""
    driver.receive(receive_stock(quantity=10))
    driver.clear()
    return driver


def bolts(driver: ServiceTestDriver) -> tuple[int, int, int]:
    """On hand, reserved, dispatched."""
    level: StockLevel = driver.aggregate(Warehouse, "w-1").stock["bolt"]
    return level.on_hand, level.reserved, level.dispatched


def reasons(driver: ServiceTestDriver) -> list[str]:
    return [dict(record.headers())["__streams.errors.message"].decode() for record in driver.dead_letters]


def test_reserves_stock_and_tells_shipping_itself(stocked: ServiceTestDriver) -> None:
    stocked.receive(fulfil_order())

    fields = {"warehouse_id": "w-1", "order_id": "o-1", "sku": "bolt", "quantity": 2}
    assert stocked.outputs == [StockReserved(**fields, sequence=2), CONFIRMED, schedule_shipment()]
    assert bolts(stocked) == (8, 2, 0)


def test_a_repeated_order_is_answered_again_and_held_once(stocked: ServiceTestDriver) -> None:
    stocked.receive(fulfil_order(), fulfil_order(attempt=2))
    stocked.restart()
    stocked.receive(fulfil_order(attempt=3))

    assert [event for event in stocked.emitted if isinstance(event, ReservationConfirmed)] == [CONFIRMED] * 3
    assert stocked.sent == [schedule_shipment()] * 3
    assert bolts(stocked) == (8, 2, 0)


def test_the_same_message_delivered_twice_is_one_receipt(driver: ServiceTestDriver) -> None:
    driver.receive(receive_stock(quantity=4), message_id="m-1")
    driver.restart()
    driver.receive(receive_stock(quantity=4), message_id="m-1")

    received = StockReceived(warehouse_id="w-1", sequence=1, sku="bolt", quantity=4, receipt_id="m-1")
    assert driver.outputs == [received]
    assert bolts(driver) == (4, 0, 0)


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        (fulfil_order(lines=lines(bolt=11)), "bolt: 11 needed, 10 available"),
        (fulfil_order(lines=lines(bolt=1, gear=1)), "warehouse w-1 has never received gear: 1 needed, 0 available"),
        (fulfil_order(expires_at=1), "expired before it could be reserved"),
    ],
)
def test_rejects_what_it_cannot_hold_and_says_why(stocked: ServiceTestDriver, order: Message, reason: str) -> None:
    stocked.receive(order, order)

    rejected = ReservationRejected(order_id="o-1", warehouse_id="w-1", reason=reason)
    closed = ReservationClosed(order_id="o-1", warehouse_id="w-1", reason=reason, sequence=2)
    assert stocked.outputs == [closed, rejected, rejected]
    assert bolts(stocked) == (10, 0, 0)


def test_rejects_an_order_of_an_unknown_warehouse(stocked: ServiceTestDriver) -> None:
    stocked.receive(fulfil_order(warehouse_id="w-9"))

    (_, rejected) = stocked.emitted
    assert isinstance(rejected, ReservationRejected)
    assert rejected.reason == "warehouse w-9 has never received bolt: 2 needed, 0 available"
    assert stocked.sent == []


def test_orders_in_one_batch_see_what_the_ones_before_them_took(stocked: ServiceTestDriver) -> None:
    stocked.receive(
        fulfil_order(order_id="o-1", lines=lines(bolt=6)),
        fulfil_order(order_id="o-2", lines=lines(bolt=6)),
        fulfil_order(order_id="o-3", lines=lines(bolt=4)),
    )

    answers = [
        type(event) for event in stocked.emitted if isinstance(event, ReservationConfirmed | ReservationRejected)
    ]
    assert answers == [ReservationConfirmed, ReservationRejected, ReservationConfirmed]
    assert bolts(stocked) == (0, 10, 0)


def test_releases_what_is_held_once(stocked: ServiceTestDriver) -> None:
    stocked.receive(fulfil_order())
    stocked.clear()

    stocked.receive(release_stock(), release_stock(attempt=2))

    fields = {"warehouse_id": "w-1", "order_id": "o-1", "sku": "bolt", "quantity": 2}
    assert stocked.outputs == [StockReleased(**fields, sequence=3), RELEASED, RELEASED]
    assert bolts(stocked) == (10, 0, 0)


def test_a_release_before_its_order_meets_the_late_order(stocked: ServiceTestDriver) -> None:
    """Rule 4: an undo without its command leaves a marker that the late command meets."""
    stocked.receive(release_stock(reason="timed out"))
    stocked.restart()
    stocked.receive(fulfil_order())

    closed = ReservationClosed(order_id="o-1", warehouse_id="w-1", reason="timed out", sequence=2)
    rejected = ReservationRejected(order_id="o-1", warehouse_id="w-1", reason="timed out")
    assert stocked.outputs == [closed, RELEASED, rejected]
    assert bolts(stocked) == (10, 0, 0)


def test_dispatches_what_is_held_once(stocked: ServiceTestDriver) -> None:
    stocked.receive(fulfil_order())
    stocked.clear()

    stocked.receive(DISPATCH, DISPATCH)

    fields = {"warehouse_id": "w-1", "order_id": "o-1", "sku": "bolt", "quantity": 2}
    assert stocked.outputs == [StockDispatched(**fields, sequence=3)]
    assert bolts(stocked) == (8, 0, 2)


@pytest.mark.parametrize(
    ("before", "command", "reason"),
    [
        ([], DISPATCH, "order_id: warehouse w-1 holds nothing for o-1"),
        ([fulfil_order(), DISPATCH], release_stock(), "order_id: the stock of o-1 has left warehouse w-1"),
    ],
)
def test_gives_up_what_can_never_be_done(
    stocked: ServiceTestDriver, before: list[Message], command: Message, reason: str
) -> None:
    stocked.receive(*before)
    stocked.clear()

    stocked.receive(command)

    assert reasons(stocked) == [reason]
    assert [type(event) for event in stocked.emitted] == [CommandFailed]


def test_gives_up_a_receipt_beyond_what_can_be_counted(stocked: ServiceTestDriver) -> None:
    full = StockLevel(warehouse_id="w-1", sku="bolt", on_hand=MOST_STOCK)
    snapshot = stocked.service.changelogs[0].name
    partition = stocked.process.partition_of(b"w-1")
    stocked.given_records([StoredRecord(snapshot, partition, 0, b"w-1/stock/bolt", encoder_for(StockLevel)(full))])

    stocked.receive(receive_stock(quantity=1))

    assert stocked.outputs == []
    assert reasons(stocked)[0].startswith("quantity: warehouse w-1 would have received")
    assert dict(stocked.dead_letters[0].headers())["__streams.errors.exception"] == b"RejectedInput"


def test_nothing_is_left_of_a_reservation_whose_commit_did_not_happen(stocked: ServiceTestDriver) -> None:
    stocked.crash(fulfil_order())

    assert stocked.outputs == []
    assert bolts(stocked) == (10, 0, 0)


def test_goes_on_from_a_ledger_that_others_find_in_the_log(driver: ServiceTestDriver) -> None:
    driver.given(StockReceived(warehouse_id="w-1", sequence=1, sku="bolt", quantity=2, receipt_id="r-1"))

    driver.receive(fulfil_order())

    assert CONFIRMED in driver.emitted
    assert bolts(driver) == (0, 2, 0)


# -- rebuild_state ------------------------------------------------------------------------------------------------

COMMANDS = st.one_of(
    st.builds(lambda sku, n: receive_stock(sku=sku, quantity=n), st.sampled_from(["bolt", "nut"]), st.integers(1, 9)),
    st.builds(
        lambda order, bolt, nut: fulfil_order(order_id=order, lines=lines(bolt=bolt, nut=nut)),
        st.sampled_from(["o-1", "o-2", "o-3"]),
        st.integers(1, 6),
        st.integers(1, 6),
    ),
    st.sampled_from(["o-1", "o-2", "o-3"]).map(lambda order: release_stock(order_id=order)),
    st.sampled_from(["o-1", "o-2"]).map(lambda order: DispatchStock(order_id=order, warehouse_id="w-1")),
)


@settings(max_examples=40)
@given(commands=st.lists(COMMANDS, max_size=20), restart_after=st.integers(0, 20))
def test_snapshot_and_rest_of_the_ledger_are_the_fold_of_all_facts(commands: list[Message], restart_after: int) -> None:
    driver = ServiceTestDriver(inventory_service(snapshot_every=3))
    for number, command in enumerate(commands):
        if number == restart_after:
            driver.restart()
        driver.receive(command)
    live = contents(driver.aggregate(Warehouse, "w-1"))
    driver.restart()

    contents_now = contents(rebuild_state("w-1", ledger(driver)))
    assert live == contents_now
    assert contents(driver.aggregate(Warehouse, "w-1")) == contents_now


def test_what_a_snapshot_holds_is_not_folded_again() -> None:
    driver = ServiceTestDriver(inventory_service(snapshot_every=2))
    driver.receive(receive_stock(quantity=1), receive_stock(quantity=1))
    driver.receive(receive_stock(quantity=1))

    other = StockReceived(warehouse_id="w-1", sequence=1, sku="bolt", quantity=900, receipt_id="other")
    driver.log = [
        replace(record, raw_value=encoder_for(StockReceived)(other)) if is_first_fact(record) else record
        for record in driver.log
    ]
    driver.restart()

    assert bolts(driver) == (3, 0, 0)


def contents(warehouse: Warehouse) -> tuple[Any, ...]:
    """A warehouse as plain values."""
    return warehouse.key, warehouse.sequence, dict(warehouse.stock), dict(warehouse.reservations)


def ledger(driver: ServiceTestDriver) -> list[Fact]:
    readers: dict[bytes, Callable[[bytes], Any]] = {}
    for fact in INVENTORY_LEDGER.messages:
        readers |= decoders_for(fact)
    values = [record.raw_value for record in driver.records("inventory.ledger") if record.raw_value]
    return [readers[value[:5]](value) for value in values]


def is_first_fact(record: StoredRecord) -> bool:
    return (record.at_topic, record.at_offset) == ("inventory.ledger", 0)
