"""Write and read one Avro record by fastavro's own functions below `schemaless_writer` and `schemaless_reader`.

Those two collect the names of a schema anew for each value, which costs as much as a small message itself. What lies
below them is not public, so it is tried on a record of every type when this module is imported: where a version of
fastavro lacks it or answers otherwise, the public functions stand in, and all there is to notice is their price.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from fastavro import parse_schema, schemaless_reader, schemaless_writer

Write = Callable[[bytearray, Any, Any, dict[str, Any], str, dict[str, Any]], None]
"""Appends a record: content, record, parsed schema, the schemas it names, a field's name for errors, options."""
Read = Callable[[io.BytesIO, Any, dict[str, Any], Any, dict[str, Any]], Any]
"""Returns the next record: stream, parsed schema, the schemas it names, the reader's schema or None, options."""


class RecordFunctions(NamedTuple):
    """What writes and reads a record. Both may be called by several threads."""

    write: Write
    read: Read


def names_in(schema: Any) -> dict[str, Any]:
    """Return the schemas that a parsed schema names."""
    names: dict[str, Any] = schema.get("__named_schemas", {})
    return names


def names_to_read(schema: Any) -> dict[str, Any]:
    """Return what `Read` is given as the names of a parsed schema, if there is no reader's schema beside it."""
    return {"writer": names_in(schema), "reader": {}}


def write_publicly(content: bytearray, record: Any, schema: Any, *_: Any) -> None:
    """Append a record, as `Write`, by the public function."""
    stream = io.BytesIO()
    schemaless_writer(stream, schema, record)
    content += stream.getbuffer()


def read_publicly(stream: io.BytesIO, schema: Any, names: object, reader: Any, *_: Any) -> Any:
    """Return the next record, as `Read`, by the public function, which collects the names of both schemas itself."""
    del names
    return schemaless_reader(stream, schema, reader)


PUBLIC: Final = RecordFunctions(write_publicly, read_publicly)

_SAMPLE_SCHEMA: Final = {
    "type": "record",
    "name": "ensemble.Sample",
    "fields": [
        {"name": "text", "type": "string"},
        {"name": "number", "type": "long"},
        {"name": "share", "type": "double"},
        {"name": "is_set", "type": "boolean"},
        {"name": "raw", "type": "bytes"},
        {"name": "absent", "type": ["null", "string"]},
        {"name": "present", "type": ["null", "string"]},
        {"name": "suit", "type": {"type": "enum", "name": "Suit", "symbols": ["HEARTS", "SPADES"]}},
        {
            "name": "part",
            "type": {"type": "record", "name": "Part", "fields": [{"name": "count", "type": "int"}]},
        },
        {"name": "parts", "type": {"type": "array", "items": "ensemble.Part"}},
        {"name": "counts", "type": {"type": "map", "values": "long"}},
    ],
}
_SAMPLE: Final = {
    "text": "Zürich",
    "number": -(2**40),
    "share": 0.25,
    "is_set": True,
    "raw": b"\0\xff",
    "absent": None,
    "present": "here",
    "suit": "SPADES",
    "part": {"count": 7},
    "parts": [{"count": 1}, {"count": 2}],
    "counts": {"a": 1},
}


def tried_functions(write: Write, read: Read) -> RecordFunctions:
    """Return these two if they write and read a sample as the public ones do, and the public ones otherwise."""
    schema = parse_schema(_SAMPLE_SCHEMA, named_schemas={})
    expected = io.BytesIO()
    schemaless_writer(expected, schema, _SAMPLE)
    content = bytearray(b"begin")
    try:
        write(content, _SAMPLE, schema, names_in(schema), "", {})
        read_back = read(io.BytesIO(expected.getvalue()), schema, names_to_read(schema), None, {})
    except Exception:  # noqa: BLE001  another version may refuse them in any way
        return PUBLIC
    agrees = content == b"begin" + expected.getvalue() and read_back == _SAMPLE
    return RecordFunctions(write, read) if agrees else PUBLIC


def _found_functions() -> RecordFunctions:
    try:
        write: Write = importlib.import_module("fastavro._write").write_data
        read: Read = importlib.import_module("fastavro._read").read_record
    except (ImportError, AttributeError):
        return PUBLIC
    return tried_functions(write, read)


FASTEST: Final = _found_functions()
