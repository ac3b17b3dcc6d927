"""Defines commands, events and states, their Avro schemas and bytes, and the gate between schema versions."""

from typing import TYPE_CHECKING

from ensemble.lazy import import_on_first_use
from ensemble.messages.cloud_events import Envelope, type_headers
from ensemble.messages.codec import (
    PREFIX_LENGTH,
    Decoded,
    GenericDecoder,
    decoder_for_new_schema,
    decoders_for,
    encoder_for,
    prefix_of,
)
from ensemble.messages.diagnosis import field_faults, invalid_fields
from ensemble.messages.fields import AvroEnum, AvroFixed, Int32, Int64, Millis, Seconds
from ensemble.messages.json_values import read_json
from ensemble.messages.message import (
    Message,
    NestedRecord,
    json_type_name,
    schema_name,
    schema_of,
    schema_sets,
    schemas_of,
)
from ensemble.messages.records import Headers, RecordPlace, StoredRecord, bounded_id, trace_in, why_oversized
from ensemble.messages.schema_set import SchemaSourceSelector, without_logical_types

if TYPE_CHECKING:
    from ensemble.messages.release import check_compatibility, plan_releases, release_schemas
    from ensemble.messages.schema_files import changed_files, documented_schema, find_outdated, write_schemas

__all__ = [
    "PREFIX_LENGTH",
    "AvroEnum",
    "AvroFixed",
    "Decoded",
    "Envelope",
    "GenericDecoder",
    "Headers",
    "Int32",
    "Int64",
    "Message",
    "Millis",
    "NestedRecord",
    "RecordPlace",
    "SchemaSourceSelector",
    "Seconds",
    "StoredRecord",
    "bounded_id",
    "changed_files",
    "check_compatibility",
    "decoder_for_new_schema",
    "decoders_for",
    "documented_schema",
    "encoder_for",
    "field_faults",
    "find_outdated",
    "invalid_fields",
    "json_type_name",
    "plan_releases",
    "prefix_of",
    "read_json",
    "release_schemas",
    "schema_name",
    "schema_of",
    "schema_sets",
    "schemas_of",
    "trace_in",
    "type_headers",
    "why_oversized",
    "without_logical_types",
    "write_schemas",
]

# Comparing schemas loads Apache Avro, and documenting them reads source code: a service does without both.
if not TYPE_CHECKING:  # a type checker knows each name by its import above, and no other
    __getattr__ = import_on_first_use(
        __name__,
        {
            "check_compatibility": "ensemble.messages.release",
            "plan_releases": "ensemble.messages.release",
            "release_schemas": "ensemble.messages.release",
            "documented_schema": "ensemble.messages.schema_files",
            "find_outdated": "ensemble.messages.schema_files",
            "changed_files": "ensemble.messages.schema_files",
            "write_schemas": "ensemble.messages.schema_files",
        },
    )
