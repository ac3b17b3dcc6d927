"""Explains why one version of a schema cannot read records of another. Apache Avro decides whether it can."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from ensemble.extras import imports_of_extra
from ensemble.messages.avro_types import Schema
from ensemble.messages.schema_set import without_logical_types

with imports_of_extra("cli", "comparing schema versions"):
    from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityResult, SchemaCompatibilityType
    from avro.schema import ArraySchema, EnumSchema, FixedSchema, MapSchema, RecordSchema, UnionSchema, parse


def incompatibilities(reader: Schema, writer: Schema) -> list[str]:
    """Return each reason why code with the schema `reader` cannot read records of the schema `writer`.

    A reason says "here" for the reader and "there" for the writer.
    """
    avro_reader, avro_writer = (parse(json.dumps(without_logical_types(schema))) for schema in (reader, writer))
    verdict = _compare(avro_reader, avro_writer)
    reasons = list(_logical_changes(reader, writer, ""))
    if _is_compatible(verdict):
        return reasons
    return [*reasons, *(list(_reasons(avro_reader, avro_writer, "")) or sorted(verdict.messages))]


def _compare(reader: Any, writer: Any) -> SchemaCompatibilityResult:
    checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]  # the library leaves it untyped
    return checker.get_compatibility(reader, writer)


def _is_compatible(verdict: SchemaCompatibilityResult) -> bool:
    return verdict.compatibility is SchemaCompatibilityType.compatible


def _reasons(reader: Any, writer: Any, at: str) -> Iterator[str]:
    """Yield the reasons at the innermost place where the two schemas still correspond."""
    if _is_compatible(verdict := _compare(reader, writer)):
        return
    match reader, writer:
        case RecordSchema(), RecordSchema():
            yield from _record_reasons(reader, writer, at)
        case ArraySchema(), ArraySchema():
            yield from _reasons(reader.items, writer.items, f"{at}[]")
        case MapSchema(), MapSchema():
            yield from _reasons(reader.values, writer.values, f"{at}{{}}")
        case EnumSchema(), EnumSchema():
            yield from _enum_reasons(reader, writer, at)
        case UnionSchema(), _:
            yield from _union_reasons(reader, writer, at)
        case _, UnionSchema():
            yield f"{at} may be {_describe(writer)} there and must be {_describe(reader)} here"
        case _:
            yield (
                f"{at} is {_describe(writer)} there and {_describe(reader)} here" if at else ", ".join(verdict.messages)
            )


def _record_reasons(reader: RecordSchema, writer: RecordSchema, at: str) -> Iterator[str]:
    if reader.name != writer.name:
        yield f"the record {at} is called {writer.name} there and {reader.name} here".replace("  ", " ")
    theirs = {field.name: field for field in writer.fields}
    for field in reader.fields:
        where = f"{at}.{field.name}" if at else field.name
        if field.name in theirs:
            yield from _reasons(field.type, theirs[field.name].type, where)
        elif not field.has_default:
            yield f"{where} is missing there and has no default here; give it one"


def _enum_reasons(reader: EnumSchema, writer: EnumSchema, at: str) -> Iterator[str]:
    if reader.name != writer.name:
        yield f"the enum of {at} is called {writer.name} there and {reader.name} here"
    unknown = [symbol for symbol in writer.symbols if symbol not in reader.symbols]
    if unknown and not reader.props.get("default"):
        yield f"{at} may be {' or '.join(unknown)} there, which is no symbol here, and the enum has no default"


def _union_reasons(reader: UnionSchema, writer: Any, at: str) -> Iterator[str]:
    branches = writer.schemas if isinstance(writer, UnionSchema) else [writer]
    for branch in branches:
        if _is_compatible(_compare(reader, branch)):
            continue
        same_type = [own for own in reader.schemas if own.type == branch.type]
        if same_type:
            yield from _reasons(same_type[0], branch, at)
        else:
            yield f"{at} may be {_describe(branch)} there and only {_describe(reader)} here"


def _describe(schema: Any) -> str:
    if isinstance(schema, UnionSchema):
        return " or ".join(_describe(branch) for branch in schema.schemas)
    if schema.type not in {"record", "enum", "fixed"}:
        return str(schema.type)
    size = f" of {schema.size} bytes" if isinstance(schema, FixedSchema) else ""
    return f"{schema.type} {schema.name}{size}"


def _logical_changes(reader: Any, writer: Any, at: str) -> Iterator[str]:
    """Yield what Avro calls compatible though it changes what a value means, or is none for the reader's class."""
    match _without_null(reader), _without_null(writer):
        case {"fields": ours}, {"fields": theirs}:
            others = {field["name"]: field for field in theirs}
            for field in ours:
                if field["name"] in others:
                    where = f"{at}.{field['name']}" if at else cast("str", field["name"])
                    yield from _logical_changes(field["type"], others[field["name"]]["type"], where)
        case {"items": ours}, {"items": theirs}:
            yield from _logical_changes(ours, theirs, f"{at}[]")
        case {"values": ours}, {"values": theirs}:
            yield from _logical_changes(ours, theirs, f"{at}{{}}")
        case ours, theirs if {_type(ours), _type(theirs)} == {"bytes", "string"}:
            yield f"{at} is {_type(theirs)} there and {_type(ours)} here, and bytes need not be text"
        case ours, theirs if _logical(ours) != _logical(theirs):
            yield f"{at} means {_logical(theirs)} there and {_logical(ours)} here"


def _without_null(schema: Any) -> Any:
    """Return the other type of a union with null; any other schema as it is."""
    others = [branch for branch in schema if branch != "null"] if isinstance(schema, list) else []
    return others[0] if len(others) == 1 else schema


def _type(schema: Any) -> Any:
    return schema.get("type") if isinstance(schema, dict) else schema if isinstance(schema, str) else None


def _logical(schema: Any) -> str:
    match schema:
        case {"logicalType": "decimal", **rest}:
            return f"a decimal of {rest.get('precision')} digits, {rest.get('scale', 0)} of them behind the point,"
        case {"logicalType": str(logical)}:
            return logical
    return "a plain value"
