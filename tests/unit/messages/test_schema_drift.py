"""A class that differs from its schema is refused when it is made, in words that name the field."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, create_model

from ensemble import Event, SchemaSet
from ensemble.errors import ConfigurationError, SchemaDrift
from ensemble.messages import Int32, Int64, Millis, NestedRecord, schema_name

MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["red", "blue"]}
PART = {"type": "record", "name": "Part", "fields": [{"name": "size", "type": "int"}]}


class Part(NestedRecord):
    size: Int32


class Piece(NestedRecord):
    size: Int32


class LongPart(NestedRecord):
    size: Int64


LongPart.__name__ = "Part"


def make(directory: Path, ours: tuple[Any, Any] | None, *theirs: dict[str, Any]) -> type[Event]:
    """An event `Made` with the field `it` (hint and default) of ours, and the schema's fields of theirs."""
    (directory / "events").mkdir(exist_ok=True)
    schema = {"type": "record", "name": "Made", "namespace": "test.events", "fields": list(theirs)}
    (directory / "events" / "Made.avsc").write_text(json.dumps(schema))
    parent = types.new_class("Testing", (Event,), {"schemas": SchemaSet(directory)})
    fields: dict[str, Any] = {"id": (str, ...), **({"it": ours} if ours else {})}
    return create_model("Made", __base__=parent, **fields)


ID = {"name": "id", "type": "string"}


def field(avro: Any, **more: Any) -> dict[str, Any]:
    return {"name": "it", "type": avro, **more}


SAME = [
    ((str, ...), field("string")),
    ((bool, True), field("boolean", default=True)),
    ((float, ...), field("double")),
    ((bytes, ...), field("bytes")),
    ((Int32, 0), field("int", default=0)),
    ((Annotated[int, Field(ge=0, le=9)], ...), field("long")),
    ((Millis | None, None), field(["null", MILLIS], default=None)),
    ((Literal["blue", "red"], "red"), field(COLOUR, default="red")),
    ((Part, ...), field(PART)),
    ((Part | None, None), field(["null", PART], default=None)),
    ((tuple[Part, ...], ()), field({"type": "array", "items": PART}, default=[])),
    ((tuple[Int64 | None, ...], ...), field({"type": "array", "items": ["null", "long"]})),
]

DIFFERENT = [
    (None, field("string"), "it: in the schema, not in the class"),
    ((Int32, ...), field("string"), "it: int in the class, string in the schema"),
    ((str, ...), field("int"), "it: str in the class, int in the schema"),
    ((str | None, ...), field("string"), "it: nullable in the class, not in the schema"),
    ((str, ...), field(["null", "string"]), "it: nullable in the schema, not in the class"),
    ((str | None, ...), field(["null", "string", "int"]), "it: a union must be null and one other type"),
    ((str, "a"), field("string"), "it: default 'a' in the class, none in the schema"),
    ((str, ...), field("string", default="a"), "it: default none in the class, 'a' in the schema"),
    ((str, "a"), field("string", default="b"), "it: default 'a' in the class, 'b' in the schema"),
    ((str | None, None), field(["null", "string"]), "it: default None in the class, none in the schema"),
    ((int, ...), field("long"), "it: an Avro long holds .*, the class allows any to any"),
    (
        (Int64, ...),
        field("int"),
        "it: an Avro int holds -2147483648 to 2147483647, the class allows -9223372036854775808",
    ),
    ((Annotated[int, Field(ge=0)], ...), field("int"), "it: .* the class allows 0 to any"),
    ((Int64, ...), field(MILLIS), "it: Millis in the class and timestamp-millis in the schema belong together"),
    ((Millis, ...), field("long"), "it: Millis in the class and timestamp-millis in the schema belong together"),
    ((Literal["red", "blue", "green"], ...), field(COLOUR), "it: 'green' is a value of the class, no symbol"),
    ((Literal["red"], ...), field(COLOUR), "it: 'blue' is a symbol of the schema, no value of the class"),
    ((str, ...), field(COLOUR), "it: str in the class, enum Colour"),
    ((Piece, ...), field(PART), "it.: the class is Piece, the schema's record Part"),
    ((LongPart, ...), field(PART), "it.size: an Avro int holds"),
    ((tuple[LongPart, ...], ...), field({"type": "array", "items": PART}), r"it\[\].size: an Avro int holds"),
    ((str, ...), field(PART), "it: str in the class, record Part"),
    ((list[str], ...), field({"type": "array", "items": "string"}), "it: list.* in the class, array, which is tuple"),
    ((tuple[str, ...], ()), field({"type": "array", "items": "string"}), r"it: default \[\] in the class, none"),
    ((str, ...), field({"type": "map", "values": "string"}), "type 'map' has no counterpart"),
    ((str, ...), field("float"), "type 'float' has no counterpart"),
]


@pytest.mark.parametrize(("ours", "theirs"), SAME, ids=str)
def test_a_class_that_says_the_same_is_made(tmp_path: Path, ours: tuple[Any, Any], theirs: dict[str, Any]) -> None:
    assert schema_name(make(tmp_path, ours, ID, theirs)) == "test.events.Made"


@pytest.mark.parametrize(("ours", "theirs", "expected"), DIFFERENT, ids=[expected for *_, expected in DIFFERENT])
def test_a_class_that_differs_is_refused(tmp_path: Path, ours: Any, theirs: dict[str, Any], expected: str) -> None:
    with pytest.raises(SchemaDrift, match=expected) as refused:
        make(tmp_path, ours, ID, theirs)
    assert "Made and its schema Made.avsc differ" in str(refused.value)


def test_a_field_that_the_schema_lacks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SchemaDrift, match="it: in the class, not in the schema"):
        make(tmp_path, (str, ...), ID)


def test_all_differences_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SchemaDrift, match="id: str in the class, int in the schema; it: default"):
        make(tmp_path, (str, "a"), {"name": "id", "type": "int"}, field("string"))


def test_a_named_type_is_followed_to_where_it_was_described(tmp_path: Path) -> None:
    theirs = [{"name": "id", "type": "string"}, field(PART), {"name": "other", "type": "Part"}]
    with pytest.raises(SchemaDrift, match="other: in the schema, not in the class"):
        make(tmp_path, (Part, ...), *theirs)


def test_a_class_without_a_schema_is_refused(tmp_path: Path) -> None:
    parent = types.new_class("Testing", (Event,), {"schemas": SchemaSet(tmp_path)})
    with pytest.raises(ConfigurationError, match=r"events/Absent\.avsc does not exist; schemas are read from there"):
        create_model("Absent", __base__=parent, id=(str, ...))


def test_messages_are_immutable_and_closed(tmp_path: Path) -> None:
    instance = make(tmp_path, (str, ...), ID, field("string"))(id="1", it="a")  # type: ignore[call-arg]  # made at run time
    with pytest.raises(ValueError, match="frozen"):
        instance.it = "b"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match=r"more\n.*Extra inputs"):
        type(instance)(id="1", it="a", more=1)  # type: ignore[call-arg]
