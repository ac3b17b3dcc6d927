"""Spells the default of a field as JSON, the way its Avro type wants it, or refuses one that does not fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from enum import Enum
from functools import partial
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

MOST_DIGITS: Final = 4_000
"""Of a decimal."""
EXACT: Final = Context(prec=MOST_DIGITS + 1_000)
"""Computes with decimals without rounding."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FIRST_MICROS: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
_LAST_MICROS: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
Definitions = Mapping[str, Any]
"""The schemas of named types, by name."""


def default_json(value: Any, avro: Any, definitions: Definitions) -> Any:
    """Return a default as JSON. Raises TypeError or ValueError if it does not fit the Avro type."""
    match avro:
        case str() if avro in definitions:
            return default_json(value, definitions[avro], definitions)
        case [first, *_]:  # the default of a union is one of its first type
            return None if first == "null" and value is None else default_json(value, first, definitions)
        case {"type": "array", "items": items} if isinstance(value, tuple):
            return [default_json(item, items, definitions) for item in value]
        case {"type": "map", "values": values} if isinstance(value, Mapping):
            return {str(key): default_json(item, values, definitions) for key, item in value.items()}
        case {"type": "record", "fields": fields} if isinstance(value, BaseModel):
            return {f["name"]: default_json(getattr(value, f["name"]), f["type"], definitions) for f in fields}
    return _scalar_json(value, avro if isinstance(avro, dict) else {"type": avro})


def _scalar_json(value: Any, avro: Mapping[str, Any]) -> Any:
    kind, convert = _SCALARS.get(avro.get("logicalType") or avro["type"], (_Nothing, _unchanged))
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{value!r} is no {kind}")
    return convert(value, avro)


class _Nothing:
    """The type of no value: a default of a list, a map or a record was handled, or is of another type."""


def _unchanged(value: Any, _: Mapping[str, Any]) -> Any:
    return value


def _whole(value: int, _: Mapping[str, Any], bits: int) -> int:
    if not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise ValueError(f"{value} has more than {bits} bits")
    return value


def _finite(value: float, _: Mapping[str, Any]) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number in JSON")
    return float(value)


def _characters(value: bytes, avro: Mapping[str, Any]) -> str:
    """Return bytes as Avro spells them in JSON: each as the character of its code."""
    if len(value) != avro.get("size", len(value)):
        raise ValueError(f"{len(value)} bytes are not {avro['size']}")
    return value.decode("latin-1")


def _symbol(value: Any, avro: Mapping[str, Any]) -> str:
    symbol = value.value if isinstance(value, Enum) else value
    if symbol not in avro["symbols"]:
        raise ValueError(f"{symbol} is no symbol")
    return str(symbol)


def _micros(value: datetime, _: Mapping[str, Any]) -> int:
    return micros_since_epoch(value)


def micros_since_epoch(value: datetime) -> int:
    """Return a moment as Avro counts it. Raises ValueError if it is none of the years 1 to 9999 in UTC."""
    micros = (value - _EPOCH) // timedelta(microseconds=1)
    if not _FIRST_MICROS <= micros <= _LAST_MICROS:
        raise ValueError(f"{value} is none of the years 1 to 9999 in UTC")
    return micros


def _days(value: date, _: Mapping[str, Any]) -> int:
    return (value - _EPOCH.date()).days


def _micros_of_day(value: time, _: Mapping[str, Any]) -> int:
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


def _unscaled(value: Decimal, avro: Mapping[str, Any]) -> str:
    """Return a decimal as the bytes of the whole number that it is without its point."""
    return unscaled_bytes(value, avro["precision"], avro["scale"]).decode("latin-1")


def unscaled_bytes(value: Decimal, precision: int, scale: int) -> bytes:
    """Return the whole number that a decimal is without its point, in two's complement.

    Raises ValueError if it has more digits.
    """
    number = int(EXACT.scaleb(value, scale)) if value.is_finite() else 0
    if EXACT.scaleb(Decimal(number), -scale) != value or len(str(abs(number))) > precision:
        raise ValueError(f"{value} has no room in {precision} digits, {scale} of them behind the point")
    return number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True)


_SCALARS: Final[dict[str, tuple[type, Callable[[Any, Mapping[str, Any]], Any]]]] = {
    "boolean": (bool, _unchanged),
    "string": (str, _unchanged),
    "int": (int, partial(_whole, bits=32)),
    "long": (int, partial(_whole, bits=64)),
    "double": (float, _finite),
    "bytes": (bytes, _characters),
    "fixed": (bytes, _characters),
    "enum": (str, _symbol),
    "timestamp-millis": (int, partial(_whole, bits=64)),
    "timestamp-micros": (datetime, _micros),
    "date": (date, _days),
    "time-micros": (time, _micros_of_day),
    "uuid": (UUID, lambda value, _: str(value)),
    "decimal": (Decimal, _unscaled),
}
