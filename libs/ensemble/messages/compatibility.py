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
    from avro.schema import ArraySchema, EnumSchema, RecordSchema, UnionSchema, parse


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
    name = getattr(schema, "name", None) if schema.type in {"record", "enum", "fixed"} else None
    return f"{schema.type} {name}" if name else str(schema.type)


def _logical_changes(reader: Any, writer: Any, at: str) -> Iterator[str]:
    """Yield changed logical types: Avro calls them compatible, but they change what the number means."""
    match reader, writer:
        case {"fields": ours}, {"fields": theirs}:
            others = {field["name"]: field for field in theirs}
            for field in ours:
                if field["name"] in others:
                    where = f"{at}.{field['name']}" if at else cast("str", field["name"])
                    yield from _logical_changes(field["type"], others[field["name"]]["type"], where)
        case {"items": ours}, {"items": theirs}:
            yield from _logical_changes(ours, theirs, f"{at}[]")
        case list(), list() if len(reader) == len(writer):
            for own, other in zip(reader, writer, strict=True):
                yield from _logical_changes(own, other, at)
        case _ if _logical(reader) != _logical(writer):
            yield f"{at} means {_logical(writer)} there and {_logical(reader)} here"


def _logical(schema: Any) -> Any:
    return schema.get("logicalType", "a plain value") if isinstance(schema, dict) else "a plain value"
