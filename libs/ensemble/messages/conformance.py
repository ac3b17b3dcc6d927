"""Compares a message class with its .avsc, once, when the class is created."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ensemble.errors import SchemaDrift
from ensemble.messages.fields import EpochMillis
from ensemble.messages.schema_set import Schema

_PRIMITIVES = {"boolean": bool, "string": str, "bytes": bytes, "double": float}
_RANGES = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}


def require_conformance(message_type: type[BaseModel], schema: Schema) -> None:
    """Raise SchemaDrift with every difference, if there is any."""
    differences = list(_Comparison().record(message_type, schema, ""))
    if differences:
        name = f"{message_type.__module__}.{message_type.__qualname__}"
        raise SchemaDrift(f"{name} and its schema {schema.get('name')}.avsc differ: {'; '.join(differences)}")


@dataclass(frozen=True)
class _Hint:
    """A type hint taken apart: the type, and its annotations."""

    type: Any
    metadata: tuple[Any, ...]


@dataclass(frozen=True)
class _Comparison:
    """One walk through a class and its schema, with the records and enums that the schema has defined so far."""

    definitions: dict[str, Schema] = field(default_factory=dict)

    def record(self, model: type[BaseModel], schema: Schema, at: str) -> Iterator[str]:
        if schema["name"] != model.__name__:
            yield f"{at or 'name'}: the class is {model.__name__}, the schema's record {schema['name']}"
        theirs = {entry["name"]: entry for entry in schema["fields"]}
        ours = model.model_fields
        yield from (f"{at}{name}: in the class, not in the schema" for name in ours if name not in theirs)
        yield from (f"{at}{name}: in the schema, not in the class" for name in theirs if name not in ours)
        for name, entry in theirs.items():
            if name in ours:
                yield from self.field(ours[name], entry, f"{at}{name}")

    def field(self, ours: FieldInfo, entry: Schema, at: str) -> Iterator[str]:
        hint = _take_apart(ours.annotation)
        yield from self.type(_Hint(hint.type, (*hint.metadata, *ours.metadata)), entry["type"], at)
        yield from _defaults(ours, entry, at)

    def type(self, hint: _Hint, avro: Any, at: str) -> Iterator[str]:
        avro = self._resolve(avro)
        optional = _inner_of_optional(hint.type)
        if isinstance(avro, list) or optional is not None:
            return self.nullable(optional, avro, at)
        kind = avro["type"]
        if kind in _RANGES:
            return _integer(hint, avro, at)
        match kind:
            case "record":
                return self.nested(hint, avro, at)
            case "array":
                return self.array(hint, avro, at)
            case "enum":
                return _enum(hint, avro, at)
            case _:
                return _primitive(hint, kind, at)

    def nullable(self, inner: Any, avro: Any, at: str) -> Iterator[str]:
        branches = [branch for branch in avro if branch != "null"] if isinstance(avro, list) else []
        if inner is None:
            yield f"{at}: nullable in the schema, not in the class"
        elif not isinstance(avro, list):
            yield f"{at}: nullable in the class, not in the schema"
        elif len(branches) != 1 or len(avro) != 2:  # noqa: PLR2004  a union is null and one type
            yield f"{at}: a union must be null and one other type, the schema has {avro}"
        else:
            yield from self.type(_take_apart(inner), branches[0], at)

    def nested(self, hint: _Hint, avro: Schema, at: str) -> Iterator[str]:
        if isinstance(hint.type, type) and issubclass(hint.type, BaseModel):
            yield from self.record(hint.type, avro, f"{at}.")
        else:
            yield _mismatch(hint, f"record {avro['name']}", at)

    def array(self, hint: _Hint, avro: Schema, at: str) -> Iterator[str]:
        args = get_args(hint.type)
        if get_origin(hint.type) is tuple and args[1:] == (...,):
            yield from self.type(_take_apart(args[0]), avro["items"], f"{at}[]")
        else:
            yield _mismatch(hint, "array, which is tuple[X, ...]", at)

    def _resolve(self, avro: Any) -> Any:
        if isinstance(avro, str):
            return self.definitions.get(avro.rpartition(".")[2], {"type": avro})
        if isinstance(avro, dict) and "name" in avro:
            self.definitions[avro["name"]] = avro
        return avro


def _take_apart(annotation: Any) -> _Hint:
    if get_origin(annotation) is not Annotated:
        return _Hint(annotation, ())
    inner, *annotations = get_args(annotation)
    hint = _take_apart(inner)
    flat = [item for one in annotations for item in (one.metadata if isinstance(one, FieldInfo) else [one])]
    return _Hint(hint.type, (*hint.metadata, *flat))


def _inner_of_optional(annotation: Any) -> Any:
    if get_origin(annotation) not in {Union, types.UnionType}:
        return None
    rest = [arg for arg in get_args(annotation) if arg is not types.NoneType]
    return rest[0] if len(rest) == 1 and len(get_args(annotation)) > 1 else None


def _integer(hint: _Hint, avro: Schema, at: str) -> Iterator[str]:
    if hint.type is not int:
        yield _mismatch(hint, avro["type"], at)
        return
    is_time = any(isinstance(item, EpochMillis) for item in hint.metadata)
    if is_time != (avro.get("logicalType") == "timestamp-millis"):
        yield f"{at}: Millis in the class and timestamp-millis in the schema belong together"
    low, high = _bounds(hint.metadata)
    least, most = _RANGES[avro["type"]]
    if low is None or high is None or low < least or high > most:
        allowed = f"{_describe(low)} to {_describe(high)}"
        yield f"{at}: an Avro {avro['type']} holds {least} to {most}, the class allows {allowed}"


def _bounds(metadata: tuple[Any, ...]) -> tuple[int | None, int | None]:
    lows: list[Any] = [item.ge for item in metadata if isinstance(item, Ge)]
    highs: list[Any] = [item.le for item in metadata if isinstance(item, Le)]
    return max(lows, default=None), min(highs, default=None)


def _describe(bound: int | None) -> str:
    return "any" if bound is None else str(bound)


def _enum(hint: _Hint, avro: Schema, at: str) -> Iterator[str]:
    if get_origin(hint.type) is not Literal:
        yield _mismatch(hint, f"enum {avro['name']}, which is a Literal", at)
        return
    ours, theirs = set(get_args(hint.type)), set(avro["symbols"])
    yield from (
        f"{at}: {symbol!r} is a value of the class, no symbol of the schema" for symbol in sorted(ours - theirs)
    )
    yield from (
        f"{at}: {symbol!r} is a symbol of the schema, no value of the class" for symbol in sorted(theirs - ours)
    )


def _primitive(hint: _Hint, kind: str, at: str) -> Iterator[str]:
    if kind not in _PRIMITIVES:
        yield f"{at}: the schema's type {kind!r} has no counterpart in a message class"
    elif hint.type is not _PRIMITIVES[kind]:
        yield _mismatch(hint, kind, at)


def _mismatch(hint: _Hint, avro: str, at: str) -> str:
    name = getattr(hint.type, "__name__", str(hint.type)) if typing.get_origin(hint.type) is None else str(hint.type)
    return f"{at}: {name} in the class, {avro} in the schema"


class _Missing:
    def __repr__(self) -> str:
        return "none"


_MISSING = _Missing()


def _defaults(ours: FieldInfo, entry: Schema, at: str) -> Iterator[str]:
    mine = _MISSING if ours.is_required() else _as_json(ours.get_default(call_default_factory=True, validated_data={}))
    theirs = entry.get("default", _MISSING)
    if type(mine) is not type(theirs) or mine != theirs:
        yield f"{at}: default {mine!r} in the class, {theirs!r} in the schema"


def _as_json(value: Any) -> Any:
    match value:
        case BaseModel():
            return {name: _as_json(getattr(value, name)) for name in type(value).model_fields}
        case tuple() | list():
            return [_as_json(item) for item in value]
        case _:
            return value
