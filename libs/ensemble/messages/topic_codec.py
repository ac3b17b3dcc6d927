"""How the values of a topic are written, read, and told apart: one codec for each topic, chosen once, at start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

from ensemble.errors import TerminalError, UndecodableRecord, UnknownSchema
from ensemble.messages.cloud_events import JSON, is_structured
from ensemble.messages.codec import (
    PREFIX_LENGTH,
    Decoder,
    Encoder,
    decoder_for_new_schema,
    decoders_for,
    encoder_for,
    id_in,
)
from ensemble.messages.json_values import json_decoder_for, json_encoder_for
from ensemble.messages.message import Message, json_type_name, schemas_of
from ensemble.messages.records import ConsumedRecord
from ensemble.messages.schema_set import SchemaSourceSelector

_STRUCTURED: Final = (
    "the record is a CloudEvent in structured mode, its attributes and data in the value; publish it in binary mode: "
    "attributes as ce_ headers, and the encoded message alone as the value"
)

NewType = tuple[type[Message], Decoder[Any]] | None
"""A message type with the decoder of a label that came up after start, or None."""


class Codec(Protocol):
    """The codec of one topic. A label is what tells the type of a record: bytes that its decoders are found by."""

    content_type: bytes
    """What the header `content-type` says."""

    def encoder_for(self, message: type[Message]) -> Encoder[Any]:
        """Return the encoder of a type; each thread takes one of its own. May raise SchemasUnavailable."""

    def decoders_for(self, message: type[Message]) -> dict[bytes, Decoder[Any]]:
        """Return the decoders of a type by label, one for each way in which it may be written."""

    def label_of(self, record: ConsumedRecord) -> bytes | None:
        """Return the label of a record, or None if it has none: a tombstone above all."""

    def find_new(self, label: bytes) -> NewType:
        """Return the decoder of a label that came up after start, or None if it is of none of the topic's types.

        Raises SchemasUnavailable or UndecodableRecord.
        """

    def why_unknown(self, record: ConsumedRecord) -> TerminalError:
        """Return what is wrong with a record whose label is of none of the topic's types."""


class AvroCodec:
    """Avro behind five bytes that name the schema, which are the label."""

    content_type = b"application/avro"

    def __init__(self, topic: str, messages: Sequence[type[Message]], sources: SchemaSourceSelector) -> None:
        self._topic, self._messages, self._sources = topic, messages, sources

    def encoder_for(self, message: type[Message]) -> Encoder[Any]:
        return encoder_for(message, self._sources.source_for(self._topic, schemas_of(message)))

    def decoders_for(self, message: type[Message]) -> dict[bytes, Decoder[Any]]:
        return decoders_for(message, self._sources.source_for(self._topic, schemas_of(message)))

    def label_of(self, record: ConsumedRecord) -> bytes | None:
        value: bytes | None = record.value()
        return None if value is None else value[:PREFIX_LENGTH]

    def find_new(self, label: bytes) -> NewType:
        return decoder_for_new_schema(label, self._messages, self._sources)

    def why_unknown(self, record: ConsumedRecord) -> TerminalError:
        try:
            schema_id = id_in(record.value())
        except UndecodableRecord as error:
            return UndecodableRecord(_STRUCTURED) if is_structured(record.headers() or ()) else error
        return UnknownSchema(
            f"schema id {schema_id} is none of those that {self._topic} carries; was it produced for "
            "another topic, by a newer release, or under a registry's id while SCHEMA_REGISTRY_URL is not set?"
        )


class JsonCodec:
    """JSON text; the label is the name of the type: the header `ce_type`, or without it the one type of the topic."""

    content_type = JSON

    def __init__(self, topic: str, messages: Sequence[type[Message]]) -> None:
        self._topic, self._names = topic, [json_type_name(message) for message in messages]
        self._only = self._names[0].encode() if len(messages) == 1 else None

    def encoder_for(self, message: type[Message]) -> Encoder[Any]:
        return json_encoder_for(message)

    def decoders_for(self, message: type[Message]) -> dict[bytes, Decoder[Any]]:
        return {json_type_name(message).encode(): json_decoder_for(message)}

    def label_of(self, record: ConsumedRecord) -> bytes | None:
        headers = dict(record.headers() or ())
        if record.value() is None or is_structured(headers.items()):
            return None
        label: bytes | None = headers.get("ce_type")
        return label or self._only

    def find_new(self, label: bytes) -> NewType:  # noqa: ARG002  all types are known from the start
        return None

    def why_unknown(self, record: ConsumedRecord) -> TerminalError:
        headers, names = dict(record.headers() or ()), " or ".join(self._names)
        if is_structured(headers.items()):
            return UndecodableRecord(_STRUCTURED)
        if not headers.get("ce_type"):
            return UndecodableRecord(
                f"the record has no header ce_type, and {self._topic} carries several types of JSON; set it to {names}"
            )
        name = headers["ce_type"].decode(errors="replace")[:100]
        return UndecodableRecord(f"ce_type is {name!r}, but {self._topic} carries {names}")
