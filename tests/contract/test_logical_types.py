"""Logical types pass between ours, Confluent's serializers and Apache's own Avro, byte by byte."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
