"""What an order owes: what its steps have taken, or may have taken, and nobody has given back, freed or cancelled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from contracts import Charge, OrderState, OrderTerms, total_of
from ensemble.operations import Money, Result


class ChargeOwed(Result):
    """Money taken and not given back. Not certain: payment never confirmed that it was taken."""

    kind: Literal["charge"] = "charge"
    total: Money
    charge_id: str | None
    is_certain: bool


class StockLine(Result):
    """Pieces of one sku."""

    sku: str
    quantity: int


class StockOwed(Result):
    """Pieces that a warehouse holds for the order. Not certain: inventory never confirmed that it does."""

    kind: Literal["stock"] = "stock"
    warehouse_id: str
    lines: tuple[StockLine, ...]
    is_certain: bool


class ShipmentOwed(Result):
    """A shipment that was booked. Not certain: shipping never confirmed that it was."""

    kind: Literal["shipment"] = "shipment"
    shipment_id: str | None
    is_certain: bool


class StepOwed(Result):
    """What any other step has left to undo."""

    kind: Literal["step"] = "step"
    step: str


Debt = Annotated[ChargeOwed | StockOwed | ShipmentOwed | StepOwed, Field(discriminator="kind")]


def debts_of(state: Mapping[str, Any], steps: Iterable[str] | None = None) -> tuple[Debt, ...]:
    """Return the debts of a decoded OrderState: those of these steps, by default of all that it owes.

    If this release cannot read the state in full they are the names of the steps.
    """
    steps = tuple(state.get("owed") or () if steps is None else steps)
    if not steps:
        return ()
    try:
        return debts(OrderState.model_validate(dict(state)), steps)
    except ValidationError:
        return tuple(StepOwed(step=step) for step in steps)


def debts(state: OrderState, steps: Iterable[str]) -> tuple[Debt, ...]:
    """Return what these steps have taken, or may have taken. A charge of nothing is no debt."""
    of_steps = (_debt(state, step) for step in steps)
    return tuple(debt for debt in of_steps if not isinstance(debt, ChargeOwed) or debt.total.amount)


def _debt(state: OrderState, step: str) -> Debt:
    is_certain = step in state.done
    match step, state.order:
        case "payment", OrderTerms() as order:
            charge = state.charge or Charge(amount=total_of(order.lines), currency=order.currency)
            total = Money(amount=charge.amount, currency=charge.currency)
            return ChargeOwed(total=total, charge_id=charge.charge_id, is_certain=is_certain)
        case "reservation", OrderTerms() as order:
            lines = tuple(StockLine(sku=line.sku, quantity=line.quantity) for line in order.lines)
            return StockOwed(warehouse_id=order.warehouse_id, lines=lines, is_certain=is_certain)
        case "shipment", _:
            return ShipmentOwed(shipment_id=state.shipment_id, is_certain=is_certain)
        case _:
            return StepOwed(step=step)
