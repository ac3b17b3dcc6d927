"""Others read what we write, and we read what they write: fastavro alone, and Confluent's serializers.

Confluent's mock registry gives ids of its own, so its counter is set before each schema: it then holds our schemas
under our ids, and the records pass between both sides unchanged.
"""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import fastavro
import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, record_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import SCHEMAS
from contracts.catalogue import CATALOGUE
from ensemble.messages import Message, schema_name, schema_of
from ensemble.messages.codec import decoders_for, encoder_for
from tests.support.message_strategies import message

TYPES: list[type[Message]] = sorted(CATALOGUE.message_types(), key=lambda kind: kind.__name__)
CONTEXT = SerializationContext("any.topic", MessageField.VALUE)
SAMPLES = settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
each_type = pytest.mark.parametrize("message_type", TYPES, ids=lambda each: each.__name__)


@pytest.fixture(scope="module")
def registry() -> Any:
    client: Any = SchemaRegistryClient.new_client({"url": "mock://contracts"})
    for name in SCHEMAS.names():
        version = SCHEMAS.versions(name)[-1]
        client._store.max_id = version.id - 1
        assert client.register_schema(name, Schema(json.dumps(version.schema), "AVRO")) == version.id
    return client


def plain(value: Any) -> Any:
    """Fields as our models show them: their times as epoch milliseconds."""
    match value:
        case datetime():
            return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
        case dict():
            return {name: plain(each) for name, each in value.items()}
        case list():
            return [plain(each) for each in value]
        case _:
            return value


@each_type
@SAMPLES
@given(data=st.data())
def test_fastavro_alone_reads_our_records(message_type: type[Message], data: st.DataObject) -> None:
    sent = data.draw(message(message_type))
    stream = io.BytesIO(encoder_for(message_type)(sent)[5:])
    read = fastavro.schemaless_reader(stream, schema_of(message_type), None)
    assert plain(read) == sent.model_dump(mode="json")


@each_type
@SAMPLES
@given(data=st.data())
def test_we_read_what_fastavro_alone_writes(message_type: type[Message], data: st.DataObject) -> None:
    sent = data.draw(message(message_type))
    stream = io.BytesIO()
    stream.write(b"\0" + SCHEMAS.id_of(schema_name(message_type)).to_bytes(4, "big"))
    fastavro.schemaless_writer(stream, schema_of(message_type), sent.model_dump(mode="json"))
    value = stream.getvalue()
    assert decoders_for(message_type)[value[:5]](value) == sent


@each_type
@SAMPLES
@given(data=st.data())
def test_confluents_deserializer_reads_our_records(
    registry: Any, message_type: type[Message], data: st.DataObject
) -> None:
    sent = data.draw(message(message_type))
    read = AvroDeserializer(registry)(encoder_for(message_type)(sent), CONTEXT)
    assert plain(read) == sent.model_dump(mode="json")


@each_type
@SAMPLES
@given(data=st.data())
def test_we_read_what_confluents_serializer_writes(
    registry: Any, message_type: type[Message], data: st.DataObject
) -> None:
    sent = data.draw(message(message_type))
    configuration = {"auto.register.schemas": False, "subject.name.strategy": record_subject_name_strategy}
    serialize = AvroSerializer(
        registry, json.dumps(SCHEMAS.versions(schema_name(message_type))[-1].schema), conf=configuration
    )
    value = serialize(sent.model_dump(mode="json"), CONTEXT)
    assert value == encoder_for(message_type)(sent)
    assert decoders_for(message_type)[value[:5]](value) == sent
