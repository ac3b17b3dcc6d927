"""Exactly what is owed when an undo was given up, and what the events said about it."""

from __future__ import annotations

from backoffice.debts import ChargeOwed, Debt, ShipmentOwed, StockLine, StockOwed, debts, debts_of
from contracts import OrderState, PaymentConfirmed
from ensemble.operations import Money
from services.orchestrator.domain import note
from tests.support.order_saga_driver import PAID, PLACED, RESERVED, SCHEDULED

TEA = (StockLine(sku="tea", quantity=2),)
EVERYTHING = ("shipment", "reservation", "payment")


def state(*events: object, owing: tuple[str, ...] = (), done: tuple[str, ...] = ()) -> OrderState:
    state_now = note(OrderState(order_id="o-1"), PLACED, "m-1")
    for event in events:
        state_now = note(state_now, event, "m-2")
    return state_now.model_copy(update={"owed": owing, "done": done})


def charge(charge_id: str | None, *, is_certain: bool) -> ChargeOwed:
    return ChargeOwed(total=Money(amount=900, currency="EUR"), charge_id=charge_id, is_certain=is_certain)


def owed(state: OrderState) -> tuple[Debt, ...]:
    return debts_of(state.model_dump())


def test_names_charge_stock_and_shipment() -> None:
    order = state(PAID, RESERVED, SCHEDULED, owing=EVERYTHING, done=("payment", "reservation", "shipment"))
    assert owed(order) == (
        ShipmentOwed(shipment_id="s-1", is_certain=True),
        StockOwed(warehouse_id="berlin", lines=TEA, is_certain=True),
        charge("ch-1", is_certain=True),
    )


def test_what_was_taken_first_is_owed_whatever_is_told_later() -> None:
    again = PAID.model_copy(update={"amount": 1, "charge_id": "ch-2"})
    assert owed(state(PAID, again, owing=("payment",), done=("payment",))) == (charge("ch-1", is_certain=True),)


def test_what_was_never_answered_may_be_owed() -> None:
    assert owed(state(owing=EVERYTHING)) == (
        ShipmentOwed(shipment_id=None, is_certain=False),
        StockOwed(warehouse_id="berlin", lines=TEA, is_certain=False),
        charge(None, is_certain=False),
    )


def test_nothing_is_owed_where_no_undo_was_given_up() -> None:
    assert owed(state(PAID)) == ()


def test_an_order_that_cost_nothing_owes_no_money() -> None:
    free = PaymentConfirmed(order_id="o-1", amount=0, currency="EUR")
    assert owed(state(free, owing=("payment",))) == ()


def test_shows_what_an_undo_would_give_back() -> None:
    assert debts(state(PAID, done=("payment",)), ("payment",)) == (charge("ch-1", is_certain=True),)
