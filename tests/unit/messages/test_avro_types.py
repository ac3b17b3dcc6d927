"""The Avro schema of a class: what its fields become, and which field is refused with what to write instead."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from itertools import count
from typing import Annotated, Any, Generic, Literal, NewType, TypeVar
from uuid import UUID

import pytest
from pydantic import AwareDatetime, Base64Bytes, BaseModel, Field, Json, conbytes, condecimal, conint, create_model

from ensemble.errors import ConfigurationError
from ensemble.messages import AvroEnum, AvroFixed, Int32, Int64, Millis, NestedRecord
from ensemble.messages.avro_types import avro_schema

T = TypeVar("T")
MILLIS = {"type": "long", "logicalType": "timestamp-millis"}
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
PRICE = {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}
Price = Annotated[Decimal, Field(max_digits=9, decimal_places=2)]
Digest = Annotated[bytes, Field(min_length=2, max_length=2), AvroFixed("Digest")]
Speed = Annotated[Literal["slow", "fast"], AvroEnum("Speed", default="slow")]
SPEED = {"type": "enum", "name": "Speed", "symbols": ["slow", "fast"], "default": "slow"}
Sku = NewType("Sku", str)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Plain(Enum):
    RED = "red"


class Number(IntEnum):
    ONE = 1


class Part(NestedRecord):
    size: Int32


class Node(NestedRecord):
    children: tuple[Node, ...] = ()


class Crate(NestedRecord):
    part: LaterPart


class LaterPart(NestedRecord):
    crates: tuple[Int32, ...] = ()


class Hen(NestedRecord):
    egg: Egg | None = None


class Egg(NestedRecord):
    hen: Hen | None = None


class Lost(NestedRecord):
    part: Nowhere  # type: ignore[name-defined]  # noqa: F821  what no module has


class Box(NestedRecord, Generic[T]):
    it: T


def other_part() -> type[BaseModel]:
    return create_model("Part", __base__=NestedRecord, weight=(Int32, ...))


PART = {"type": "record", "name": "Part", "fields": [{"name": "size", "type": "int"}]}
COLOUR = {"type": "enum", "name": "Colour", "symbols": ["red", "blue"]}


def made(**fields: Any) -> type[BaseModel]:
    """A model `Made` of these fields: a hint, or a hint and its default."""
    full: Any = {name: given if isinstance(given, tuple) else (given, ...) for name, given in fields.items()}
    model: type[BaseModel] = create_model("Made", __base__=NestedRecord, **full)
    return model


TYPES = [
    (str, "string"),
    (bool, "boolean"),
    (float, "double"),
    (bytes, "bytes"),
    (Int32, "int"),
    (Int64, "long"),
    (Annotated[int, Field(gt=-1, lt=10)], "int"),
    (conint(ge=0, lt=2**31), "int"),
    (condecimal(max_digits=9, decimal_places=2) | None, ["null", PRICE]),
    (
        Annotated[conbytes(min_length=2, max_length=2), AvroFixed("Digest")],
        {"type": "fixed", "name": "Digest", "size": 2},
    ),
    (Annotated[int, Field(ge=0, le=2**31)], "long"),
    (Millis, MILLIS),
    (AwareDatetime, MICROS),
    (date, {"type": "int", "logicalType": "date"}),
    (time, {"type": "long", "logicalType": "time-micros"}),
    (UUID, {"type": "string", "logicalType": "uuid"}),
    (Price, PRICE),
    (Digest, {"type": "fixed", "name": "Digest", "size": 2}),
    (Annotated[bytes, Field(min_length=1, max_length=1), AvroFixed()], {"type": "fixed", "name": "MadeIt", "size": 1}),
    (Literal["a", "b"], {"type": "enum", "name": "MadeIt", "symbols": ["a", "b"]}),
    (Speed, SPEED),
    (Colour, COLOUR),
    (Sku, "string"),
    (Part, PART),
    (str | None, ["null", "string"]),
    (Price | None, ["null", PRICE]),
    (Annotated[Price | None, Field(description="maybe")] | None, ["null", PRICE]),
    (tuple[Part, ...], {"type": "array", "items": PART}),
    (tuple[Int64 | None, ...], {"type": "array", "items": ["null", "long"]}),
    (Mapping[str, Price], {"type": "map", "values": PRICE}),
    (Mapping[Sku, tuple[str, ...]], {"type": "map", "values": {"type": "array", "items": "string"}}),
]


@pytest.mark.parametrize(("hint", "avro"), TYPES, ids=str)
def test_a_hint_becomes_its_avro_type(hint: Any, avro: Any) -> None:
    assert avro_schema(made(it=hint))["fields"] == [{"name": "it", "type": avro}]


DEFAULTS = [
    (str, "a", "a"),
    (bool, True, True),
    (Int64, 2**40, 2**40),
    (float, 0.5, 0.5),
    (bytes, b"\x00\xff", "\x00\xff"),
    (Digest, b"ab", "ab"),
    (Literal["a", "b"], "b", "b"),
    (Colour, Colour.BLUE, "blue"),
    (Millis, 5, 5),
    (AwareDatetime, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), 1_000_000),
    (date, date(1970, 1, 2), 1),
    (time, time(0, 0, 1, 5), 1_000_005),
    (UUID, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (Price, Decimal("1.5"), "\x00\x96"),
    (Price, Decimal("-0.01"), "\xff"),
    (Part, Part(size=3), {"size": 3}),
    (tuple[Part, ...], (Part(size=3),), [{"size": 3}]),
    (Mapping[str, Int32], {"a": 1}, {"a": 1}),
    (Mapping[str, Int32], Field(default_factory=dict), {}),
    (str | None, None, None),
]


@pytest.mark.parametrize(("hint", "default", "json"), DEFAULTS, ids=str)
def test_a_default_is_spelled_as_avro_wants_it(hint: Any, default: Any, json: Any) -> None:
    [entry] = avro_schema(made(it=(hint, default)))["fields"]
    assert entry["default"] == json
    assert type(entry["default"]) is type(json)


def test_the_type_of_a_default_comes_first_in_its_union() -> None:
    [entry] = avro_schema(made(it=(str | None, "a")))["fields"]
    assert (entry["type"], entry["default"]) == (["string", "null"], "a")


def test_an_optional_type_that_is_optional_again_has_one_union() -> None:
    [entry] = avro_schema(made(it=(Annotated[Int32 | None, Field(description="maybe")] | None, 3)))["fields"]
    assert (entry["type"], entry["default"]) == (["int", "null"], 3)


def test_a_named_type_is_written_once_and_then_named() -> None:
    fields = avro_schema(made(a=Part, b=Part | None, c=Speed, d=tuple[Speed, ...]))["fields"]
    assert [entry["type"] for entry in fields] == [
        PART,
        ["null", "Part"],
        SPEED,
        {"type": "array", "items": "Speed"},
    ]


def test_a_default_is_found_in_a_type_that_is_only_named() -> None:
    fields = avro_schema(made(a=Part, b=(Part, Part(size=1))))["fields"]
    assert fields[1] == {"name": "b", "type": "Part", "default": {"size": 1}}


def test_the_order_of_the_release_comes_first_also_within_a_record() -> None:
    schema = avro_schema(made(a=str, b=str, c=str), order={"Made": ["c", "gone", "a"]})
    assert [entry["name"] for entry in schema["fields"]] == ["c", "a", "b"]


def test_a_record_may_name_one_that_comes_after_it() -> None:
    crate = avro_schema(made(a=Crate))["fields"][0]["type"]
    assert crate["fields"][0]["type"]["name"] == "LaterPart"


REFUSED = [
    (Any, "Avro has no type for Any; name the type"),
    (object, "Avro has no type for object"),
    (int, "an int of any to any is more than Avro's 64 bits; write Int32 or Int64"),
    (Annotated[int, Field(ge=0)], "an int of 0 to any"),
    (Annotated[int, Field(ge=0, le=2**63)], "an int of 0 to 9223372036854775808"),
    (datetime, "a datetime without a zone is another moment on each machine; write AwareDatetime, or Millis"),
    (Decimal, "a Decimal needs its digits: Annotated"),
    (Annotated[Decimal, Field(max_digits=9)], "a Decimal needs its digits: Annotated"),
    (Annotated[Decimal, Field(decimal_places=2)], "a Decimal needs its digits: Annotated"),
    (list[str], "a list can be changed in place; write tuple"),
    (set[str], "Avro has no sets"),
    (tuple[int, str], "an array holds values of one type; write tuple"),
    (tuple, "an array holds values of one type; write tuple"),
    (Mapping[int, str], "the keys of a map are texts in Avro, not int; write Mapping"),
    (dict[str, str], "a dict can be changed in place; write Mapping"),
    (dict, "a dict can be changed in place; write Mapping"),
    (str | Int32, "a union holds None and one other type, not .*; write a field for each"),
    (Part | Box[str] | None, "a union holds None and one other type"),
    (Part | other_part(), "a union holds None and one other type"),
    (Node, "children.*: Node holds itself, and records of any depth are not read"),
    (Hen, "egg.hen: Hen holds itself, and records of any depth are not read"),
    (Lost, "no class Nowhere, which a field of Lost names"),
    (Box[str], "is no name in Avro, a generic's least of all; write a class of its own"),
    (Literal["a b"], "'a b' is no symbol in Avro"),
    (Annotated[Literal["a"], AvroEnum("my enum!")], "'my enum!' is no name for a type in Avro"),
    (Annotated[Literal["a"], AvroEnum("string")], "'string' is no name for a type in Avro"),
    (Literal[1], "1 is no symbol in Avro"),
    (Plain, "the members of an enum are texts in Avro; inherit from StrEnum"),
    (Number, "the members of an enum are texts in Avro"),
    (Annotated[Literal["a"], AvroEnum(default="b")], "AvroEnum's default 'b' is none of its symbols: a"),
    (Annotated[bytes, AvroFixed()], "AvroFixed needs one length"),
    (complex, "Avro has no type for complex; make it a NestedRecord, or a text"),
    (StrEnum("Nothing", {}), "Nothing has no members"),
    (Base64Bytes, "a record holds what was decoded, and reading would decode it again; write bytes"),
    (tuple[Json[Int32], ...], r"\[\]: a record holds what was decoded.*; write int"),
    (Json[Int32], "Json is decoded when a message is made"),
    (Annotated[str, Field(alias="that")], "an alias would be a second name of the field"),
    (tuple[Mapping[str, Any], ...], r"\[\]\{\}: Avro has no type for Any"),
    ((Int32, "x"), "the default 'x' does not fit int"),
    ((Int32, None), "the default None does not fit int"),
    ((Int64, True), "the default True does not fit long"),
    ((Annotated[Int32, Field(ge=1)], 0), "the default 0 is not valid: Input should be greater than or equal to 1"),
    ((Speed, "medium"), "the default 'medium' does not fit Speed"),
    ((Price, Decimal("0.001")), r"the default Decimal\('0.001'\) does not fit decimal"),
    ((Digest, b"abc"), "the default b'abc' does not fit Digest"),
    ((float, float("nan")), "the default nan does not fit double"),
    ((tuple[Int32, ...], (1, "a")), "does not fit array"),
    ((str, Field(default_factory=lambda others: others["a"])), "its default follows from other fields"),
    ((str, Field(default_factory=count().__next__)), "its default is another one each time"),
]


@pytest.mark.parametrize(("field", "expected"), REFUSED, ids=[expected for _, expected in REFUSED])
def test_a_field_that_avro_cannot_express_is_named(field: Any, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"Made: it.*{expected}"):
        avro_schema(made(it=field))


def test_two_types_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="Made: b: a second type is called Part; a name means"):
        avro_schema(made(a=Part, b=other_part()))


def test_a_nested_type_may_not_be_called_as_the_message() -> None:
    with pytest.raises(ConfigurationError, match="a second type is called Made"):
        avro_schema(made(it=Annotated[Literal["a"], AvroEnum("Made")]))
