"""Makes the Avro schema of a message class from its fields, or says which field Avro has no type for.

bool str float bytes            boolean, string, double, bytes
Int32, Int64, a bounded int     int or long, whichever holds the bounds
Millis                          timestamp-millis
AwareDatetime date time UUID    timestamp-micros, date, time-micros, uuid
Decimal with its digits         decimal
Literal, an Enum of texts       enum
bytes with AvroFixed            fixed
tuple[X, ...], Mapping[str, X]  array, map
X | None                        a union with null
another model                   record
"""

from __future__ import annotations

import re
import types
import typing
from collections import abc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Final, Literal, NoReturn, Union, get_args, get_origin
from uuid import UUID

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt, MaxLen, MinLen
from pydantic import AwareDatetime, BaseModel, EncodedBytes, EncodedStr, Json
from pydantic.errors import PydanticUndefinedAnnotation
from pydantic.fields import FieldInfo

from ensemble.errors import ConfigurationError
from ensemble.messages.avro_defaults import MOST_DIGITS, default_json
from ensemble.messages.fields import AvroEnum, AvroFixed, EpochMillis
from ensemble.messages.record_rules import config_fault, default_fault, field_fault

Schema = dict[str, Any]
Docs = Callable[[type[BaseModel]], Mapping[str, str]]
"""Returns the documentation of a model: by field name, that of the model itself under the empty name."""
FieldOrder = Mapping[str, Sequence[str]]
"""The fields that come first, by the name of the record; the others follow in the order of the class."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PRIMITIVES: Final = frozenset({"null", "boolean", "int", "long", "float", "double", "bytes", "string"})
_INT_RANGES: Final = {"int": (-(2**31), 2**31 - 1), "long": (-(2**63), 2**63 - 1)}
UNIONS: Final = (Union, types.UnionType)
"""How Python writes that a value is one of several types."""
_DECODED_ONCE_MORE: Final = (EncodedBytes, EncodedStr, Json)
"""What pydantic takes as text and decodes when it makes a message: what it has decoded is written, and read as text."""
_PLAIN: Final[dict[Any, str | Schema]] = {
    bool: "boolean",
    str: "string",
    float: "double",
    AwareDatetime: {"type": "long", "logicalType": "timestamp-micros"},
    date: {"type": "int", "logicalType": "date"},
    time: {"type": "long", "logicalType": "time-micros"},
    UUID: {"type": "string", "logicalType": "uuid"},
}
_REMEDIES: Final[dict[Any, str]] = {
    Any: "Avro has no type for Any; name the type",
    object: "Avro has no type for object; name the type",
    datetime: "a datetime without a zone is another moment on each machine; write AwareDatetime, or Millis",
    list: "a list can be changed in place; write tuple[X, ...]",
    set: "Avro has no sets; write tuple[X, ...]",
    frozenset: "Avro has no sets; write tuple[X, ...]",
    tuple: "an array holds values of one type; write tuple[X, ...]",
    dict: "a dict can be changed in place; write Mapping[str, X]",
    abc.Mapping: "a map needs the type of its values; write Mapping[str, X]",
}


def avro_schema(model: type[BaseModel], docs: Docs | None = None, order: FieldOrder | None = None) -> Schema:
    """Return the Avro schema of a model, without a namespace.

    Raises ConfigurationError that names class and field if Avro cannot express one, with what to write instead.
    """
    owner = f"{model.__module__}.{model.__qualname__}"
    return _Writer(owner, docs or (lambda _: {}), order or {}).record(model, "")


@dataclass(frozen=True)
class _Hint:
    """A type hint taken apart: the type, and its annotations."""

    type: Any
    metadata: tuple[Any, ...] = ()

    def marks(self, kind: type) -> list[Any]:
        """Return the annotations of one kind."""
        return [item for item in self.metadata if isinstance(item, kind)]

    def highest(self, kind: type, attribute: str, more: int) -> int | None:
        """Return the narrowest lower bound of a kind plus `more`, or None if it has none."""
        return max((getattr(item, attribute) + more for item in self.marks(kind)), default=None)

    def lowest(self, kind: type, attribute: str, more: int) -> int | None:
        """Return the narrowest upper bound of a kind plus `more`, or None if it has none."""
        return min((getattr(item, attribute) + more for item in self.marks(kind)), default=None)

    def constraint(self, name: str) -> Any:
        """Return a constraint that pydantic keeps under its own name, such as `max_digits`, or None."""
        return next((getattr(item, name) for item in self.metadata if hasattr(item, name)), None)

    @property
    def range(self) -> tuple[int | None, int | None]:
        """The least and the greatest integer that are allowed, None where there is no bound."""
        lows = self.highest(Ge, "ge", 0), self.highest(Gt, "gt", 1)
        highs = self.lowest(Le, "le", 0), self.lowest(Lt, "lt", -1)
        low = max((bound for bound in lows if bound is not None), default=None)
        return low, min((bound for bound in highs if bound is not None), default=None)


class _NoDefault:
    """Stands for the default that a field does not have: None is one."""


_NO_DEFAULT: Final = _NoDefault()


@dataclass
class _Writer:
    """Writes one schema: what it has defined so far is referred to by name."""

    owner: str
    docs: Docs
    order: FieldOrder
    definitions: dict[str, Schema] = field(default_factory=dict)
    """The records, enums and fixed so far, by name."""
    models: dict[str, type[BaseModel]] = field(default_factory=dict)
    """Those of the records."""
    path: tuple[type[BaseModel], ...] = ()

    def record(self, model: type[BaseModel], at: str) -> Schema:
        if model in self.path:
            self.refuse(at, f"{model.__name__} holds itself, and records of any depth are not read; name the levels")
        if not _NAME.fullmatch(model.__name__) or model.__name__ in _PRIMITIVES:
            self.refuse(at, f"{model.__name__} is no name in Avro, a generic's least of all; write a class of its own")
        if fault := config_fault(model):
            self.refuse(at, fault)
        inner = replace(self, path=(*self.path, model))
        docs = self.docs(model)
        doc = {"doc": docs[""]} if docs.get("") else {}
        first = [name for name in self.order.get(model.__name__, ()) if name in model.model_fields]
        names = dict.fromkeys((*first, *model.model_fields))
        fields = [inner.field(model, name, docs.get(name, ""), f"{at}.{name}".lstrip(".")) for name in names]
        return {"type": "record", "name": model.__name__, **doc, "fields": fields}

    def field(self, model: type[BaseModel], name: str, doc: str, at: str) -> Schema:
        info = model.model_fields[name]
        if not _NAME.fullmatch(name):
            self.refuse(at, "a name in Avro has letters of ASCII, digits and underscores")
        if fault := field_fault(info):
            self.refuse(at, fault)
        hint = _take_apart(info.annotation)
        hint = _Hint(hint.type, (*hint.metadata, *_flatten(info.metadata)))
        default = _NO_DEFAULT if info.is_required() else self.default(info, at)
        avro = self.type_of(hint, f"{model.__name__}{_camel_case(name)}", at, default)
        entry = {"name": name, "type": avro}
        if default is not _NO_DEFAULT:
            entry["default"] = self.as_json(default, avro, at)
            self.check_default(info, default, at)
        return {**entry, "doc": doc} if doc else entry

    def default(self, info: FieldInfo, at: str) -> Any:
        if info.default_factory_takes_validated_data:
            self.refuse(at, "its default follows from other fields; a schema holds one: make the field required")
        first, second = (info.get_default(call_default_factory=True, validated_data={}) for _ in range(2))
        if info.default_factory and first != second:
            self.refuse(at, "its default is another one each time; a schema holds one: make the field required")
        return first

    def type_of(self, hint: _Hint, name: str, at: str, default: Any = _NO_DEFAULT) -> Any:
        """Return the Avro type of a hint. `name` is that of an enum or a fixed without one of its own."""
        if any(isinstance(item, _DECODED_ONCE_MORE) or item is Json for item in hint.metadata):
            self.refuse(
                at, f"a record holds what was decoded, and reading would decode it again; write {_describe(hint.type)}"
            )
        origin = get_origin(hint.type)
        if origin in UNIONS:
            return self.union(hint, name, at, default)
        if origin is None and isinstance(hint.type, type):
            return self.class_type(hint, name, at)
        write = _BY_ORIGIN.get(origin)
        return write(self, hint, name, at) if write else self.refuse(at, _remedy(hint.type))

    def class_type(self, hint: _Hint, name: str, at: str) -> Any:
        kind = hint.type
        if issubclass(kind, Enum) and issubclass(kind, str):
            return self.enum(hint, kind.__name__, tuple(member.value for member in kind), at)
        if issubclass(kind, BaseModel):
            return self.nested(kind, at)
        write = _BY_CLASS.get(kind)
        return write(self, hint, name, at) if write else self.refuse(at, _remedy(kind))

    def plain(self, hint: _Hint, _name: str, _at: str) -> Any:
        avro = _PLAIN[hint.type]
        return dict(avro) if isinstance(avro, dict) else avro

    def union(self, hint: _Hint, name: str, at: str, default: Any) -> list[Any]:
        inner = [arg for arg in get_args(hint.type) if arg is not types.NoneType]
        if len(inner) != 1:
            self.refuse(
                at, f"a union holds None and one other type, not {_describe(hint.type)}; write a field for each"
            )
        one = _take_apart(inner[0])
        one = _Hint(one.type, (*one.metadata, *hint.metadata))
        if get_origin(one.type) in UNIONS:  # under an annotation or a name of its own; Avro has no union in a union
            return self.union(one, name, at, default)
        avro = self.type_of(one, name, at)
        return ["null", avro] if default is None or default is _NO_DEFAULT else [avro, "null"]

    def integer(self, hint: _Hint, _name: str, at: str) -> Any:
        least, most = hint.range
        for avro, (lowest, highest) in _INT_RANGES.items():
            if least is not None and most is not None and lowest <= least and most <= highest:
                return {"type": "long", "logicalType": "timestamp-millis"} if hint.marks(EpochMillis) else avro
        allowed = f"{'any' if least is None else least} to {'any' if most is None else most}"
        return self.refuse(at, f"an int of {allowed} is more than Avro's 64 bits; write Int32 or Int64")

    def decimal(self, hint: _Hint, _name: str, at: str) -> Schema:
        digits, places = hint.constraint("max_digits"), hint.constraint("decimal_places")
        if digits is None or places is None:
            self.refuse(at, "a Decimal needs its digits: Annotated[Decimal, Field(max_digits=12, decimal_places=2)]")
        if not 0 <= places <= digits <= MOST_DIGITS:
            self.refuse(at, f"a decimal has 1 to {MOST_DIGITS} digits, and no more of them behind the point")
        return {"type": "bytes", "logicalType": "decimal", "precision": digits, "scale": places}

    def bytes_or_fixed(self, hint: _Hint, name: str, at: str) -> Any:
        return self.fixed(hint, name, at) if hint.marks(AvroFixed) else "bytes"

    def fixed(self, hint: _Hint, name: str, at: str) -> Any:
        least, most = hint.highest(MinLen, "min_length", 0), hint.lowest(MaxLen, "max_length", 0)
        if least is None or least != most:
            self.refuse(at, "AvroFixed needs one length; write Field(min_length=32, max_length=32) beside it")
        name = hint.marks(AvroFixed)[-1].name or name
        return self.define(name, {"type": "fixed", "name": name, "size": least}, at)

    def literal(self, hint: _Hint, name: str, at: str) -> Any:
        return self.enum(hint, name, get_args(hint.type), at)

    def enum(self, hint: _Hint, name: str, symbols: tuple[Any, ...], at: str) -> Any:
        mark = next(iter(reversed(hint.marks(AvroEnum))), AvroEnum())
        name = mark.name or name
        if not symbols:
            self.refuse(at, f"{name} has no members, so no value is one of them; give it some")
        if wrong := [symbol for symbol in symbols if not isinstance(symbol, str) or not _NAME.fullmatch(symbol)]:
            self.refuse(at, f"{wrong[0]!r} is no symbol in Avro: a text of ASCII letters, digits and underscores")
        schema: Schema = {"type": "enum", "name": name, "symbols": list(symbols)}
        if mark.default is not None:
            if mark.default not in symbols:
                self.refuse(at, f"AvroEnum's default {mark.default!r} is none of its symbols: {', '.join(symbols)}")
            schema["default"] = mark.default
        return self.define(name, schema, at)

    def array(self, hint: _Hint, name: str, at: str) -> Schema:
        args = get_args(hint.type)
        if args[1:] != (...,):
            self.refuse(at, _remedy(tuple))
        return {"type": "array", "items": self.type_of(_take_apart(args[0]), name, f"{at}[]")}

    def map(self, hint: _Hint, name: str, at: str) -> Schema:
        key, value = get_args(hint.type)
        if _take_apart(key).type is not str:
            self.refuse(at, f"the keys of a map are texts in Avro, not {_describe(key)}; write Mapping[str, X]")
        return {"type": "map", "values": self.type_of(_take_apart(value), name, f"{at}{{}}")}

    def nested(self, model: type[BaseModel], at: str) -> Any:
        name = model.__name__
        if self.models.get(name) is model and model not in self.path:
            return name
        if model not in self.path:
            self.check_name(name, at)
        self.complete(model, at)
        self.models[name] = model
        self.definitions[name] = self.record(model, at)
        return self.definitions[name]

    def complete(self, model: type[BaseModel], at: str) -> None:
        """Look up the classes that the model names and that came after it."""
        try:
            model.model_rebuild()
        except PydanticUndefinedAnnotation as error:
            self.refuse(at, f"no class {error.name}, which a field of {model.__name__} names")

    def define(self, name: str, schema: Schema, at: str) -> Any:
        """Return the schema of an enum or fixed at its first use, its name from then on."""
        if self.definitions.get(name) == schema:
            return name
        if not _NAME.fullmatch(name) or name in _PRIMITIVES:
            self.refuse(at, f"{name!r} is no name for a type in Avro: letters of ASCII, digits and underscores")
        self.check_name(name, at)
        self.definitions[name] = schema
        return schema

    def check_name(self, name: str, at: str) -> None:
        if name in {*self.definitions, *self.models, *(model.__name__ for model in self.path)}:
            self.refuse(
                at, f"a second type is called {name}; a name means one thing in a schema: rename one of the two"
            )

    def check_default(self, info: FieldInfo, default: Any, at: str) -> None:
        """Refuse a default that the field does not take: pydantic checks none, so it would be written and not read."""
        is_bounded = info.metadata or (get_args(info.annotation) and default not in ((), {}))
        if is_bounded and default is not None and (fault := default_fault(info, default)):
            self.refuse(at, fault)

    def as_json(self, value: Any, avro: Any, at: str) -> Any:
        """Return a default as JSON, the way Avro spells it for the type."""
        try:
            return default_json(value, avro, self.definitions)
        except (TypeError, ValueError):
            return self.refuse(at, f"the default {value!r} does not fit {_avro_name(avro)}")

    def refuse(self, at: str, reason: str) -> NoReturn:
        raise ConfigurationError(": ".join(filter(None, (self.owner, at, reason))))


_BY_ORIGIN: Final[dict[Any, Callable[[_Writer, _Hint, str, str], Any]]] = {
    Literal: _Writer.literal,
    tuple: _Writer.array,
    abc.Mapping: _Writer.map,
}
_BY_CLASS: Final[dict[Any, Callable[[_Writer, _Hint, str, str], Any]]] = {
    **dict.fromkeys(_PLAIN, _Writer.plain),
    bytes: _Writer.bytes_or_fixed,
    int: _Writer.integer,
    Decimal: _Writer.decimal,
}


def _take_apart(annotation: Any) -> _Hint:
    """Return the type behind aliases and annotations, and the annotations."""
    annotation = unalias(annotation)
    if get_origin(annotation) is not Annotated:
        return _Hint(annotation)
    inner, *annotations = get_args(annotation)
    hint = _take_apart(inner)
    return _Hint(hint.type, (*hint.metadata, *_flatten(annotations)))


def _flatten(annotations: Iterable[Any]) -> Iterator[Any]:
    """Yield annotations one by one, those that stand for several taken apart: of a Field, and `conint`'s Interval."""
    for item in annotations:
        if isinstance(item, FieldInfo):
            yield from _flatten(item.metadata)
        elif isinstance(item, GroupedMetadata):
            yield from _flatten(item)
        else:
            yield item


def unalias(annotation: Any) -> Any:
    """Return what a `type` statement or a NewType stands for."""
    behind = getattr(annotation, "__value__", None) or getattr(annotation, "__supertype__", None)
    return annotation if behind is None else unalias(behind)


def _remedy(kind: Any) -> str:
    origin = get_origin(kind) or kind
    if isinstance(kind, typing.TypeVar):
        return "a generic has no type in Avro until it is filled in; write a class of its own"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "the members of an enum are texts in Avro; inherit from StrEnum"
    return _REMEDIES.get(origin, f"Avro has no type for {_describe(kind)}; make it a NestedRecord, or a text")


def _describe(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and get_origin(kind) is None else str(kind)


def _avro_name(avro: Any) -> str:
    return str(avro.get("logicalType") or avro.get("name") or avro["type"]) if isinstance(avro, dict) else str(avro)


def _camel_case(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
