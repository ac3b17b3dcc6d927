"""Stock in a view is what the facts of the ledger add up to, however they are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backoffice.stock import Stock, StockLevel, StockProjection
from contracts import ReservationClosed, StockDispatched, StockReceived, StockReleased, StockReserved
from contracts.catalogue import INVENTORY_LEDGER
from ensemble import Event
from ensemble.messages import encoder_for
from ensemble.messages.schema_set import DirectorySourceSelector
from ensemble.operations.view import View
from tests.support.topics_to_view import TopicsToView


def topics(part: int = 100) -> TopicsToView:
    return TopicsToView({INVENTORY_LEDGER.name: 1}, part)


def put(topics: TopicsToView, fact: Event) -> None:
    topics.append(INVENTORY_LEDGER.name, 0, b"w-1", encoder_for(type(fact))(fact))


def received(quantity: int, sku: str = "bolt", warehouse: str = "w-1") -> StockReceived:
    return StockReceived(warehouse_id=warehouse, sku=sku, quantity=quantity, sequence=1, receipt_id="r-1")


def moved(kind: Any, quantity: int) -> Event:
    fact: Event = kind(warehouse_id="w-1", sku="bolt", quantity=quantity, sequence=1, order_id="o-1")
    return fact


def levels(topics: TopicsToView, path: Path | None = None, chunk: int = 100) -> tuple[StockLevel, ...]:
    with View(topics, [StockProjection(DirectorySourceSelector())], path, chunk=chunk) as view:
        view.sync()
        return Stock(view).levels()


def test_each_fact_moves_pieces_and_the_sum_stays() -> None:
    shop = topics()
    for fact in (
        received(10), moved(StockReserved, 5), moved(StockReleased, 1), moved(StockDispatched, 3), received(2, "nut"),
        received(1, warehouse="w-2"),
    ):  # fmt: skip
        put(shop, fact)
    with View(shop, [StockProjection(DirectorySourceSelector())]) as view:
        view.sync()
        stock = Stock(view)
        [bolt] = stock.levels("w-1", "bolt")
        assert (bolt.received, bolt.on_hand, bolt.reserved, bolt.dispatched) == (10, 6, 1, 3)
        assert [level.sku for level in stock.levels("w-1")] == ["bolt", "nut"]
        assert [level.warehouse for level in stock.levels(sku="bolt")] == ["w-1", "w-2"]


def test_what_moves_nothing_and_what_cannot_be_read_leaves_the_stock_as_it_is() -> None:
    shop = topics()
    put(shop, received(1))
    put(shop, ReservationClosed(warehouse_id="w-1", order_id="o-1", sequence=2, reason="sold out"))
    shop.append(INVENTORY_LEDGER.name, 0, b"w-1", b"nonsense")
    shop.append(INVENTORY_LEDGER.name, 0, b"w-1", None)
    assert [level.on_hand for level in levels(shop)] == [1]


@given(
    parts=st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9)), max_size=9), min_size=1, max_size=3),
    part=st.integers(1, 4),
    chunk=st.integers(1, 4),
)
def test_however_it_is_read_no_fact_counts_twice(
    tmp_path_factory: object, *, parts: list[list[tuple[int, int]]], part: int, chunk: int
) -> None:
    kinds = (StockReserved, StockReleased, StockDispatched)
    cut, whole, path = topics(part), topics(), tmp_path_factory.mktemp("view") / "view.db"  # type: ignore[attr-defined]  # pytest's
    result: tuple[StockLevel, ...] = ()
    for facts in parts:
        for kind, quantity in facts:
            for shop in (cut, whole):
                put(shop, received(quantity) if kind == 3 else moved(kinds[kind], quantity))
        result = levels(cut, path, chunk)
    assert result == levels(whole)
