"""What a registry holds beside plain records: references are resolved, anything else says what it is, at once."""

from __future__ import annotations

import copy
import io
import json
from typing import Any

import pytest
from confluent_kafka.schema_registry import RegisteredSchema, Schema, SchemaReference
from confluent_kafka.schema_registry.error import SchemaRegistryError
from fastavro import parse_schema, schemaless_writer

from contracts import PlaceOrder
from contracts.catalogue import CATALOGUE
from ensemble.errors import SchemasUnavailable, UndecodableRecord
from ensemble.kafka.registry.client import Registry
from ensemble.messages import GenericDecoder, decoder_for_new_schema, schema_of
from ensemble.messages.codec import prefix_of
from ensemble.messages.schema_set import fingerprint
from ensemble.settings import RegistrySettings

ID = 4711
OWN: dict[str, Any] = schema_of(PlaceOrder)
FIELDS = {
    "order_id": "o-1", "customer_id": "c-1", "lines": [{"sku": "tea", "quantity": 1, "unit_price": 5}],
    "currency": "EUR", "payment_token": "tok", "warehouse_id": "main", "shipping_speed": "standard",
}  # fmt: skip


class Subjects:
    """A registry's client: one schema by its id, others by subject."""

    def __init__(self, schema: Schema | None, **subjects: Schema) -> None:
        self._schema, self._subjects, self.asked = schema, subjects, 0

    def get_schema(self, schema_id: int) -> Schema:
        self.asked += 1
        return _found(self._schema)

    def get_version(self, subject: str, version: int) -> RegisteredSchema:
        return RegisteredSchema(subject, version, 1, "", _found(self._subjects.get(subject)))


def _found(schema: Schema | None) -> Schema:
    if schema is None:
        raise SchemaRegistryError(404, 40403, "not found")
    return schema


def registry(schema: Schema, **subjects: Schema) -> Registry:
    client: Any = Subjects(schema, **subjects)
    return Registry(client, RegistrySettings(url="http://registry", settle_s=10))


def wire(content: object, *references: SchemaReference, kind: str = "AVRO") -> Schema:
    return Schema(json.dumps(content), kind, list(references))


def divided() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return our schema with the name of its lines' type alone, and that type."""
    schema = copy.deepcopy(OWN)
    (lines,) = (field for field in schema["fields"] if field["name"] == "lines")
    line = lines["type"]["items"]
    lines["type"]["items"] = f"{OWN['namespace']}.{line['name']}"
    return schema, {"namespace": OWN["namespace"], **line}


def test_types_that_are_referred_to_are_read() -> None:
    schema, line = divided()
    name = f"{line['namespace']}.{line['name']}"
    sources = registry(wire(schema, SchemaReference(name, "line", 1)), line=wire(line))

    owner = decoder_for_new_schema(prefix_of(ID), CATALOGUE.topic("orders.commands").messages, sources)

    assert owner is not None
    stream = io.BytesIO()
    schemaless_writer(stream, parse_schema(copy.deepcopy(OWN), named_schemas={}), FIELDS)
    message = owner[1](prefix_of(ID) + stream.getvalue())
    assert (owner[0], message.lines[0].sku) == (PlaceOrder, "tea")  # type: ignore[attr-defined]  # a PlaceOrder


def test_references_of_references_and_repeated_names_are_put_where_they_come_first() -> None:
    address = {"type": "record", "name": "Address", "namespace": "a.b", "fields": [{"name": "zip", "type": "Zip"}]}
    zip_code = {"type": "fixed", "name": "a.b.Zip", "size": 5}
    both = [
        {"name": "from", "type": ["null", "a.b.Address"]},
        {"name": "to", "type": {"type": "map", "values": "a.b.Address"}},
    ]
    schema = {"type": "record", "name": "Move", "namespace": "x", "fields": both}
    sources = registry(
        wire(schema, SchemaReference("a.b.Address", "address", 1)),
        address=wire(address, SchemaReference("a.b.Zip", "zip", 1)),
        zip=wire(zip_code),
    )

    version = sources.find(ID)

    assert version is not None
    parsed: Any = parse_schema(version.schema, named_schemas={})
    assert set(parsed["__named_schemas"]) == {"x.Move", "a.b.Address", "a.b.Zip"}
    assert version.name == "x.Move"


def test_a_plain_record_is_left_as_it_is() -> None:
    version = registry(wire(OWN)).find(ID)
    assert version is not None
    assert fingerprint(version.schema) == fingerprint(OWN)


REFERENCE = SchemaReference("x.Line", "line", 3)
THERE = SchemaReference("x.Size", "size", 1)
SIZE = wire({"type": "fixed", "name": "x.Size", "size": 1})
NAMELESS = wire({"type": "fixed", "size": 1})


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (Schema("[" * 100_000, "AVRO", []), "it is nested too deeply to be read"),
        (Schema('{"a":' * 300 + "1" + "}" * 300, "AVRO", []), "it is nested too deeply to be read"),
        (wire(["x.PlaceOrder", "x.CancelOrder"], REFERENCE), "it is a union, and a record of one type is needed"),
        (wire({"type": "enum", "name": "E", "symbols": ["A"]}), "it is no record"),
        (wire("string"), "it is no record"),
        (wire({}, kind="PROTOBUF"), "it is a schema of PROTOBUF, and only Avro is read here"),
        (Schema("{", "AVRO"), "it is no JSON"),
        (wire({"type": "record", "name": "A", "fields": [{}]}, THERE), "it, or a type that it refers to, is no Avro"),
        (wire(OWN, SchemaReference("x.N", "nameless", 1)), "it, or a type that it refers to, is no Avro"),
        (wire(OWN, REFERENCE), "it refers to x.Line (line version 3), which the registry has not as a named type"),
    ],
)
def test_anything_else_says_at_once_what_it_is(schema: Schema, reason: str) -> None:
    sources = registry(schema, size=SIZE, nameless=NAMELESS)
    for _ in range(2):
        with pytest.raises(UndecodableRecord) as refused:
            sources.find(ID)
        assert str(refused.value).startswith(
            f"schema id {ID} of the registry http://registry cannot be read here: {reason}"
        )
    assert sources.client.asked == 1  # type: ignore[attr-defined]  # a stand-in
    with pytest.raises(UndecodableRecord, match="cannot be read here"):
        GenericDecoder([sources]).decode(prefix_of(ID) + b"x")


def test_types_that_refer_to_each_other_without_end_are_refused() -> None:
    class Endless(Subjects):
        def get_version(self, subject: str, version: int) -> RegisteredSchema:
            reference = SchemaReference(f"x.T{version + 1}", "t", version + 1)
            content = {"type": "record", "name": f"x.T{version}", "fields": []}
            return RegisteredSchema(subject, version, 1, "", wire(content, reference))

    client: Any = Endless(wire(OWN, SchemaReference("x.T0", "t", 0)))
    with pytest.raises(UndecodableRecord, match="more than 100 types"):
        Registry(client, RegistrySettings(url="http://registry")).find(ID)


def test_a_type_that_refers_to_itself_under_another_name_is_read_once() -> None:
    itself = SchemaReference("x.Other", "line", 1)
    line = wire({"type": "record", "name": "x.Line", "fields": []}, itself)
    version = registry(wire(OWN, itself), line=line).find(ID)
    assert version is not None
    assert fingerprint(version.schema) == fingerprint(OWN)


def test_an_id_that_is_not_there_is_waited_for() -> None:
    client: Any = Subjects(None)
    with pytest.raises(SchemasUnavailable):
        Registry(client, RegistrySettings(url="http://registry", settle_s=10)).find(ID)


@pytest.mark.parametrize("name", [{"name": "z.Zip"}, {"name": "Zip", "namespace": "z"}], ids=["full", "namespace"])
def test_a_type_that_the_schema_spells_out_itself_is_not_put_in_once_more(name: dict[str, str]) -> None:
    """Avro takes one definition of a name; what comes behind it is the name alone."""
    own = {"type": "fixed", "size": 5, **name}
    fields = [{"name": "from", "type": own}, {"name": "to", "type": "z.Zip"}]
    schema = {"type": "record", "name": "Move", "namespace": "x", "fields": fields}
    sources = registry(wire(schema, SchemaReference("z.Zip", "zip", 1)), zip=wire({**own, "name": "z.Zip"}))

    found = sources.find(ID)

    assert found is not None
    assert found.schema["fields"] == fields
