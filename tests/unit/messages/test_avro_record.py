"""What is taken of fastavro when its functions below the public ones are not what they were."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest
from fastavro import parse_schema
from fastavro._read import read_record  # type: ignore[attr-defined]  # compiled, and its stub leaves it out
from fastavro._write import write_data  # type: ignore[attr-defined]  # compiled, and its stub leaves it out

from ensemble.messages.avro_record import FASTEST, PUBLIC, names_in, tried_functions

NESTED = parse_schema(
    {
        "type": "record",
        "name": "shop.Order",
        "fields": [
            {"name": "id", "type": "string"},
            {
                "name": "first",
                "type": {"type": "record", "name": "Line", "fields": [{"name": "sku", "type": "string"}]},
            },
            {"name": "others", "type": {"type": "array", "items": ["null", "shop.Line"]}},
        ],
    },
    named_schemas={},
)
ORDER = {"id": "o-1", "first": {"sku": "cup"}, "others": [None, {"sku": "pot"}]}
ORDER_BYTES = b"\x06o-1\x06cup\x04\x00\x02\x06pot\x00"


def test_the_functions_below_the_public_ones_are_taken() -> None:
    assert tried_functions(write_data, read_record) == (write_data, read_record) == FASTEST


@pytest.mark.parametrize("functions", [FASTEST, PUBLIC], ids=["fastest", "public"])
def test_both_write_and_read_the_same(functions: Any) -> None:
    content, names = bytearray(b"\0\0\0\0\7"), names_in(NESTED)
    functions.write(content, ORDER, NESTED, names, "", {})
    stream = io.BytesIO(ORDER_BYTES + b"rest")
    read = functions.read(stream, NESTED, {"writer": names, "reader": {}}, None, {})
    assert (bytes(content), read, stream.tell()) == (b"\0\0\0\0\7" + ORDER_BYTES, ORDER, len(ORDER_BYTES))


def _refuse(*_: object) -> Any:
    raise TypeError("takes 3 arguments")


def _write_nothing(*_: object) -> None:
    pass


def _write_twice(content: bytearray, *more: Any) -> None:
    write_data(content, *more)
    write_data(content, *more)


def _read_less(*arguments: Any) -> Any:
    return {**read_record(*arguments), "parts": []}


@pytest.mark.parametrize("write", [_refuse, _write_nothing, _write_twice])
def test_the_public_ones_stand_in_for_another_way_to_write(write: Callable[..., None]) -> None:
    assert tried_functions(write, read_record) == PUBLIC


@pytest.mark.parametrize("read", [_refuse, _write_nothing, _read_less])
def test_the_public_ones_stand_in_for_another_way_to_read(read: Callable[..., Any]) -> None:
    assert tried_functions(write_data, read) == PUBLIC


def test_a_schema_without_names_names_none() -> None:
    assert names_in({"type": "record", "name": "Empty", "fields": []}) == {}
