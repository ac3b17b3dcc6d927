"""What a message says, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backoffice.currencies import money
from ensemble.clock import duration
from ensemble.quantities import quantity

_SILENT = {"order_id", "attempt", "expires_at", "placed_at", "currency", "payment_token", "customer_id", "sequence",
           "command_id", "receipt_id", "command_attempt", "lines", "amount",
           "operation_id", "after_attempt"}  # fmt: skip
_PLAIN = {"reason", "error", "message", "sku", "shipping_speed", "shipment_id", "charge_id"}
_PREFIXES = {"requested_by": "by", "paused_by": "by", "resumed_by": "by", "warehouse_id": "warehouse"}


def details(fields: Mapping[str, Any], currency: str = "") -> str:
    """Return the fields that tell a message from another of its type. `currency` is of amounts that name none."""
    if {"command", "error", "attempts"} <= fields.keys():
        attempts = quantity(fields["attempts"], "attempt")
        failed = f"{fields['command']} after {attempts}: {fields['error']}: {fields['message']}"
        disposition = fields.get("disposition", "dead_letter")
        return failed if disposition == "dead_letter" else f"{failed} ({disposition})"
    parts = [goods(fields["lines"])] if "lines" in fields else []
    if "amount" in fields:
        parts.append(money(fields["amount"], fields.get("currency", currency)))
    elif "lines" in fields and "currency" in fields:
        parts.append(money(total(fields["lines"]), fields["currency"]))
    if fields.get("attempt", 1) > 1:
        parts.append(f"attempt {fields['attempt']}")
    parts += [_field_text(name, value) for name, value in fields.items() if name not in _SILENT and _has_text(value)]
    return ", ".join(parts)


def goods(lines: list[dict[str, Any]]) -> str:
    """Return `1 grinder, 2 beans-1kg` and how many more lines there are."""
    shown = ", ".join(f"{line['quantity']} {line['sku']}" for line in lines[:3])
    return shown + (f" and {len(lines) - 3} more" if len(lines) > 3 else "")  # noqa: PLR2004  what fits on a line


def total(lines: list[dict[str, Any]]) -> int:
    """Return the price of the lines in minor units."""
    return sum(int(line["quantity"]) * int(line["unit_price"]) for line in lines)


def _has_text(value: Any) -> bool:
    return value is not None and value is not False and value != ""


def _field_text(name: str, value: Any) -> str:
    match name:
        case _ if name in _PLAIN:
            return str(value)
        case "paused_ms":
            return f"after {duration(value)}"
        case "owed" | "steps":
            return f"{name} {', '.join(value)}"
        case "quantity":
            return "1 piece" if value == 1 else f"{value} pieces"
        case _:
            return f"{_PREFIXES.get(name, name.replace('_', ' '))} {value}".removesuffix(" True")
