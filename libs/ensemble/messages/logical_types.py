"""Decimals, moments, dates, times of day and UUIDs: what stands between their Python values and Avro's bytes.

Millis stay integers: `timestamp-millis` is dropped from a schema before a codec sees it. Decimals, moments and times of
day are registered with fastavro under names of our own, which no schema has: fastavro's decimal takes minutes for a
hostile record of a megabyte, its moment may be one that no reader has a year for, its time of day forgets a zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, time
from decimal import Decimal
from typing import Any, Final

from fastavro import read, write

from ensemble.errors import ConfigurationError
from ensemble.messages.avro_defaults import EXACT, MOST_DIGITS, micros_since_epoch, unscaled_bytes
from ensemble.messages.avro_types import Schema
from ensemble.messages.schema_set import nodes_of

_BASES: Final = {
    "decimal": "bytes",
    "timestamp-micros": "long",
    "date": "int",
    "time-micros": "long",
    "uuid": "string",
}
"""The logical types whose values are objects of Python, with the types below them."""
_ALSO_READ: Final = {"timestamp-micros": "timestamp-millis"}
"""By the logical type of a class: another that is read as the same kind of value."""
_OWN_NAMES: Final = {
    "decimal": "ensemble-decimal",
    "timestamp-micros": "ensemble-timestamp-micros",
    "time-micros": "ensemble-time-micros",
}


def has_values(schema: Any) -> bool:
    """Return whether a schema has a logical type whose values are objects of Python."""
    return any(node.get("logicalType") in _BASES for node in nodes_of(schema))


def with_values_of(writer: Schema, own: Schema) -> Schema:
    """Return the schema of a record's writer with the logical types that its reader's class has, and no others.

    So the class gets the values that its fields take. What the writer calls a plain number, text or bytes is taken for
    what the class says. Raises ConfigurationError if a field of the class cannot be read from what the writer has.
    """
    fields = {node["name"]: node["fields"] for node in nodes_of(own) if node.get("type") == "record"}
    types = {name: {entry["name"]: entry["type"] for entry in entries} for name, entries in fields.items()}
    aligned: Schema = _align(writer, own, types, str(own["name"]))
    return aligned


def with_all_values(schema: Any) -> Any:
    """Return a schema with the logical types that are read as objects of Python, and no others."""
    match schema:
        case {"logicalType": str(logical), "type": base} if _BASES.get(logical) == base and _is_sound(schema):
            return {**schema, "logicalType": _OWN_NAMES.get(logical, logical)}
        case dict():
            return {key: with_all_values(value) for key, value in schema.items() if key != "logicalType"}
        case list():
            return [with_all_values(item) for item in schema]
    return schema


def _is_sound(schema: Mapping[str, Any]) -> bool:
    if schema["logicalType"] != "decimal":
        return True
    match schema:
        case {"precision": int(precision), "scale": int(scale)}:
            return 0 <= scale <= precision <= MOST_DIGITS
    return False


def _align(writer: Any, own: Any, types: Mapping[str, Mapping[str, Any]], at: str) -> Any:
    if isinstance(own, list):
        own = next((branch for branch in own if branch != "null"), None)
    match writer:
        case list():
            return [branch if branch == "null" else _align(branch, own, types, at) for branch in writer]
        case {"type": "record", "name": name, "fields": fields}:
            own_types = types.get(name.rpartition(".")[2], {})
            aligned = [
                {**f, "type": _align(f["type"], own_types.get(f["name"]), types, f"{at}.{f['name']}")} for f in fields
            ]
            return {**writer, "fields": aligned}
        case {"type": ("array" | "map") as kind}:
            inner = "items" if kind == "array" else "values"
            own_inner = own.get(inner) if isinstance(own, dict) else None
            return {**writer, inner: _align(writer[inner], own_inner, types, at)}
        case {"type": dict() | list()}:
            return _align(writer["type"], own, types, at)
        case {"type": ("enum" | "fixed")}:
            return {key: value for key, value in writer.items() if key != "logicalType"}
    return _align_scalar(writer if isinstance(writer, dict) else {"type": writer}, own, at)


def _align_scalar(writer: Mapping[str, Any], own: Any, at: str) -> Any:
    logical = own.get("logicalType") if isinstance(own, dict) else None
    if logical not in _BASES:
        return writer["type"]
    if writer["type"] != _BASES[logical]:
        raise ConfigurationError(f"{at} is {writer['type']} there and {logical} here")
    written = writer.get("logicalType")
    if written is not None and written == _ALSO_READ.get(logical):
        return dict(writer)
    return {**(writer if written == logical else own), "logicalType": _OWN_NAMES.get(logical, logical)}


# -- what fastavro calls ----------------------------------------------------------------------------------------------


def _read_decimal(data: bytes, schema: Any, _: Any = None) -> Decimal:
    most = min(schema["precision"], MOST_DIGITS) // 2 + 8
    if len(data) > most:
        raise ValueError(f"{len(data)} bytes are more than a decimal of {schema['precision']} digits takes")
    return EXACT.scaleb(Decimal(int.from_bytes(data, "big", signed=True)), -schema["scale"])


def _write_decimal(value: Any, schema: Mapping[str, Any]) -> Any:
    if not isinstance(value, Decimal):
        return value
    return unscaled_bytes(value, schema["precision"], schema["scale"])


def _write_moment(value: Any, _: Mapping[str, Any]) -> Any:
    return micros_since_epoch(value) if isinstance(value, datetime) else value


def _write_time(value: Any, schema: dict[Any, Any]) -> Any:
    if isinstance(value, time) and value.tzinfo is not None:
        raise ValueError(f"{value} has a zone, which a time of day in Avro cannot carry")
    return _write_standard_time(value, schema)


_write_standard_time: Final = write.LOGICAL_WRITERS["long-time-micros"]
read.LOGICAL_READERS["bytes-ensemble-decimal"] = _read_decimal
read.LOGICAL_READERS["long-ensemble-timestamp-micros"] = read.LOGICAL_READERS["long-timestamp-micros"]
read.LOGICAL_READERS["long-ensemble-time-micros"] = read.LOGICAL_READERS["long-time-micros"]
write.LOGICAL_WRITERS["bytes-ensemble-decimal"] = _write_decimal
write.LOGICAL_WRITERS["long-ensemble-timestamp-micros"] = _write_moment
write.LOGICAL_WRITERS["long-ensemble-time-micros"] = _write_time
