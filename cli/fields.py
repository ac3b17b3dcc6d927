"""Messages of the order flow from what was typed: order lines as short flags, and examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cli.examples import example
from ensemble.command_line.errors import Mistake
from ensemble.command_line.fields import Fields
from ensemble.command_line.fields import from_flags as fields_from_flags
from ensemble.messages import Message

_LINE: Final = "--line"
_HINTS: Final = {"--lines": f"or give each line as {_LINE} SKU:QUANTITY:UNIT_PRICE"}


def from_flags(kind: type[Message], arguments: Sequence[str]) -> Fields:
    """Parse flags into fields; beside a flag for each field, `--line SKU:QUANTITY:UNIT_PRICE` adds an order line."""
    if "lines" not in kind.model_fields:
        return fields_from_flags(kind, arguments)
    lines, others = list[str](), list[str]()
    rest = list(arguments)
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if flag != _LINE:
            others += [flag + equals + value, *([rest.pop(0)] if rest and not equals else [])]
        elif not equals and not rest:
            raise Mistake(f"{flag}: missing value")
        else:
            lines.append(value if equals else rest.pop(0))
    fields = fields_from_flags(kind, others, _HINTS)
    return {**fields, "lines": [*fields.get("lines", ()), *map(parse_line, lines)]} if lines else fields


def parse_line(text: str) -> Fields:
    """Parse `SKU:QUANTITY` or `SKU:QUANTITY:UNIT_PRICE` (minor units) into an order line."""
    sku, _, rest = text.partition(":")
    quantity, _, price = rest.partition(":")
    try:
        return {"sku": sku, "quantity": int(quantity), "unit_price": int(price or 1_000)}
    except ValueError:
        raise Mistake(
            f"{_LINE} {text}: an order line is SKU:QUANTITY or SKU:QUANTITY:UNIT_PRICE, such as grinder:1:12900"
        ) from None


def fill(kind: type[Message], fields: Mapping[str, Any]) -> Fields:
    """Return an example of this type with the given fields."""
    return {**example(kind), **fields}
