"""From what a registry holds to one Avro record: references are resolved, anything else is refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from ensemble.errors import UndecodableRecord
from ensemble.extras import imports_of_extra
from ensemble.messages.avro_types import Schema
from ensemble.messages.decoding_limits import is_too_deep
from ensemble.messages.schema_set import full_name

with imports_of_extra("registry", "a schema registry"):
    from confluent_kafka.schema_registry import Schema as WireSchema
    from confluent_kafka.schema_registry import SchemaReference

FetchReference = Callable[[SchemaReference], WireSchema | None]
"""Returns the schema that a reference means, or None if the registry does not have it."""

_TOO_DEEP: Final = "it is nested too deeply to be read"
_MOST_REFERENCES: Final = 100
_NAMED: Final = frozenset({"record", "error", "enum", "fixed"})
_NESTED: Final = ("type", "items", "values", "fields")


def record_schema(schema: WireSchema, fetch: FetchReference) -> Schema:
    """Return the Avro record that a registered schema describes, with the types that it refers to inside.

    Raises UndecodableRecord with the reason for any other schema.
    """
    content = _content(schema)
    if not isinstance(content, dict) or content.get("type") != "record" or not isinstance(content.get("name"), str):
        kind = "a union" if isinstance(content, list) else "no record"
        raise UndecodableRecord(f"it is {kind}, and a record of one type is needed: register each type by itself")
    definitions: dict[str, Schema] = {}
    try:
        _collect(schema, fetch, definitions, set())
        inlined: Schema = _shallow(_Inliner(definitions).inline(content, "")) if definitions else content
    except RecursionError:
        raise UndecodableRecord(_TOO_DEEP) from None
    except (KeyError, TypeError, AttributeError):
        raise UndecodableRecord("it, or a type that it refers to, is no Avro schema") from None
    return inlined


def _content(schema: WireSchema) -> Any:
    if schema.schema_type not in {None, "AVRO"}:
        raise UndecodableRecord(f"it is a schema of {schema.schema_type}, and only Avro is read here")
    try:
        return _shallow(json.loads(schema.schema_str or ""))
    except ValueError:
        raise UndecodableRecord("it is no JSON, so no Avro schema") from None
    except RecursionError:
        raise UndecodableRecord(_TOO_DEEP) from None


def _shallow(content: Any) -> Any:
    """Return a schema that code can walk through. Raises UndecodableRecord if it is nested too deeply for that."""
    if is_too_deep(content):
        raise UndecodableRecord(_TOO_DEEP)
    return content


def _collect(
    schema: WireSchema, fetch: FetchReference, definitions: dict[str, Schema], fetched: set[tuple[object, object]]
) -> None:
    """Add the types that the schema refers to, and those that they refer to, each of which is `fetched` once."""
    for reference in schema.references or ():
        place = (reference.subject, reference.version)
        if reference.name in definitions or place in fetched:
            continue
        fetched.add(place)
        if len(definitions) == _MOST_REFERENCES:
            raise UndecodableRecord(f"it refers to more than {_MOST_REFERENCES} types")
        referred = fetch(reference)
        content = _content(referred) if referred else None
        if referred is None or not isinstance(content, dict) or content.get("type") not in _NAMED:
            raise UndecodableRecord(
                f"it refers to {reference.name} ({reference.subject} version {reference.version}), "
                "which the registry has not as a named type"
            )
        definitions[full_name(content)] = content
        _collect(referred, fetch, definitions, fetched)


class _Inliner:
    """Puts each definition where its name comes up first; Avro wants it there, and the name alone afterwards."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._missing = dict(definitions)

    def inline(self, part: Any, namespace: str) -> Any:
        match part:
            case str():
                return self._definition(part, namespace)
            case list():
                return [self.inline(each, namespace) for each in part]
            case {"type": str(kind)} if kind in _NAMED:
                return self._named(part, namespace)
            case dict():
                return {name: self._nested(name, value, namespace) for name, value in part.items()}
            case _:
                return part

    def _named(self, part: Schema, namespace: str) -> Schema:
        is_full = "." in part["name"] or "namespace" in part or not namespace
        name = full_name(part) if is_full else f"{namespace}.{part['name']}"
        self._missing.pop(name, None)
        inner = name.rpartition(".")[0]
        fields = [{**field, "type": self.inline(field["type"], inner)} for field in part.get("fields", ())]
        return {**part, **({"fields": fields} if fields else {})}

    def _nested(self, name: str, value: Any, namespace: str) -> Any:
        return self.inline(value, namespace) if name in _NESTED else value

    def _definition(self, name: str, namespace: str) -> Any:
        absolute = name if "." in name or not namespace else f"{namespace}.{name}"
        key = absolute if absolute in self._missing else name
        definition = self._missing.pop(key, None)
        if definition is None:
            return name
        return self.inline({**definition, "namespace": key.rpartition(".")[0], "name": key.rpartition(".")[2]}, "")
