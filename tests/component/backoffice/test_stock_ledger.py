"""The ledger of stock, read backwards a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from backoffice.stock_ledger import LedgerEntry, LedgerFilter, read_ledger
from contracts import ReceiveStock
from ensemble.command_line.connection import sources
from ensemble.command_line.publishing import publish
from ensemble.operations import Invalid, Session
from services.app import APP
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order

ALL = LedgerFilter()


@pytest.fixture
def session() -> Iterator[Session]:
    """Two orders that took a piece each, one of which had to give it back."""
    with capture_logs():
        flow: Any = FlowInMemory()
        publish(flow, place_order(order_id="o-1"))
        publish(flow, ReceiveStock(warehouse_id="lisbon", sku="grinder", quantity=25))
        publish(flow, place_order(order_id="o-2"))
        flow.settle()
        yield Session(APP, flow, sources())


def test_says_what_moved_and_for_which_order_the_latest_first(session: Session) -> None:
    entries = read_ledger(session, LedgerFilter(order_id="o-2"), 10).entries

    assert [entry.fact for entry in entries][-1] == "StockReserved"
    assert {(entry.warehouse, entry.order_id) for entry in entries} == {("w-1", "o-2")}
    assert entries == tuple(sorted(entries, key=lambda entry: entry.position.offset, reverse=True))


def test_pages_have_every_fact_once(session: Session) -> None:
    everything = read_ledger(session, ALL, 1_000).entries
    seen, cursor = list[LedgerEntry](), None
    while True:
        page = read_ledger(session, ALL, 2, cursor)
        seen += page.entries
        if (cursor := page.next) is None:
            break

    assert len(everything) > 4
    assert sorted(map(str, seen)) == sorted(map(str, everything))


def test_filters_by_warehouse_and_sku(session: Session) -> None:
    (entry,) = read_ledger(session, LedgerFilter(warehouse="lisbon", sku="grinder"), 10).entries

    assert (entry.fact, entry.quantity, entry.order_id) == ("StockReceived", 25, None)
    assert read_ledger(session, LedgerFilter(warehouse="nowhere"), 10).entries == ()


@pytest.mark.parametrize("cursor", ["x", "0:1", "0:" + "9" * 30])
def test_a_cursor_that_is_none_is_refused(session: Session, cursor: str) -> None:
    with pytest.raises(Invalid, match="is no place to go on from"):
        read_ledger(session, ALL, 10, cursor)
