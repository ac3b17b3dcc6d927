"""What an order still owes, for JSON."""

from __future__ import annotations

from typing import Any

from backoffice.debts import Debt


def document(debt: Debt) -> dict[str, Any]:
    """Return kind and fields for JSON."""
    fields = debt.model_dump()
    total = fields.pop("total", {})
    return {**fields, **total}
