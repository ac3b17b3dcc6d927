"""Messages as bytes: the magic byte 0, a schema id in four bytes, Avro. What a type needs is looked up once.

fastavro reads and writes Avro; there is no codec of our own, on purpose.
Millis stay integers; a schema without other logical types is read and written without any.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from fastavro import parse_schema
from pydantic import BaseModel, ValidationError

from ensemble.errors import ConfigurationError, UndecodableRecord, UnencodableMessage, UnknownSchema
from ensemble.messages.avro_record import FASTEST, names_in, names_to_read, read_publicly
from ensemble.messages.avro_types import Schema
from ensemble.messages.avro_values import ToPlain, plain_for
from ensemble.messages.decoding_limits import MAX_VALUE_BYTES, Check, check_for, is_too_deep
from ensemble.messages.diagnosis import invalid_fields, unreadable_field, unwritable_field
from ensemble.messages.logical_types import has_values, with_all_values, with_values_of
from ensemble.messages.message import Message, schema_name, schema_of, schemas_of
from ensemble.messages.schema_set import (
    SchemaSource,
    SchemaSourceSelector,
    SchemaVersion,
    fingerprint,
    nodes_of,
    without_logical_types,
)

M = TypeVar("M", bound=Message)
Encoder = Callable[[M], bytes]
"""Returns the value of a record. It raises UnencodableMessage."""
Decoder = Callable[[bytes], M]
"""Returns the message in a record's value. It raises UndecodableRecord."""

_KEPT = 1024
"""Each partition's state asks for the same ones; types and versions are fewer, but those of others have no end."""
PREFIX_LENGTH = 5
"""How many bytes of a value name its schema: the magic byte 0 and an id of four bytes."""


def prefix_of(schema_id: int) -> bytes:
    """Return the five bytes that a record of this schema begins with."""
    return b"\0" + schema_id.to_bytes(4, "big")


def id_in(value: bytes) -> int:
    """Return the schema id that a record's value begins with. Raises UndecodableRecord if there is none."""
    if len(value) < PREFIX_LENGTH:
        raise UndecodableRecord(f"{len(value)} bytes are too short for a record: the prefix alone is {PREFIX_LENGTH}")
    if value[0] != 0:
        raise UndecodableRecord(f"the first byte is {value[0]:#04x}, not the magic 0x00 of a record with a schema id")
    return int.from_bytes(value[1:PREFIX_LENGTH], "big")


def encoder_for(message_type: type[M], source: SchemaSource | None = None) -> Encoder[M]:
    """Return the encoder of a type. All threads may share it."""
    schema, to_plain = _writing(message_type)
    schema_id = (source or schemas_of(message_type)).id_of(schema_name(message_type))
    return _encoder(schema, prefix_of(schema_id), to_plain)


def decoders_for(message_type: type[M], source: SchemaSource | None = None) -> dict[bytes, Decoder[M]]:
    """Return a decoder for each version that records of this type may be written in, by the version's prefix."""
    versions = (source or schemas_of(message_type)).versions(schema_name(message_type))
    return {prefix_of(version.id): decoder_for(message_type, version.schema) for version in versions}


def decoder_for_new_schema(
    prefix: bytes, types: Iterable[type[M]], sources: SchemaSourceSelector
) -> tuple[type[M], Decoder[M]] | None:
    """Return the type and decoder of a prefix that came up after start, or None if it belongs to none of `types`.

    Raises SchemasUnavailable if `sources` cannot say now, and UndecodableRecord if what they have cannot be read.
    """
    if len(prefix) < PREFIX_LENGTH or prefix[0] != 0:
        return None
    version = sources.find(int.from_bytes(prefix[1:], "big"))
    owner = next((kind for kind in types if version and schema_name(kind) == version.name), None)
    if version is None or owner is None:
        return None
    try:
        return owner, decoder_for(owner, version.schema)
    except Exception:  # noqa: BLE001  a schema of others can be wrong in any way
        return None


def decoder_for(message_type: type[M], writer_schema: Schema) -> Decoder[M]:
    """Return the decoder of records that were written with one schema. All threads may share it.

    Whatever the schema is, a record can neither end nor hang the process (see decoding_limits).
    """
    _refuse_deep(writer_schema)
    return _decoder(message_type, json.dumps(writer_schema))


@lru_cache(_KEPT)
def _writing(message_type: type[Message]) -> tuple[Any, ToPlain]:
    """Return the parsed schema of a type, and what turns a message into what fastavro writes."""
    own_schema = schema_of(message_type)
    schema = _parse_for(own_schema, own_schema)
    return schema, plain_for(message_type, _full_names(schema)) or vars


@lru_cache(_KEPT)
def _decoder(message_type: type[M], writer_text: str) -> Decoder[M]:
    """Make a decoder. Its names are local: it runs for each record."""
    writer_schema: Schema = json.loads(writer_text)
    own_schema = schema_of(message_type)
    writer = _parse_for(writer_schema, own_schema)
    reader = None if fingerprint(writer_schema) == fingerprint(own_schema) else _reader_of(own_schema, writer_schema)
    validate = message_type.__pydantic_validator__.validate_python
    read = FASTEST.read if reader is None else read_publicly
    names, options = names_to_read(writer), dict[str, Any]()
    open_bytes, skip, limit, check = io.BytesIO, PREFIX_LENGTH, MAX_VALUE_BYTES, check_for(writer)

    def decode(value: bytes) -> M:
        if len(value) > limit or check is not None:
            _check_value(value, check)
        stream = open_bytes(value)
        stream.seek(skip)
        try:
            fields = read(stream, writer, names, reader, options)
            message: M = validate(fields, strict=False)  # of any class: Avro has the types
        except ValidationError as error:
            raise UndecodableRecord(f"{message_type.__name__} is not valid: {invalid_fields(error)}") from None
        except Exception as error:
            raise UndecodableRecord(unreadable_field(value[skip:], writer, error)) from error
        if stream.tell() != len(value):
            raise _surplus(message_type.__name__, stream, value)
        return message

    return decode


class Decoded(NamedTuple):
    """A record's content without its model."""

    name: str
    version: int
    schema_id: int
    fields: dict[str, Any]


class _Readable(NamedTuple):
    """A version of a schema, and all that reading its records takes."""

    version: SchemaVersion
    schema: Any
    names: dict[str, Any]
    check: Check | None


class GenericDecoder:
    """Reads any record whose schema one of its sources knows, without models: for tools and independent checks."""

    def __init__(
        self,
        sources: Iterable[SchemaSource | SchemaSourceSelector],
        stop_before: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Take the sources; `stop_before` has, by a schema's full name, a field before which reading ends.

        What a reader of many records does not need then costs nothing; the bytes behind are not checked.
        """
        self._sources, self._stop_before = tuple(sources), stop_before
        self._versions: dict[int, _Readable] = {}

    def decode(self, value: bytes) -> Decoded:
        """Return name, version and fields of a record's value. Raises UndecodableRecord or UnknownSchema."""
        version, schema, names, check = self._readable(id_in(value))
        _check_value(value, check)
        stream = io.BytesIO(value)
        stream.seek(PREFIX_LENGTH)
        try:
            fields = FASTEST.read(stream, schema, names, None, {})
        except Exception as error:
            raise UndecodableRecord(unreadable_field(value[PREFIX_LENGTH:], schema, error)) from error
        if stream.tell() != len(value) and version.name not in self._stop_before:
            raise _surplus(version.name, stream, value)
        return Decoded(version.name, version.version, version.id, fields)

    def name_of(self, value: bytes) -> str:
        """Return the full name of what the record claims to be. Raises like `decode`, of which it reads the prefix."""
        return self._readable(id_in(value)).version.name

    def describe(self, value: bytes) -> str:
        """Return what the record claims to be, such as `ensemble.events.OrderPlaced v1`, without reading its fields."""
        version = self._readable(id_in(value)).version
        return f"{version.name} v{version.version}"

    def _readable(self, schema_id: int) -> _Readable:
        if schema_id not in self._versions:
            version = next(filter(None, (source.find(schema_id) for source in self._sources)), None)
            if version is None:
                raise UnknownSchema(f"schema id {schema_id} is in no schemas directory or registry known here")
            schema = _parse_readable(_head(version.schema, self._stop_before.get(version.name)))
            self._versions[schema_id] = _Readable(version, schema, names_to_read(schema), check_for(schema))
        return self._versions[schema_id]


def _check_value(value: bytes, check: Check | None) -> None:
    """Raise UndecodableRecord if a value is too long to be decoded, or asks too much of a decoder."""
    if len(value) > MAX_VALUE_BYTES:
        raise UndecodableRecord(f"the value takes {len(value)} bytes, the limit is {MAX_VALUE_BYTES}")
    if check is not None:
        check(value[PREFIX_LENGTH:])


def _encoder(schema: Any, prefix: bytes, to_plain: ToPlain) -> Encoder[Any]:
    """Return the encoder that writes behind a prefix. Its names are local: it runs for each message."""
    write, names, options = FASTEST.write, names_in(schema), dict[str, Any]()

    def encode(message: Message) -> bytes:
        content = bytearray(prefix)
        try:
            write(content, to_plain(message), schema, names, "", options)
        except Exception as error:
            raise _unencodable(message, to_plain(message), schema, error) from error
        return bytes(content)

    return encode


def _unencodable(message: BaseModel, fields: dict[str, Any], schema: Any, error: Exception) -> UnencodableMessage:
    field = unwritable_field(fields, schema)
    return UnencodableMessage(f"{type(message).__name__} cannot be written: {field}: {error}")


def _surplus(name: str, stream: io.BytesIO, value: bytes) -> UndecodableRecord:
    return UndecodableRecord(f"{name}: {len(value) - stream.tell()} bytes are left over after its last field")


def _head(schema: Schema, end: str | None) -> Schema:
    """Return a record's schema with the fields before one of them, or with all if it has no such field."""
    fields = schema["fields"]
    stop = next((number for number, field in enumerate(fields) if field["name"] == end), len(fields))
    return {**schema, "fields": fields[:stop]}


def _full_names(schema: Any) -> dict[str, str]:
    return {name.rpartition(".")[2]: name for name in schema["__named_schemas"]}


def _parse_for(schema: Schema, own: Schema) -> Any:
    """Parse a schema for records that a class with the schema `own` reads or writes."""
    _refuse_deep(schema)
    return _parse_text(json.dumps(with_values_of(schema, own) if has_values(own) else without_logical_types(schema)))


def _reader_of(own: Schema, writer: Schema) -> Any:
    """Parse the schema of a class for records of another version.

    Fields that the writer lacks and that have a default are left out: the class gives their values. A schema has
    defaults as JSON, which is no value of a logical type or of bytes, and fastavro would pass on as it is.
    """
    written = {
        node["name"].rpartition(".")[2]: {field["name"] for field in node["fields"]}
        for node in nodes_of(writer)
        if node.get("type") == "record"
    }
    return _without_additions(_parse_for(own, own), written)


def _without_additions(parsed: Any, written: Mapping[str, set[str]]) -> Any:
    if isinstance(parsed, list):
        return [_without_additions(item, written) for item in parsed]
    if not isinstance(parsed, dict):
        return parsed
    copy = {key: value if key == "default" else _without_additions(value, written) for key, value in parsed.items()}
    if copy.get("type") == "record" and (names := written.get(copy["name"].rpartition(".")[2])) is not None:
        copy["fields"] = [field for field in copy["fields"] if field["name"] in names or "default" not in field]
    return copy


def _parse_readable(schema: Schema) -> Any:
    """Parse a schema for records that no class reads."""
    _refuse_deep(schema)
    return _parse_text(json.dumps(with_all_values(schema) if has_values(schema) else without_logical_types(schema)))


def _refuse_deep(schema: Schema) -> None:
    if is_too_deep(schema):
        raise ConfigurationError(f"schema {schema.get('name')} is nested too deeply to be read")


@cache
def _parse_text(schema: str) -> Any:
    """Parse a schema once, however many codecs of a process use it; none of them changes the result."""
    return parse_schema(json.loads(schema), named_schemas={})
