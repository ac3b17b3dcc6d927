"""Turns messages into plain values for the Avro writer. What to convert is decided once for each class."""

from __future__ import annotations

import types
from collections import abc
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel

from ensemble.messages.avro_types import UNIONS, unalias

ToPlain = Callable[[Any], dict[str, Any]]
"""Returns the fields of an instance as values that the Avro writer takes."""
_Convert = Callable[[Any], Any]
"""Does so for one value."""


def plain_for(model: type[BaseModel], full_names: Mapping[str, str]) -> ToPlain | None:
    """Return the function for instances of `model`, or None if the instance's own `__dict__` will do.

    `full_names` has the full Avro name of each nested record, by class name.
    """
    converters = {name: _converter(entry.annotation, full_names) for name, entry in model.model_fields.items()}
    nested = tuple((name, convert) for name, convert in converters.items() if convert is not None)
    if not nested:
        return None
    return _convert_one(*nested[0]) if len(nested) == 1 else _convert_several(nested)


def _convert_one(name: str, convert: _Convert) -> ToPlain:
    def to_plain(model: Any) -> dict[str, Any]:
        values: dict[str, Any] = model.__dict__.copy()
        values[name] = convert(values[name])
        return values

    return to_plain


def _convert_several(nested: tuple[tuple[str, _Convert], ...]) -> ToPlain:
    def to_plain(model: Any) -> dict[str, Any]:
        values: dict[str, Any] = model.__dict__.copy()
        for name, convert in nested:
            values[name] = convert(values[name])
        return values

    return to_plain


def _converter(annotation: Any, full_names: Mapping[str, str]) -> _Convert | None:
    annotation = _bare(annotation)
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in UNIONS:
        return _optional_converter(next(arg for arg in args if arg is not types.NoneType), full_names)
    if origin is tuple:
        return _items_converter(_converter(args[0], full_names))
    if origin in {dict, abc.Mapping}:
        return _map_converter(_converter(args[1], full_names))
    return (plain_for(annotation, full_names) or vars) if _is_record(annotation) else None


def _bare(annotation: Any) -> Any:
    """Return the type behind aliases and annotations."""
    annotation = unalias(annotation)
    return _bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def _is_record(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _optional_converter(inner: Any, full_names: Mapping[str, str]) -> _Convert | None:
    """Pair a record with its name: the writer would otherwise validate all of it to find its branch of the union.

    Make a list of a tuple: the writer would take one of two values for such a pair.
    """
    inner = _bare(inner)
    if get_origin(inner) in UNIONS:
        return _converter(inner, full_names)
    convert = _converter(inner, full_names) or (list if get_origin(inner) is tuple else None)
    if convert is None:
        return None
    if not _is_record(inner):
        return lambda value: None if value is None else convert(value)
    name = full_names[inner.__name__]
    return lambda value: None if value is None else (name, convert(value))


def _map_converter(convert: _Convert | None) -> _Convert | None:
    return None if convert is None else lambda values: {key: convert(value) for key, value in values.items()}


def _items_converter(convert: _Convert | None) -> _Convert | None:
    return None if convert is None else lambda values: list(map(convert, values))
