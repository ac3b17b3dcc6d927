"""How a message becomes plain values for the Avro writer. Compiled once per class; a flat message needs nothing."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

Plain = Callable[[Any], dict[str, Any]]
_Convert = Callable[[Any], Any]


def plain_for(model: type[BaseModel]) -> Plain | None:
    """A function from instance to dict, or None when the instance's own `__dict__` will do."""
    found = {name: _converter(entry.annotation) for name, entry in model.model_fields.items()}
    nested = tuple((name, convert) for name, convert in found.items() if convert is not None)
    if not nested:
        return None
    return _one(*nested[0]) if len(nested) == 1 else _several(nested)


def _one(name: str, convert: _Convert) -> Plain:
    def plain(model: Any) -> dict[str, Any]:
        values: dict[str, Any] = model.__dict__.copy()
        values[name] = convert(values[name])
        return values

    return plain


def _several(nested: tuple[tuple[str, _Convert], ...]) -> Plain:
    def plain(model: Any) -> dict[str, Any]:
        values: dict[str, Any] = model.__dict__.copy()
        for name, convert in nested:
            values[name] = convert(values[name])
        return values

    return plain


def _converter(annotation: Any) -> _Convert | None:
    origin = get_origin(annotation)
    if origin is Annotated:
        return _converter(get_args(annotation)[0])
    if origin in {Union, types.UnionType}:
        return _of_optional(annotation)
    if origin is tuple:
        return _of_items(get_args(annotation)[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return plain_for(annotation) or vars
    return None


def _of_optional(annotation: Any) -> _Convert | None:
    rest = [arg for arg in get_args(annotation) if arg is not types.NoneType]
    inner = _converter(rest[0])
    return None if inner is None else lambda value: None if value is None else inner(value)


def _of_items(item: Any) -> _Convert | None:
    inner = _converter(item)
    return None if inner is None else lambda values: [inner(value) for value in values]
