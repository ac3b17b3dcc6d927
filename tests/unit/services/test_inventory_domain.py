"""The warehouse's rules: all lines or none, never below zero, and one answer for each order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import (
    DispatchStock,
    OrderLine,
    Reservation,
    ReservationClosed,
    StockDispatched,
    StockLevel,
    StockReceived,
    StockReleased,
    StockReserved,
)
from services.inventory.domain import (
    MOST_STOCK,
    Fact,
    Impossible,
    Recorded,
    Refused,
    Reserved,
    Warehouse,
    rebuild_state,
)
from tests.support.order_messages import FAR_OFF, fulfil_order, lines, receive_stock, release_stock

DISPATCH = DispatchStock(order_id="o-1", warehouse_id="w-1")


def received(sku: str, quantity: int, sequence: int = 1) -> StockReceived:
    return StockReceived(warehouse_id="w-1", sequence=sequence, sku=sku, quantity=quantity, receipt_id=f"r-{sequence}")


def stocked(**quantities: int) -> list[Fact]:
    """The ledger after these pieces have arrived."""
    return [received(sku, count, number) for number, (sku, count) in enumerate(quantities.items(), start=1)]


def after(facts: Iterable[Fact]) -> Warehouse:
    return rebuild_state("w-1", facts)


def facts_of(outcome: Reserved | Refused | Recorded | Impossible) -> Sequence[Fact]:
    return () if isinstance(outcome, Impossible) else outcome.facts


def level(on_hand: int = 0, reserved: int = 0, dispatched: int = 0) -> StockLevel:
    return StockLevel(warehouse_id="w-1", sku="bolt", on_hand=on_hand, reserved=reserved, dispatched=dispatched)


def test_what_is_held_for_an_order_ends_line_by_line() -> None:
    goods = stocked(bolt=9, nut=9, cog=9)
    held = facts_of(after(goods).reserve(fulfil_order(lines=lines(bolt=1, nut=2, cog=3)), 0))
    first, *_ = facts_of(after([*goods, *held]).release(release_stock()))
    reservation = after([*goods, *held, first]).reservations["o-1"]
    assert [(line.sku, line.quantity) for line in reservation.lines] == [("nut", 2), ("cog", 3)]


def test_reserves_one_fact_a_line_numbered_on_from_the_last() -> None:
    outcome = after(stocked(bolt=5, nut=5)).reserve(fulfil_order(lines=lines(bolt=2, nut=3)), now=0)

    fields = {"warehouse_id": "w-1", "order_id": "o-1"}
    assert outcome == Reserved(
        (
            StockReserved(**fields, sequence=3, sku="bolt", quantity=2),
            StockReserved(**fields, sequence=4, sku="nut", quantity=3),
        )
    )


def test_holds_nothing_when_one_line_is_short() -> None:
    outcome = after(stocked(bolt=5, nut=1)).reserve(fulfil_order(lines=lines(bolt=2, nut=3)), now=0)

    assert isinstance(outcome, Refused)
    assert outcome.reason == "nut: 3 needed, 1 available"
    assert [type(fact) for fact in outcome.facts] == [ReservationClosed]


def test_counts_lines_of_one_sku_together() -> None:
    outcome = after(stocked(bolt=5)).reserve(fulfil_order(lines=(*lines(bolt=3), *lines(bolt=3))), now=0)

    assert isinstance(outcome, Refused)
    assert outcome.reason == "bolt: 6 needed, 5 available"


def test_reserves_the_very_last_piece_in_two_lines() -> None:
    twice = fulfil_order(lines=(*lines(bolt=3), *lines(bolt=2)))

    warehouse = after([*stocked(bolt=5), *facts_of(after(stocked(bolt=5)).reserve(twice, now=0))])

    assert warehouse.stock["bolt"] == level(on_hand=0, reserved=5)
    assert len(warehouse.reservations["o-1"].lines) == 2


def test_names_everything_that_is_missing() -> None:
    outcome = after(stocked(bolt=1)).reserve(fulfil_order(lines=lines(bolt=2, gear=1)), now=0)

    assert isinstance(outcome, Refused)
    assert outcome.reason == "bolt: 2 needed, 1 available; warehouse w-1 has never received gear: 1 needed, 0 available"


def test_an_unknown_warehouse_is_said_to_have_received_nothing() -> None:
    outcome = after([]).reserve(fulfil_order(), now=0)

    assert isinstance(outcome, Refused)
    assert outcome.reason == "warehouse w-1 has never received bolt: 2 needed, 0 available"


def test_a_command_is_too_old_from_the_moment_it_expires() -> None:
    warehouse = after(stocked(bolt=5))

    assert isinstance(warehouse.reserve(fulfil_order(expires_at=10), now=9), Reserved)
    refused = warehouse.reserve(fulfil_order(expires_at=10), now=10)
    assert isinstance(refused, Refused)
    assert "expired" in refused.reason


def test_what_was_refused_stays_refused_whatever_arrives() -> None:
    refused = after([]).reserve(fulfil_order(), now=0)
    warehouse = after([*facts_of(refused), received("bolt", 100, sequence=2)])

    assert isinstance(refused, Refused)
    assert warehouse.reserve(fulfil_order(), now=0) == Refused(refused.reason)


def test_what_is_held_is_confirmed_again_even_when_expired() -> None:
    reserved_stock = after([*stocked(bolt=5), *facts_of(after(stocked(bolt=5)).reserve(fulfil_order(), now=0))])

    assert reserved_stock.reserve(fulfil_order(expires_at=1), now=FAR_OFF) == Reserved(())


def test_released_stock_is_on_hand_again_and_the_order_closed() -> None:
    ledger = reserved_ledger()
    ledger += facts_of(after(ledger).release(release_stock()))

    assert isinstance(ledger[-1], StockReleased)
    assert after(ledger).stock["bolt"] == level(on_hand=5)
    assert after(ledger).reservations["o-1"].lines == ()
    assert after(ledger).release(release_stock()) == Recorded(())
    assert after(ledger).reserve(fulfil_order(), now=0) == Refused("released")


def test_a_release_before_its_order_closes_it() -> None:
    ledger = stocked(bolt=5)
    ledger += facts_of(after(ledger).release(release_stock(reason="customer")))

    assert after(ledger).reserve(fulfil_order(), now=0) == Refused("customer")
    assert after(ledger).stock["bolt"] == level(on_hand=5)
    assert after(ledger).release(release_stock()) == Recorded(()), "the ledger is kept for ever"


def test_dispatched_stock_has_left() -> None:
    ledger = reserved_ledger()
    ledger += facts_of(after(ledger).dispatch(DISPATCH))

    assert isinstance(ledger[-1], StockDispatched)
    assert after(ledger).stock["bolt"] == level(on_hand=3, dispatched=2)
    assert after(ledger).dispatch(DISPATCH) == Recorded(())
    assert after(ledger).reserve(fulfil_order(), now=0) == Reserved(())
    assert isinstance(after(ledger).release(release_stock()), Impossible)


def test_nothing_leaves_that_is_not_held() -> None:
    assert after(stocked(bolt=5)).dispatch(DISPATCH) == Impossible("order_id: warehouse w-1 holds nothing for o-1")


def test_a_warehouse_never_receives_more_than_it_can_count() -> None:
    full = Warehouse("w-1", 1, {"bolt": level(on_hand=MOST_STOCK - 20, reserved=5, dispatched=5)})

    assert isinstance(full.receive(receive_stock(quantity=10), "r-1"), Recorded)
    refused = full.receive(receive_stock(quantity=11), "r-1")
    assert isinstance(refused, Impossible)
    assert refused.reason.startswith("quantity: warehouse w-1 would have received 1000000000000001 of bolt")


def test_a_fact_that_would_make_stock_negative_is_no_stock_at_all() -> None:
    with pytest.raises(ValueError, match="on_hand"):
        after([StockReserved(warehouse_id="w-1", sequence=1, order_id="o-1", sku="bolt", quantity=1)])


def reserved_ledger() -> list[Fact]:
    """Five bolts arrived, two of them are held for o-1."""
    return [*stocked(bolt=5), *facts_of(after(stocked(bolt=5)).reserve(fulfil_order(), now=0))]


# -- any sequence of commands -------------------------------------------------------------------------------------

Decision = Callable[[Warehouse], Sequence[Fact]]
ORDERS, SKUS = st.sampled_from(["o-1", "o-2", "o-3"]), st.sampled_from(["bolt", "nut"])


def deciding(method: str, command: Any, *more: Any) -> Decision:
    return lambda warehouse: facts_of(getattr(warehouse, method)(command, *more))


ORDER_LINES = st.lists(st.builds(OrderLine, sku=SKUS, quantity=st.integers(1, 6), unit_price=st.just(1)), min_size=1)
DECISIONS = st.one_of(
    st.builds(lambda sku, n: deciding("receive", receive_stock(sku=sku, quantity=n), "r"), SKUS, st.integers(1, 9)),
    st.builds(
        lambda order, held, now: deciding("reserve", fulfil_order(order_id=order, lines=held[:5], expires_at=5), now),
        ORDERS,
        ORDER_LINES,
        st.integers(0, 5),
    ),
    ORDERS.map(lambda order: deciding("release", release_stock(order_id=order))),
    ORDERS.map(lambda order: deciding("dispatch", DispatchStock(order_id=order, warehouse_id="w-1"))),
)


@given(st.lists(DECISIONS, max_size=30))
def test_stock_is_conserved_and_never_negative(decisions: list[Decision]) -> None:
    ledger: list[Fact] = []
    for decide in decisions:
        ledger += decide(after(ledger))

    assert_conserved(after(ledger), ledger)


@given(st.lists(DECISIONS, max_size=15))
def test_an_order_is_held_whole_or_not_at_all(decisions: list[Decision]) -> None:
    warehouse, ledger = after([]), list[Fact]()
    for decide in decisions:
        ledger += decide(warehouse)
        warehouse = after(ledger)

        for reservation in warehouse.reservations.values():
            assert bool(reservation.lines) == (reservation.status == "reserved")
        assert reserved_quantities(warehouse.reservations.values()) == {
            s: v.reserved for s, v in warehouse.stock.items() if v.reserved
        }


def assert_conserved(warehouse: Warehouse, ledger: list[Fact]) -> None:
    arrived: Counter[str] = Counter()
    for fact in ledger:
        if isinstance(fact, StockReceived):
            arrived[fact.sku] += fact.quantity
    levels = warehouse.stock.items()
    assert {sku: each.on_hand + each.reserved + each.dispatched for sku, each in levels} == arrived
    assert [fact.sequence for fact in ledger] == list(range(1, len(ledger) + 1))


def reserved_quantities(reservations: Iterable[Reservation]) -> dict[str, int]:
    """Pieces by sku, as the reservations have them."""
    pieces: Counter[str] = Counter()
    for reservation in reservations:
        for line in reservation.lines:
            pieces[line.sku] += line.quantity
    return pieces
