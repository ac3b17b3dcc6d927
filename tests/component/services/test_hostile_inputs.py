"""Records of strangers with odd keys, headers and values: each ends handled or as a dead letter, and others go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any, Final

import pytest

from contracts import OrderLine, OrderPlaced, ReceiveStock
from ensemble import Service
from ensemble.clock import ManualClock
from ensemble.messages import StoredRecord, encoder_for
from ensemble.messages.records import size_of
from ensemble.partitioning import partition_of
from ensemble.testing.driver import ServiceTestDriver
from services.inventory.service import inventory_service
from services.orchestrator.service import orchestrator
from services.order.service import order_service
from services.shipping.service import shipping_service
from tests.support.order_messages import order_placed

OFFSETS = count()
READERS: Final = (order_service, orchestrator, shipping_service)
DEAD_LETTER_BYTES: Final = 2_200_000
HEADERS: Final[dict[str, list[tuple[str, bytes | None]]]] = {
    "3 MB": [("note", b"h" * 3_000_000)],
    "a thousand": [(f"h{number}", b"v") for number in range(1_000)],
    "twice": [("ce_id", b"a"), ("ce_id", b"b"), ("ce_source", b"x"), ("ce_source", b"y")],
    "no text": [(name, b"\xff\xfe") for name in ("ce_id", "ce_source", "ce_correlationid", "traceparent")],
    "long and no text": [(name, b"\xff" * 128) for name in ("ce_id", "ce_source", "ce_correlationid")],
    "null": [(name, None) for name in ("ce_id", "ce_source", "ce_correlationid", "traceparent")],
    "empty": [(name, b"") for name in ("ce_id", "ce_source", "ce_correlationid", "traceparent", "")],
    "long": [("ce_id", b"i" * 100_000), ("ce_source", b"s" * 100_000), ("ce_correlationid", b"c" * 100_000)],
    "controls": [("ce_id", b"\x1b[31m\r\n\0"), ("ce_source", "\u202e\u200b".encode()), ("ce_correlationid", b"\n")],
    "forged report": [("__streams.errors.exception", b"X"), ("ensemble.value-length", b"1")],
}
WRONG: Final[dict[str, dict[str, Any]]] = {
    "ten thousand lines": {"lines": tuple(OrderLine(sku=f"s{n}", quantity=1, unit_price=1) for n in range(10_000))},
    "total too high": {"lines": (OrderLine(sku="s", quantity=1_000_000, unit_price=2**63 - 1),)},
    "quantity": {"lines": (OrderLine.model_construct(sku="s", quantity=2**31 - 1, unit_price=1),)},
    "no lines": {"lines": ()},
    "homoglyph": {"order_id": "\N{CYRILLIC SMALL LETTER O}-1"},
    "not seen": {"order_id": "o-1\N{ZERO WIDTH SPACE}"},
    "line break": {"order_id": "o-1\n"},
    "long id": {"order_id": "o" * 65},
    "wide letters": {"currency": "\N{FULLWIDTH LATIN CAPITAL LETTER E}UR"},
    "long token": {"payment_token": "t" * 1_000_000},
}


def placed(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes | None]]) -> StoredRecord:
    at = partition_of(key, order_service().partitions) if key else 0
    return StoredRecord("orders.events", at, next(OFFSETS), key, value, headers)


def encoded(**changes: Any) -> bytes:
    return encoder_for(OrderPlaced)(OrderPlaced.model_construct(**vars(order_placed()) | changes))


def run(make: Callable[[], Service], record: StoredRecord) -> ServiceTestDriver:
    """Receive the record, wait and restart; then another order has to go through, and each dead letter to fit."""
    driver = ServiceTestDriver(make(), ManualClock(1_800_000_000_000))
    driver.receive_records([record])
    driver.advance(40)  # all attempts are over by then
    driver.restart()
    driver.receive(order_placed(order_id="good"))
    assert all(size_of(letter) <= DEAD_LETTER_BYTES for letter in driver.dead_letters)
    assert b"good" not in {letter.key() for letter in driver.dead_letters}
    return driver


@pytest.mark.parametrize("make", READERS)
@pytest.mark.parametrize("name", HEADERS)
def test_whatever_its_headers_an_order_is_taken(make: Callable[[], Service], name: str) -> None:
    assert run(make, placed(b"o-1", encoded(), HEADERS[name])).dead_letters == []


@pytest.mark.parametrize("name", HEADERS)
def test_whatever_its_headers_a_delivery_is_taken(name: str) -> None:
    """One that is not taken would hold up its whole warehouse."""
    driver = ServiceTestDriver(inventory_service())
    sent = driver.record_of(ReceiveStock(warehouse_id="w-1", sku="bolt", quantity=1), "")
    driver.receive_records([replace(sent, raw_headers=HEADERS[name])])
    assert (driver.dead_letters, driver.parked("w-1")) == ([], None)


@pytest.mark.parametrize("make", READERS)
@pytest.mark.parametrize("name", WRONG)
def test_an_order_beyond_the_contract_is_a_dead_letter(make: Callable[[], Service], name: str) -> None:
    key = str(WRONG[name].get("order_id", "o-1")).encode()
    assert len(run(make, placed(key, encoded(**WRONG[name]), [])).dead_letters) == 1


@pytest.mark.parametrize("make", READERS)
@pytest.mark.parametrize("key", [None, b"", b"\xff\xfe", b"k" * 65_536, b"o-2"], ids=lambda key: repr(key)[:8])
def test_a_key_that_is_not_the_orders_is_a_dead_letter(make: Callable[[], Service], key: bytes | None) -> None:
    assert len(run(make, placed(key, encoded(), [])).dead_letters) == 1


@pytest.mark.parametrize("make", READERS)
@pytest.mark.parametrize(
    "value",
    [None, b"", b"\0", b"\0\0\0\0\0", b"\0\xff\xff\xff\xff", b"\0\x7f\xff\xff\xff1", b'{"order_id": "o-1"}'],
    ids=repr,
)
def test_a_value_that_is_no_message_is_a_dead_letter(make: Callable[[], Service], value: bytes | None) -> None:
    assert len(run(make, placed(b"o-1", value, [])).dead_letters) == 1
