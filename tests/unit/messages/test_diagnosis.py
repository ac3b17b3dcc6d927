"""What is wrong with a record is said by field and place, and by what a reader can do about it."""

from typing import Any

import pytest
from fastavro import parse_schema
from pydantic import BaseModel, Field, ValidationError

from ensemble.messages.diagnosis import field_faults, invalid_fields, unreadable_field, unwritable_field

SCHEMA: Any = parse_schema(
    {
        "type": "record",
        "name": "Placed",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "count", "type": "long"},
            {"name": "speed", "type": {"type": "enum", "name": "Speed", "symbols": ["standard"]}},
        ],
    }
)


class Line(BaseModel):
    quantity: int = Field(gt=0)


class Order(BaseModel):
    lines: tuple[Line, ...] = Field(min_length=2)


def faults_of(*quantities: Any) -> ValidationError:
    with pytest.raises(ValidationError) as raised:
        Order.model_validate({"lines": [{"quantity": quantity} for quantity in quantities]})
    return raised.value


def test_a_fault_is_named_with_its_place() -> None:
    assert invalid_fields(faults_of(1, 0)) == "lines.1.quantity: Input should be greater than 0"
    assert field_faults(faults_of(1, 0)) == [(("lines", 1, "quantity"), "Input should be greater than 0")]


def test_a_list_is_called_too_short_where_nothing_in_it_is_wrong() -> None:
    assert [location for location, _ in field_faults(faults_of(1))] == [("lines",)]
    assert [location for location, _ in field_faults(faults_of(0))] == [("lines", 0, "quantity")]


@pytest.mark.parametrize(
    ("count", "end"),
    [(10, "lines.9.quantity: Input should be greater than 0"), (11, "; and 1 more"), (13, "; and 3 more")],
)
def test_of_many_faults_ten_are_named(count: int, end: str) -> None:
    words = invalid_fields(faults_of(*[0] * count))
    assert words.endswith(end)
    assert words.count("quantity") == 10


def test_a_fault_of_the_whole_has_no_place() -> None:
    with pytest.raises(ValidationError) as raised:
        Order.model_validate(7)
    assert not invalid_fields(raised.value).startswith(":")
    assert invalid_fields(raised.value).startswith("Input should be a valid dictionary")


@pytest.mark.parametrize(
    ("avro", "words"),
    [
        (b"", "Placed: id cannot be read at byte 0 of 0: the record ends before the field does"),
        (b"\x06ab", "Placed: id cannot be read at byte 0 of 3: the record ends before the field does"),
        (b"\x02a", "Placed: count cannot be read at byte 2 of 2: the record ends before the field does"),
        (b"\x02a\x80", "Placed: count cannot be read at byte 2 of 3: the record ends before the field does"),
        (b"\x02\xff\x00\x00", "Placed: id cannot be read at byte 0 of 4: the text is not UTF-8"),
        (b"\x02\xff", "Placed: id cannot be read at byte 0 of 2: the text is not UTF-8"),
        (b"\x02a\x00\x04", "Placed: speed cannot be read at byte 3 of 4: the symbol or union branch does not exist"),
        (b"\x02a\x00\x00", "Placed cannot be read: RuntimeError: why"),
    ],
)
def test_a_record_that_cannot_be_read_names_its_field_and_byte(avro: bytes, words: str) -> None:
    assert unreadable_field(avro, SCHEMA, RuntimeError("why")) == words


@pytest.mark.parametrize(
    ("change", "field"),
    [({"id": 1}, "id"), ({"count": "x"}, "count"), ({"speed": "slow"}, "speed"), ({}, "the message as a whole")],
)
def test_the_first_field_that_cannot_be_written_is_named(change: dict[str, Any], field: str) -> None:
    assert unwritable_field({"id": "a", "count": 1, "speed": "standard", **change}, SCHEMA) == field
