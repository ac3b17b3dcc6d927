"""Whatever schema a record was written in, it can neither end nor hang the process that reads it."""

from __future__ import annotations

import copy
import io
import time
from typing import Any

import pytest
from fastavro import parse_schema, schemaless_writer

from contracts import SCHEMAS, ProcessPayment
from ensemble.errors import ConfigurationError, UndecodableRecord
from ensemble.messages import GenericDecoder, prefix_of, schema_of
from ensemble.messages.avro_types import Schema
from ensemble.messages.codec import decoder_for, decoder_for_new_schema, encoder_for
from ensemble.messages.decoding_limits import MAX_VALUE_BYTES, check_for, is_too_deep
from ensemble.messages.schema_set import SchemaSet, SchemaVersion, without_logical_types
from ensemble.system_messages import SCHEMAS as RUNTIME_SCHEMAS

PAYMENT = ProcessPayment(
    order_id="o-1", amount=1, currency="EUR", payment_token="tok_approve", attempt=1, expires_at=1_790_000_000_000
)
OWN = without_logical_types(schema_of(ProcessPayment))
NODE: Schema = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}
BRANCHING: Schema = {
    "type": "record",
    "name": "Tree",
    "fields": [{"name": "all", "type": {"type": "array", "items": "Tree"}}],
}


def written_with(field_type: Any, avro: bytes) -> tuple[Schema, bytes]:
    """Return the schema of ProcessPayment with one more field, and a record in it whose last bytes are `avro`."""
    schema = copy.deepcopy(OWN)
    schema["fields"].append({"name": "more", "type": field_type})
    return schema, encoder_for(ProcessPayment)(PAYMENT) + avro


def number(value: int) -> bytes:
    out = io.BytesIO()
    schemaless_writer(out, parse_schema("long"), value)
    return out.getvalue()


def doubling(levels: int) -> Schema:
    """Return a record without bytes that holds two to the power of `levels` values."""
    schema: Schema = {"type": "record", "name": "L0", "fields": []}
    for level in range(1, levels):
        schema = {
            "type": "record",
            "name": f"L{level}",
            "fields": [{"name": "a", "type": schema}, {"name": "b", "type": f"L{level - 1}"}],
        }
    return schema


def chained(levels: int) -> list[Any]:
    """Return a union of record types each of which holds the one before: deep, though its JSON is not."""
    first: Schema = {"type": "record", "name": "C0", "fields": []}
    return [first] + [
        {"type": "record", "name": f"C{level}", "fields": [{"name": "a", "type": f"C{level - 1}"}]}
        for level in range(1, levels)
    ]


HOSTILE = {
    "deep": (["null", NODE], b"\x02" * 20_000 + b"\x00", "nested more than 64"),
    "wide and deep": (BRANCHING, number(1) * 20_000 + b"\x00", "nested more than 64"),
    "no bytes an item": ({"type": "array", "items": "null"}, number(2**62 - 1) + b"\x00", "more than 200000 values"),
    "empty records": ({"type": "array", "items": doubling(2)}, number(10**9) + b"\x00", "more than 200000 values"),
    "two to the 60": (doubling(60), b"", "more than 200000 values|nested more than 64"),
    "deep without depth in JSON": (chained(5_000), number(4_999), "nested more than 64"),
    "blocks with a size": ({"type": "array", "items": "null"}, number(-5) + number(3) + b"\x00", "blocks with a size"),
    "no such branch": (["null", NODE], number(-1), "union branch -1"),
    "a text of negative length": ([NODE, "string"], number(1) + number(-9), "length -9"),
    "an endless number": ([NODE, "string"], number(1) + b"\xff" * 11, "more than 10 bytes"),
}


@pytest.mark.parametrize(("field_type", "avro", "reason"), HOSTILE.values(), ids=HOSTILE)
def test_a_record_that_asks_too_much_is_undecodable(field_type: Any, avro: bytes, reason: str) -> None:
    # given a record whose writer's schema is ours and a field more
    schema, value = written_with(field_type, avro)
    began = time.monotonic()

    # when it is read as a service or a tool does, then words say what is wrong, soon
    with pytest.raises(UndecodableRecord, match=reason):
        decoder_for(ProcessPayment, schema)(value)
    with pytest.raises(UndecodableRecord, match=reason):
        GenericDecoder([OneSchema(schema, value)]).decode(value)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("field_type", [each for each, *_ in HOSTILE.values()], ids=HOSTILE)
def test_a_schema_that_does_not_bound_its_records_needs_a_check(field_type: Any) -> None:
    """It is asked here alone: a decoder in C that nothing checks would take the process with it."""
    schema, _ = written_with(field_type, b"")
    assert check_for(parse_schema(schema, named_schemas={})) is not None


@pytest.mark.parametrize(("levels", "is_bounded"), [(62, True), (63, False)])
def test_a_schema_of_its_own_is_as_deep_as_values_may_be(levels: int, *, is_bounded: bool) -> None:
    check = check_for(parse_schema(nested(levels), named_schemas={}))
    assert (check is None) is is_bounded


class OneSchema:
    """A source that knows one schema, under the id of one value."""

    def __init__(self, schema: Schema, value: bytes = prefix_of(7)) -> None:
        self.version = SchemaVersion(
            int.from_bytes(value[1:5], "big"), "ensemble.commands.ProcessPayment", 9, schema, True
        )

    def find(self, schema_id: int) -> SchemaVersion | None:
        return self.version if schema_id == self.version.id else None

    def source_for(self, topic: str, schemas: SchemaSet) -> SchemaSet:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("field_type", "avro"),
    [
        (["null", NODE], b"\x02" * 20 + b"\x00"),
        (BRANCHING, number(2) + number(1) + b"\x00" * 4),
        ({"type": "array", "items": "null"}, number(1_000) + b"\x00"),
        ({"type": "map", "values": ["null", NODE]}, number(1) + number(1) + b"k\x02\x00\x00"),
    ],
    ids=["a chain", "a tree", "nulls", "a map"],
)
def test_modest_records_of_such_schemas_are_read(field_type: Any, avro: bytes) -> None:
    schema, value = written_with(field_type, avro)
    assert check_for(parse_schema(schema, named_schemas={})) is not None
    assert decoder_for(ProcessPayment, schema)(value) == PAYMENT


def test_a_record_of_such_a_schema_that_is_cut_says_so() -> None:
    schema, value = written_with(["null", NODE], b"\x02")
    with pytest.raises(UndecodableRecord, match="ends before the field does"):
        decoder_for(ProcessPayment, schema)(value)


@pytest.mark.parametrize("schemas", [SCHEMAS, RUNTIME_SCHEMAS], ids=["contracts", "runtime"])
def test_our_own_schemas_need_no_check(schemas: SchemaSet) -> None:
    parsed = [parse_schema(without_logical_types(schema), named_schemas={}) for schema in schemas.working.values()]
    assert [check_for(schema) for schema in parsed] == [None] * len(parsed)


def test_a_value_without_end_is_not_decoded() -> None:
    with pytest.raises(UndecodableRecord, match="the limit is 5000000"):
        decoder_for(ProcessPayment, OWN)(encoder_for(ProcessPayment)(PAYMENT) + b"x" * MAX_VALUE_BYTES)


def nested(levels: int) -> Schema:
    schema: Any = "int"
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return {**OWN, "fields": [*OWN["fields"], {"name": "more", "type": schema}]}


@pytest.mark.parametrize(("levels", "is_deep"), [(199, False), (200, False), (201, True)])
def test_a_schema_is_too_deep_beyond_two_hundred_levels_of_json(levels: int, *, is_deep: bool) -> None:
    schema: Any = ["string"]
    for _ in range(levels - 1):
        schema = [schema, "null"]
    assert is_too_deep(schema) is is_deep


def test_a_schema_that_nests_without_end_is_none_of_ours() -> None:
    source = OneSchema(nested(100_000))
    assert is_too_deep(source.version.schema)
    assert not is_too_deep(nested(20))
    assert decoder_for_new_schema(prefix_of(7), [ProcessPayment], source) is None
    with pytest.raises(ConfigurationError, match="nested too deeply"):
        decoder_for(ProcessPayment, source.version.schema)


@pytest.mark.parametrize("fields", [5, [{"name": "order_id"}], [{"name": "a", "type": "Nobody"}]])
def test_a_malformed_schema_is_none_of_ours(fields: Any) -> None:
    source = OneSchema({**OWN, "fields": fields})
    assert decoder_for_new_schema(prefix_of(7), [ProcessPayment], source) is None
