"""Refuses message classes that JSON text does not give back as they were: for the topics that carry JSON."""

from __future__ import annotations

import types
from collections import abc
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import combinations
from pathlib import PurePath
from typing import Annotated, Any, Final, Literal, NoReturn, Union, get_args, get_origin
from uuid import UUID

from pydantic import BaseModel, JsonValue, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from ensemble.errors import ConfigurationError
from ensemble.messages.avro_types import unalias
from ensemble.messages.record_rules import config_fault, default_fault, field_fault

_UNIONS: Final = (Union, types.UnionType)
_TEXTS: Final = (str, bytes, datetime, date, time, timedelta, Decimal, UUID, PurePath)
_LISTS: Final = (tuple, list, set, frozenset, abc.Sequence, abc.Set)
_MAPS: Final = (dict, abc.Mapping, abc.MutableMapping)
_KEYS: Final = (str, int, UUID)


def require_json_types(message: type[BaseModel]) -> None:
    """Raise ConfigurationError, which names class and field, if JSON would not give back what the class holds."""
    _Check(f"{message.__module__}.{message.__qualname__}").record(message, "", ())


class _Check:
    def __init__(self, owner: str) -> None:
        self._owner = owner

    def record(self, model: type[BaseModel], at: str, path: tuple[type[BaseModel], ...]) -> None:
        if model in path:
            self.refuse(at, f"{model.__name__} holds itself, and records of any depth are not read; name the levels")
        if fault := config_fault(model):
            self.refuse(at, fault)
        for name, info in model.model_fields.items():
            self.field(info, f"{at}.{name}".lstrip("."), (*path, model))

    def field(self, info: FieldInfo, at: str, path: tuple[type[BaseModel], ...]) -> None:
        if fault := field_fault(info):
            self.refuse(at, fault)
        if info.exclude:
            self.refuse(at, "exclude=True keeps the field out of its records, where it is missed; take it away")
        self.hint(info.annotation, at, path, has_tag=info.discriminator is not None)
        if not info.is_required() and info.default_factory is None and (fault := default_fault(info, info.default)):
            self.refuse(at, fault)

    def hint(self, hint: Any, at: str, path: tuple[type[BaseModel], ...], *, has_tag: bool = False) -> None:
        if hint is JsonValue:
            return
        hint, origin, args = _take_apart(hint)
        if origin is None:
            self.plain(hint, at, path)
        if origin in _UNIONS:
            self.union(args, at, has_tag=has_tag)
        if origin in _MAPS:
            self.key(args[0], at)
        for arg in args if origin is not Literal else ():
            if arg not in (..., types.NoneType):
                self.hint(arg, at, path)

    def plain(self, hint: Any, at: str, path: tuple[type[BaseModel], ...]) -> None:
        if hint in (Any, object):
            what = f"{_name(hint)} does not say what JSON is read as"
            self.refuse(at, f"{what}; name the type, or take pydantic.JsonValue")
        if isinstance(hint, type) and issubclass(hint, SecretStr | SecretBytes):
            self.refuse(at, f"{hint.__name__} is written as asterisks; take str, and keep secrets out of messages")
        if isinstance(hint, type) and issubclass(hint, BaseModel):
            self.record(hint, at, path)

    def union(self, members: tuple[Any, ...], at: str, *, has_tag: bool) -> None:
        kinds = [(member, kind) for member in members if (kind := _kind(member))]
        for (one, kind), (other, other_kind) in combinations(kinds, 2):
            if kind == other_kind and not has_tag:
                advice = (
                    "write one of them" if kind != "object" else "write one of them, or give the field a discriminator"
                )
                self.refuse(
                    at, f"{_name(one)} and {_name(other)} are both a JSON {kind}, so one is read as the other; {advice}"
                )

    def key(self, hint: Any, at: str) -> None:
        hint, origin, _ = _take_apart(hint)
        if origin is not Literal and not (isinstance(hint, type) and issubclass(hint, _KEYS)):
            self.refuse(
                at, f"the keys of an object are texts in JSON, and {_name(hint)} is more than one thing; write str"
            )

    def refuse(self, at: str, reason: str) -> NoReturn:
        raise ConfigurationError(": ".join(filter(None, (self._owner, at, f"{reason} (its topic carries JSON)"))))


def _kind(hint: Any) -> str:
    """Return what JSON writes a type as where that leaves several types open, or "" where it tells."""
    hint, origin, _ = _take_apart(hint)
    kind = origin or hint
    if not isinstance(kind, type):
        return ""
    if issubclass(kind, _TEXTS):
        return "text"
    if kind in _LISTS:
        return "array"
    return "object" if kind in _MAPS or issubclass(kind, BaseModel) else ""


def _take_apart(hint: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """Return a type behind aliases and annotations, what it is made from, and its arguments."""
    hint = unalias(hint)
    if get_origin(hint) is Annotated:
        return _take_apart(get_args(hint)[0])
    return hint, get_origin(hint), get_args(hint)


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and get_origin(hint) is None else str(hint)
