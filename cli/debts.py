"""What an order still owes, for people and for JSON."""

from __future__ import annotations

from typing import Any

from backoffice.currencies import money
from backoffice.debts import ChargeOwed, Debt, ShipmentOwed, StepOwed, StockOwed


def document(debt: Debt) -> dict[str, Any]:
    """Return kind and fields for JSON."""
    fields = debt.model_dump()
    total = fields.pop("total", {})
    return {**fields, **total}


def in_words(debt: Debt) -> str:
    """Return what has to be done manually, and whether it may be unnecessary."""
    match debt:
        case ChargeOwed(total=total, charge_id=charge_id):
            text = f"refund {money(total.amount, total.currency)}{_of('charge', charge_id)}"
            return _unless_certain(text, debt.is_certain)
        case StockOwed(warehouse_id=warehouse_id, lines=lines):
            goods = ", ".join(f"{line.quantity} {line.sku}" for line in lines)
            return _unless_certain(f"release {goods} in warehouse {warehouse_id}", debt.is_certain)
        case ShipmentOwed(shipment_id=shipment_id):
            return _unless_certain(f"cancel the shipment{_of('id', shipment_id)}", debt.is_certain)
        case StepOwed(step=step):
            return f"undo {step}"


def _of(what: str, name: str | None) -> str:
    return f" ({what} {name})" if name else ""


def _unless_certain(text: str, is_certain: bool) -> str:  # noqa: FBT001  read right above
    return text if is_certain else f"{text}, if it happened: nobody has said"
