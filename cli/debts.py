"""What an order still owes, for people and for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from backoffice.currencies import money
from contracts import OrderState
from services.orchestrator.domain import ChargeOwed, Debt, ShipmentOwed, StepOwed, StockOwed, owed


def debts_of(state: Mapping[str, Any]) -> tuple[Debt, ...]:
    """Return the debts of a decoded OrderState; if this release cannot read it in full, the names of its steps."""
    if not state.get("owed"):
        return ()
    try:
        return owed(OrderState.model_validate(dict(state)))
    except ValidationError:
        return tuple(StepOwed(step) for step in state["owed"])


def document(debt: Debt) -> dict[str, Any]:
    """Return kind and fields for JSON."""
    fields = asdict(debt)
    if isinstance(debt, StockOwed):
        fields["lines"] = [line.model_dump() for line in debt.lines]
    return {"kind": type(debt).__name__.removesuffix("Owed").lower(), **fields}


def in_words(debt: Debt) -> str:
    """Return what has to be done manually, and whether it may be unnecessary."""
    match debt:
        case ChargeOwed(amount, currency, charge_id):
            return _unless_certain(f"refund {money(amount, currency)}{_of('charge', charge_id)}", debt.is_certain)
        case StockOwed(warehouse_id, lines):
            goods = ", ".join(f"{line.quantity} {line.sku}" for line in lines)
            return _unless_certain(f"release {goods} in warehouse {warehouse_id}", debt.is_certain)
        case ShipmentOwed(shipment_id):
            return _unless_certain(f"cancel the shipment{_of('id', shipment_id)}", debt.is_certain)
        case StepOwed(step):
            return f"undo {step}"


def _of(what: str, name: str | None) -> str:
    return f" ({what} {name})" if name else ""


def _unless_certain(text: str, is_certain: bool) -> str:  # noqa: FBT001  read right above
    return text if is_certain else f"{text}, if it happened: nobody has said"
