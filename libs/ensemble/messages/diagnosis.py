"""Finds what exactly is wrong with a record or message. It may be slow: it runs only after something failed."""

from __future__ import annotations

import io
from typing import Any, Final

from fastavro import schemaless_reader, schemaless_writer
from pydantic import ValidationError

from ensemble.errors import reason_in

_FIELDS_NAMED: Final = 10


def invalid_fields(error: ValidationError) -> str:
    """Return the first invalid fields and why, as in `lines.0.quantity: Input should be greater than 0`."""
    faults = field_faults(error)
    first, rest = faults[:_FIELDS_NAMED], len(faults) - _FIELDS_NAMED
    fields = "; ".join(_one_field(location, message) for location, message in first)
    return f"{fields}; and {rest} more" if rest > 0 else fields


def field_faults(error: ValidationError) -> list[tuple[tuple[int | str, ...], str]]:
    """Return where and why each value is not valid; a list is not called too short beside what is wrong in it."""
    faults = error.errors()
    inner = {fault["loc"][:end] for fault in faults for end in range(len(fault["loc"]))}
    named_once = (each for each in faults if each["type"] != "too_short" or each["loc"] not in inner)
    return [(each["loc"], reason_in(each["msg"])) for each in named_once]


def _one_field(location: tuple[int | str, ...], message: str) -> str:
    path = ".".join(str(part) for part in location)
    return f"{path}: {message}" if path else message


def unreadable_field(avro: bytes, schema: dict[str, Any], error: Exception) -> str:
    """Return which field of the record could not be read, and why."""
    stream = io.BytesIO(avro)
    for entry in schema["fields"]:
        start = stream.tell()
        try:
            schemaless_reader(stream, {**schema, "fields": [entry]}, None)
        except Exception as cause:  # noqa: BLE001  garbage can fail in any way
            failure = f"{schema['name']}: {entry['name']} cannot be read at byte {start} of {len(avro)}"
            return f"{failure}: {_reason(cause, avro)}"
    return f"{schema['name']} cannot be read: {_reason(error, avro)}"


def unwritable_field(fields: dict[str, Any], schema: dict[str, Any]) -> str:
    """Return the name of the first field that the writer refuses."""
    for entry in schema["fields"]:
        try:
            schemaless_writer(io.BytesIO(), {**schema, "fields": [entry]}, {entry["name"]: fields[entry["name"]]})
        except Exception:  # noqa: BLE001  any value can be there
            return str(entry["name"])
    return "the message as a whole"


def _reason(error: Exception, avro: bytes) -> str:
    match error:
        case _ if isinstance(error, EOFError) or _is_cut_within_a_number(error, avro):
            return "the record ends before the field does"
        case UnicodeDecodeError():
            return "the text is not UTF-8"
        case IndexError():
            return "the symbol or union branch does not exist"
        case _:
            return f"{type(error).__name__}: {error}"


def _is_cut_within_a_number(error: Exception, avro: bytes) -> bool:
    """Return whether the record ends within a number, whose bytes all have the high bit set except the last."""
    return isinstance(error, IndexError) and avro[-1:] >= b"\x80"
