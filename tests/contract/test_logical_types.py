"""Logical types pass between ours, Confluent's serializers and Apache's own Avro in Python and Java, byte by byte."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from avro.io import BinaryDecoder, BinaryEncoder, DatumReader, DatumWriter
from avro.schema import parse
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import given, settings
from hypothesis import strategies as st

from ensemble import SchemaSet
from ensemble.messages import (
    decoders_for,
    encoder_for,
    schema_name,
    schema_of,
)
from tests.support.coins import Coined, Metal, Price, Weight
from tests.support.java_avro import JavaAvro, java_avro

SCHEMAS = SchemaSet(Path("unused"), "mint")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CONTEXT = SerializationContext("any.topic", MessageField.VALUE)


class Minted(Coined, schemas=SCHEMAS):
    note: bytes
    prices: Mapping[str, Price]
    weights: tuple[Weight, ...]


MOMENTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001  the zone follows
PRICES = st.decimals(-9_999_999, 9_999_999, places=2)
MINTED = st.builds(
    Minted,
    coin=st.uuids(),
    price=PRICES,
    spot=st.none() | PRICES,
    at=MOMENTS,
    sold_at=st.none() | MOMENTS,
    day=st.dates(),
    opens=st.times(),
    seal=st.binary(min_size=2, max_size=2),
    note=st.binary(max_size=9),
    metal=st.sampled_from(Metal),
    prices=st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), PRICES, max_size=2),
    weights=st.lists(st.builds(Weight, grams=st.decimals(0, 999, places=3)), max_size=2).map(tuple),
    written=st.integers(0, 253_402_300_799_999),
)
SAMPLES = settings(max_examples=50, deadline=None)


@pytest.fixture(scope="module")
def registry() -> Any:
    client: Any = SchemaRegistryClient.new_client({"url": "mock://mint"})
    client._store.max_id = SCHEMAS.id_of(schema_name(Minted)) - 1
    client.register_schema(schema_name(Minted), Schema(json.dumps(schema_of(Minted)), "AVRO"))
    return client


def as_fields(message: Minted) -> dict[str, Any]:
    """The values that Avro's libraries take: they show millis as a moment."""
    fields = message.model_dump() | {"weights": [each.model_dump() for each in message.weights]}
    return fields | {"metal": str(message.metal), "written": EPOCH + timedelta(milliseconds=message.written)}


@SAMPLES
@given(message=MINTED)
def test_confluents_serializers_and_ours_write_the_same_bytes(registry: Any, message: Minted) -> None:
    conf = {"auto.register.schemas": False, "subject.name.strategy": record_subject_name_strategy}
    serialize = AvroSerializer(registry, json.dumps(schema_of(Minted)), conf=conf)
    theirs = serialize(as_fields(message), CONTEXT)
    assert theirs == encoder_for(Minted)(message)
    assert AvroDeserializer(registry)(theirs, CONTEXT) == as_fields(message)
    assert decoders_for(Minted)[theirs[:5]](theirs) == message


@SAMPLES
@given(message=MINTED)
def test_apaches_avro_and_ours_write_the_same_bytes(message: Minted) -> None:
    schema, stream = parse(json.dumps(schema_of(Minted))), io.BytesIO()
    ours = encoder_for(Minted)(message)
    fields = as_fields(message) | {"coin": str(message.coin)}
    DatumWriter(schema).write(fields, BinaryEncoder(stream))
    assert DatumReader(schema).read(BinaryDecoder(io.BytesIO(ours[5:]))) == fields
    assert decoders_for(Minted)[ours[:5]](ours[:5] + stream.getvalue()) == message


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Iterator[JavaAvro]:
    with java_avro(schema_of(Minted), tmp_path_factory.mktemp("java")) as process:
        yield process


@SAMPLES
@given(message=MINTED)
def test_java_reads_what_we_write_and_we_read_what_java_writes(java: JavaAvro, message: Minted) -> None:
    ours = encoder_for(Minted)(message)
    theirs, fields = java.echo(ours)
    assert decoders_for(Minted)[theirs[:5]](theirs) == message
    assert (fields["coin"], fields["price"]) == (str(message.coin), f"{message.price:f}")


def test_java_understands_each_logical_type_as_it_was_meant(java: JavaAvro) -> None:
    message = Minted(
        coin=UUID(int=7),
        price=Decimal("-12.50"),
        at=datetime(2026, 2, 28, 23, 59, 59, 123_456, tzinfo=UTC),
        day=date(1969, 12, 31),
        opens=time(6, 30, 0, 1),
        seal=b"\x00\xff",
        metal=Metal.GOLD,
        written=1_700_000_000_123,
        note=b"",
        prices={},
        weights=(),
    )
    _, fields = java.echo(encoder_for(Minted)(message))
    assert fields == {
        "coin": "00000000-0000-0000-0000-000000000007",
        "price": "-12.50",
        "at": "2026-02-28T23:59:59.123456Z",
        "day": "1969-12-31",
        "opens": "06:30:00.000001",
        "seal": "[0, -1]",
        "metal": "gold",
        "weights": "[]",
        "written": "2023-11-14T22:13:20.123Z",
    }
