"""Bounds what a record may make its decoder do: the schema is its writer's, and the decoder in C trusts it.

Most schemas bound it by themselves, for each value takes bytes. A record of any other schema (recursive, very deep, or
with items that take no bytes) is walked through before it is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from ensemble.errors import UndecodableRecord

MAX_VALUE_BYTES: Final = 5_000_000
"""The longest value that is decoded. The longest one of ours is an operator's redrive of an edited record."""
_MAX_SCHEMA_DEPTH: Final = 200
"""Levels of JSON in a schema."""
_MAX_DEPTH: Final = 64
"""Levels of values in a record."""
_MAX_VALUES: Final = 200_000
"""Values in a record, those that take no bytes included."""
_MAX_VALUES_A_BYTE: Final = 32
_SIZES: Final = {"null": 0, "boolean": 1, "float": 4, "double": 8}
_TEXTS: Final = frozenset({"string", "bytes"})
_NUMBER_BYTES: Final = 10
"""The longest varint."""

Check = Callable[[bytes], None]
"""Raises UndecodableRecord for Avro that asks too much of a decoder."""


def is_too_deep(schema: Any) -> bool:
    """Return whether a schema is nested so deeply that code that walks through it would run out of stack."""
    level = [schema]
    for _ in range(_MAX_SCHEMA_DEPTH):
        level = [part for node in level for part in _parts(node)]
        if not level:
            return False
    return True


def _parts(node: Any) -> Iterator[Any]:
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return (child for child in children if isinstance(child, dict | list))


def check_for(schema: Any) -> Check | None:
    """Return the check that records of a parsed schema need before they are decoded, or None if they need none."""
    try:
        is_safe = _Costs().of(schema).is_safe
    except _Unbounded:
        is_safe = False
    return None if is_safe else _Walk(schema).check


class _Unbounded(Exception):
    """Reading a value may cost more than its bytes explain."""


@dataclass(frozen=True)
class _Cost:
    """What reading one value costs: as many values at most, beside those of its arrays' and maps' items."""

    values: int
    least_bytes: int
    depth: int

    @property
    def is_safe(self) -> bool:
        """Whether the value alone asks little of a decoder."""
        return self.values <= _MAX_VALUES and self.depth <= _MAX_DEPTH

    def is_safe_item(self, more_bytes: int) -> bool:
        """Return whether items like this, with `more_bytes` each, are as many as their bytes allow."""
        return self.values <= _MAX_VALUES_A_BYTE * (self.least_bytes + more_bytes)


class _Costs:
    """The costs of the types of one schema."""

    def __init__(self) -> None:
        self._by_name: dict[str, _Cost | None] = {}
        """None: the type's fields are being looked at."""

    def of(self, schema: Any) -> _Cost:
        """Return the cost of a value. Raises _Unbounded if it has no bound."""
        match schema:
            case str():
                return self._of_name(schema)
            case list():
                return self._of_union([self.of(branch) for branch in schema])
            case dict():
                return self._of_complex(schema)
        raise _Unbounded

    def _of_complex(self, schema: dict[str, Any]) -> _Cost:
        match schema["type"]:
            case "record" | "error":
                return self._of_record(schema["name"], schema["fields"])
            case "array":
                return self._of_items(self.of(schema["items"]), 0)
            case "map":
                return self._of_items(self.of(schema["values"]), 1)
            case "fixed" | "enum":
                return self._of_scalar(schema["name"], schema.get("size", 1))
        return self.of(schema["type"])

    @staticmethod
    def _of_union(branches: list[_Cost]) -> _Cost:
        values, least_bytes = (b.values for b in branches), (b.least_bytes for b in branches)
        return _sum(1 + max(values, default=0), 1 + min(least_bytes, default=0), branches)

    def _of_scalar(self, name: str, size: int) -> _Cost:
        cost = self._by_name[name] = _Cost(1, size, 1)
        return cost

    def _of_name(self, name: str) -> _Cost:
        if name not in self._by_name:
            return _Cost(1, _SIZES.get(name, 1), 1)
        cost = self._by_name[name]
        if cost is None:
            raise _Unbounded
        return cost

    def _of_record(self, name: str, fields: list[Any]) -> _Cost:
        self._by_name[name] = None
        parts = [self.of(field["type"]) for field in fields]
        cost = _sum(1 + sum(p.values for p in parts), sum(p.least_bytes for p in parts), parts)
        self._by_name[name] = cost
        return cost

    def _of_items(self, item: _Cost, key_bytes: int) -> _Cost:
        if not item.is_safe_item(key_bytes):
            raise _Unbounded
        return _sum(1, 1, [item])


def _sum(values: int, least_bytes: int, parts: list[_Cost]) -> _Cost:
    return _Cost(values, least_bytes, 1 + max((part.depth for part in parts), default=0))


class _Ended(Exception):
    """The bytes end here, and the decoder will say so."""


class _Walk:
    """Walks through records of one schema as a decoder does, without making anything of them."""

    def __init__(self, schema: Any) -> None:
        self._schema, self._types = schema, schema.get("__named_schemas", {})
        self._avro, self._at, self._values = b"", 0, 0

    def check(self, avro: bytes) -> None:
        """Raise UndecodableRecord if the record is too deep, or holds more values than its size explains."""
        self._avro, self._at, self._values = avro, 0, 0
        try:
            self._value(self._schema, 1)
        except _Ended:
            pass  # the decoder says so
        finally:
            self._avro = b""

    def _value(self, schema: Any, depth: int) -> None:
        self._values += 1
        if depth > _MAX_DEPTH:
            raise UndecodableRecord(f"the record's values are nested more than {_MAX_DEPTH} levels deep")
        if self._values > _MAX_VALUES:
            raise UndecodableRecord(f"the record holds more than {_MAX_VALUES} values")
        match schema:
            case str():
                self._named(schema, depth)
            case list():
                self._value(self._branch(schema), depth + 1)
            case dict():
                self._complex(schema, depth)

    def _named(self, name: str, depth: int) -> None:
        if name in self._types:
            self._complex(self._types[name], depth)
        elif name in _TEXTS:
            self._skip(self._length())
        elif name in _SIZES:
            self._skip(_SIZES[name])
        else:
            self._number()

    def _complex(self, schema: dict[str, Any], depth: int) -> None:
        match schema["type"]:
            case "record" | "error":
                for field in schema["fields"]:
                    self._value(field["type"], depth + 1)
            case "array":
                self._items(schema["items"], depth, has_keys=False)
            case "map":
                self._items(schema["values"], depth, has_keys=True)
            case "fixed":
                self._skip(schema["size"])
            case "enum":
                self._number()
            case inner:
                self._value(inner, depth)

    def _items(self, items: Any, depth: int, *, has_keys: bool) -> None:
        while count := self._number():
            if count < 0:
                raise UndecodableRecord("the record has blocks with a size, which are not read under such a schema")
            for _ in range(count):
                if has_keys:
                    self._skip(self._length())
                self._value(items, depth + 1)

    def _branch(self, branches: list[Any]) -> Any:
        index = self._number()
        if not 0 <= index < len(branches):
            raise UndecodableRecord(f"the record's union branch {index} does not exist")
        return branches[index]

    def _length(self) -> int:
        length = self._number()
        if length < 0:
            raise UndecodableRecord(f"the record holds a text of length {length}")
        return length

    def _skip(self, length: int) -> None:
        self._at += length
        if self._at > len(self._avro):
            raise _Ended

    def _number(self) -> int:
        """Return the number that is next, in 64 bits as a decoder reads it."""
        raw = 0
        for position in range(_NUMBER_BYTES):
            if self._at >= len(self._avro):
                raise _Ended
            byte = self._avro[self._at]
            self._at += 1
            raw |= (byte & 0x7F) << 7 * position
            if not byte & 0x80:
                raw &= 2**64 - 1
                return (raw >> 1) ^ -(raw & 1)
        raise UndecodableRecord(f"the record holds a number of more than {_NUMBER_BYTES} bytes")
