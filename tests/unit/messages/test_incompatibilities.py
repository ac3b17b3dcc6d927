"""Why code with one schema cannot read records of another: all that is said of each change, in both directions.

`python -m tests.unit.messages.test_incompatibilities > tests/unit/messages/incompatibilities.txt` writes it again.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("avro", reason="needs the extra `cli`")

from ensemble.messages.compatibility import incompatibilities

RECORDED = Path(__file__).with_name("incompatibilities.txt")
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}


def record(*fields: dict[str, Any], name: str = "Sold") -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields)}


def field(avro: Any, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": avro, **more}


def enum(*symbols: str, name: str = "Colour", **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": name, "symbols": list(symbols), **more}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def mapping(values: Any) -> dict[str, Any]:
    return {"type": "map", "values": values}


def decimal(precision: int, **scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, **scale}


def fixed(size: int, name: str = "Hash") -> dict[str, Any]:
    return {"type": "fixed", "name": name, "size": size}


def item(*fields: dict[str, Any], name: str = "Item") -> dict[str, Any]:
    return record(*(fields or (field("string", "sku"),)), name=name)


CHANGES: dict[str, tuple[Any, Any]] = {
    "nothing": ("int", "int"),
    "wider": ("int", "long"),
    "another type": ("int", "string"),
    "text and bytes": ("string", "bytes"),
    "text and bytes that may be null": (["null", "string"], ["null", "bytes"]),
    "may be null": ("int", ["null", "int"]),
    "may be something else": (["null", "int"], ["null", "string"]),
    "may be a third": (["null", "int"], ["null", "int", "string"]),
    "two others of a union": (["int", "string"], ["int", "boolean", "double"]),
    "a symbol more": (enum("red"), enum("red", "blue")),
    "two symbols more": (enum("red"), enum("red", "blue", "green")),
    "a symbol more with a default": (enum("red", default="red"), enum("red", "blue", default="red")),
    "an enum of another name": (enum("red"), enum("red", name="Hue")),
    "an enum in a union": (["null", enum("red")], ["null", enum("red", "blue")]),
    "a record of another name": (item(), item(name="Thing")),
    "a record of another name with another field": (item(), item(field("int", "sku"), name="Thing")),
    "a field in a record": (item(), item(field("string", "sku"), field("int", "count"))),
    "a field with a default in a record": (item(), item(field("string", "sku"), field("int", "count", default=1))),
    "fields in an array of records": (array(item()), array(item(field("int", "sku"), field("int", "count")))),
    "fields in a map of records": (mapping(item()), mapping(item(field("int", "sku")))),
    "fields in a record in a union": (["null", item()], ["null", item(field("int", "sku"))]),
    "an array of an array": (array(array("int")), array(array("string"))),
    "a map of an array": (mapping(array("int")), mapping(array(["null", "int"]))),
    "an array and a map": (array("int"), mapping("int")),
    "a record and an enum": (item(), enum("red")),
    "another size": (fixed(2), fixed(3)),
    "another name of a fixed": (fixed(2), fixed(2, name="Digest")),
    "a moment and a number": ("long", MILLIS),
    "a moment and a number that may be null": (["null", "long"], ["null", MILLIS]),
    "a moment of another kind": (MILLIS, {"type": "long", "logicalType": "timestamp-micros"}),
    "moments in an array, a map and a record": (
        item(field(array(MILLIS), "l"), field(mapping(MILLIS), "m"), field(item(field(MILLIS, "at"), name="In"), "r")),
        item(field(array("long"), "l"), field(mapping("long"), "m"), field(item(field("long", "at"), name="In"), "r")),
    ),
    "a decimal of another scale": (decimal(9, scale=2), decimal(9, scale=3)),
    "a decimal without a scale": (decimal(9), decimal(9, scale=0)),
    "a decimal of other digits": (decimal(9), decimal(8)),
    "a decimal and bytes": (decimal(9), "bytes"),
    "a uuid and a text": ({"type": "string", "logicalType": "uuid"}, "string"),
}


def pairs() -> Iterator[tuple[str, Any, Any]]:
    for name, (one, other) in CHANGES.items():
        yield name, record(field(one)), record(field(other))
    yield "two fields", record(field("int"), field("int", "b")), record(field("string"), field("string", "c"))
    yield "the message's own name", record(field("int")), record(field("int"), name="Bought")


def lines() -> Iterator[str]:
    for name, one, other in pairs():
        yield f"== {name}"
        yield from (f"> {reason}" for reason in incompatibilities(other, one))
        yield from (f"< {reason}" for reason in incompatibilities(one, other))


def test_each_change_is_explained_in_both_directions() -> None:
    assert list(lines()) == RECORDED.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lines())
