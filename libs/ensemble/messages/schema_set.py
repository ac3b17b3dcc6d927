"""The schemas of a project's messages: what the classes say now, what was ever released, and under which ids.

commands/ events/ state/   <Name>.avsc, one record a file: what the classes say, as `schemas write` wrote it
registry.json              full name -> version -> id and fingerprint; and `first_id`, where the ids begin
released/                  <Name>.v<N>.avsc, what version N said, never edited
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Protocol

from fastavro import parse_schema
from pydantic import BaseModel, Field, ValidationError

from ensemble.errors import ConfigurationError, describe_error
from ensemble.messages.avro_types import Docs, FieldOrder, Schema
from ensemble.messages.diagnosis import invalid_fields

FOLDERS = ("commands", "events", "state")
DRAFT_IDS = 0x7D00_0000
"""Where the ids of unreleased schemas begin. A draft's id follows from its content, and ends with its release."""
_FIRST_IDS = 0x7F00_0000
_BLOCKS = 0x1000
"""So many blocks of as many ids, for the released schemas of one project each."""


class SchemaVersion(NamedTuple):
    """One schema as it was released, or the working copy while it is not."""

    id: int
    name: str
    version: int
    schema: Schema
    is_released: bool


class SchemaSource(Protocol):
    """A source of schema ids: a directory, or a registry service."""

    def id_of(self, name: str) -> int:
        """Return the id that new records of `name` are written under."""

    def versions(self, name: str) -> list[SchemaVersion]:
        """Return every version of `name` that records may be written in, oldest first."""

    def find(self, schema_id: int) -> SchemaVersion | None:
        """Return the schema of an id, or None if it is unknown."""


class SchemaSourceSelector(Protocol):
    """Chooses each topic's source of ids. Both methods may raise SchemasUnavailable."""

    def source_for(self, topic: str, schemas: SchemaSet) -> SchemaSource:
        """Return the source for records of `schemas` on `topic`; it knows the ids of the directory in any case."""

    def find(self, schema_id: int) -> SchemaVersion | None:
        """Return the schema of an id that came up after start, or None if it is unknown.

        Raises UndecodableRecord with the reason if it is known and cannot be read here.
        """


@dataclass(frozen=True)
class DirectorySourceSelector:
    """`SchemaSourceSelector` without a registry: ids come from the directories alone, and none come up later."""

    def source_for(self, topic: str, schemas: SchemaSet) -> SchemaSource:  # noqa: ARG002  the same on every topic
        return schemas

    def find(self, schema_id: int) -> SchemaVersion | None:  # noqa: ARG002  all are known from the start
        return None


class Declaration(NamedTuple):
    """A message class of a set: its folder, and what makes its schema, without a namespace."""

    folder: str
    make: Callable[[Docs | None, FieldOrder], Schema]
    is_complete: bool = True
    """Whether the schema can be made already."""


@dataclass(frozen=True)
class SchemaSet:
    """The schemas of the message classes that name this set, and the directory that they are written to.

    Most projects need none: classes that name no set share that of their top-level package.

    `namespace`: what the full names begin with, as in `cafe.events.CoffeeOrdered`. The directory need not exist before
    `schemas write`; each file is read when it is first needed. What no class declares is taken from its file.
    """

    directory: Path
    namespace: str = ""

    def declare(self, name: str, declaration: Declaration) -> None:
        """Add the message class `name`, without its namespace.

        Raises ConfigurationError if Avro cannot express it, or if another class of the set has the same name.
        """
        full = self.full_name(declaration.folder, name)
        schema = declaration.make(None, {}) if declaration.is_complete else None
        former = self._declarations.get(full)
        if schema and former and former.is_complete and former.make(None, {}) != schema:
            raise ConfigurationError(f"{full}: another class of this name has other fields; rename one of the two")
        self._declarations[full] = declaration
        for derived in ("working", "_schemas", "_by_id"):
            self.__dict__.pop(derived, None)

    def full_name(self, folder: str, name: str) -> str:
        """Return the full name of a record in one of the folders."""
        return ".".join(filter(None, (self.namespace, folder, name)))

    @property
    def declared(self) -> list[str]:
        """The full names of all message classes."""
        return sorted(self._declarations)

    def declared_schema(self, name: str, docs: Docs | None = None) -> Schema:
        """Return the schema that a message class says, without documentation unless `docs` has some.

        Its fields are in the order of the newest release, new ones last. Raises ConfigurationError.
        """
        schema = self._declarations[name].make(docs, self._released_order(name))
        return {"type": "record", "name": schema["name"], "namespace": name.rpartition(".")[0], **schema}

    def _released_order(self, name: str) -> FieldOrder:
        released = self.registry["schemas"].get(name)
        return _field_order(self.read(self.released_path(name, max(map(int, released))))) if released else {}

    def names(self) -> list[str]:
        """Return the full names of all working schemas."""
        return sorted(self.working)

    def id_of(self, name: str) -> int:
        """Return the id that new records of `name` are written under."""
        return self.versions(name)[-1].id

    def versions(self, name: str) -> list[SchemaVersion]:
        """Return every released version, oldest first, then the working copy if it differs from the last of them."""
        released = self.released_versions(name)
        working = self.schema(name)
        if working is None or (released and fingerprint(released[-1].schema) == fingerprint(working)):
            return released
        draft = SchemaVersion(draft_id(working), name, len(released) + 1, working, is_released=False)
        return [*released, draft]

    def find(self, schema_id: int) -> SchemaVersion | None:
        """Return the schema of an id, or None if this directory has none."""
        return self._by_id.get(schema_id)

    def released_versions(self, name: str) -> list[SchemaVersion]:
        """Return the released versions of `name`, oldest first."""
        return [
            SchemaVersion(entry["id"], name, int(number), self.read(self.released_path(name, number)), is_released=True)
            for number, entry in self.registry["schemas"].get(name, {}).items()
        ]

    def released_path(self, name: str, version: int | str) -> Path:
        """Return the path of a released version's copy."""
        return self.directory / "released" / f"{name.rpartition('.')[2]}.v{version}.avsc"

    @cached_property
    def registry(self) -> Mapping[str, Any]:
        """The content of registry.json; without the file nothing is released."""
        path = self.directory / "registry.json"
        return _read_registry(path) if path.exists() else {"first_id": first_id(self.namespace), "schemas": {}}

    @cached_property
    def working(self) -> dict[str, Schema]:
        """Full name -> what the class says; without a class, what the file says."""
        files = {name: self.read(path) for name, path in self._paths.items()}
        schemas = ((name, self.schema(name)) for name in self._declarations)
        return {**files, **{name: schema for name, schema in schemas if schema is not None}}

    def schema(self, name: str) -> Schema | None:
        """Return what the class says, without a class what the file says, or None without either."""
        if name not in self._declarations:
            return self.working.get(name)
        if name not in self._schemas:
            self._schemas[name] = self.declared_schema(name)
        return self._schemas[name]

    def working_path(self, name: str) -> Path:
        """Return the path of the file that a schema is written to."""
        if name in self._declarations:
            return self.directory / self._declarations[name].folder / f"{name.rpartition('.')[2]}.avsc"
        return self._paths[name]

    @cached_property
    def _schemas(self) -> dict[str, Schema]:
        return {}

    @cached_property
    def _declarations(self) -> dict[str, Declaration]:
        return {}

    @cached_property
    def _paths(self) -> dict[str, Path]:
        paths: dict[str, Path] = {}
        for path in sorted(self.directory.glob("*/*.avsc")):
            if path.parent.name in FOLDERS:
                name = full_name(self.read(path))
                if any(path.stem == other.stem for other in paths.values()):
                    raise ConfigurationError(f"{path}: a second {path.stem}; names are unique in a schemas directory")
                paths[name] = path
        return paths

    @cached_property
    def _by_id(self) -> dict[int, SchemaVersion]:
        names = {*self.working, *self.registry["schemas"]}
        return {version.id: version for name in names for version in self.versions(name)}

    @cached_property
    def _files(self) -> dict[Path, Schema]:
        return {}

    def forget_files(self) -> None:
        """Read files anew when they are needed next: they were written."""
        for derived in ("working", "registry", "_paths", "_files", "_schemas", "_by_id"):
            self.__dict__.pop(derived, None)

    def read(self, path: Path) -> Schema:
        """Return the content of one schema file, which is read once."""
        if path not in self._files:
            self._files[path] = _read_record(path)
        return self._files[path]


def read_json_file(path: Path) -> Schema:
    """Return the JSON object in a file. Raises ConfigurationError, which names the file, if there is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path} does not exist; schemas are read from there") from None
    except ValueError as error:
        raise ConfigurationError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} holds no JSON object")
    return content


def _field_order(schema: Any) -> dict[str, list[str]]:
    """Return the names of the fields of each record in a schema, by the record's name."""
    order: dict[str, list[str]] = {}
    for node in nodes_of(schema):
        if node.get("type") == "record":
            order.setdefault(node["name"].rpartition(".")[2], [entry["name"] for entry in node["fields"]])
    return order


def nodes_of(schema: Any) -> Iterator[Schema]:
    """Yield every object of a schema: the schema itself, its fields and all types below."""
    if isinstance(schema, dict):
        yield schema
    children = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    for child in children:
        yield from nodes_of(child)


def _read_record(path: Path) -> Schema:
    content = read_json_file(path)
    if content.get("type") != "record" or not {"name", "fields"} <= content.keys():
        raise ConfigurationError(f"{path} describes no record: it needs type, name and fields")
    try:
        parse_schema(content, named_schemas={})
    except Exception as error:  # what others wrote can be wrong in any way
        reason = describe_error(error)
        raise ConfigurationError(f"{path} is no Avro schema: {reason}; restore it from version control") from error
    return content


_Version = Annotated[str, Field(pattern="^[1-9][0-9]*$")]


class _Release(BaseModel):
    id: int
    fingerprint: str


class _Registry(BaseModel):
    first_id: int
    schemas: dict[str, dict[_Version, _Release]]


def _read_registry(path: Path) -> Mapping[str, Any]:
    """Return the content of a registry.json. Raises ConfigurationError, which names file and entry, if it is none."""
    content = read_json_file(path)
    try:
        _Registry.model_validate(content, strict=True)
    except ValidationError as error:
        reason = invalid_fields(error)
        raise ConfigurationError(f"{path} is no registry: {reason}; restore it from version control") from None
    return content


def full_name(schema: Schema) -> str:
    """Return namespace and name, such as `ensemble.events.OrderPlaced`."""
    name, namespace = schema["name"], schema.get("namespace")
    return f"{namespace}.{name}" if namespace else str(name)


def fingerprint(schema: Schema) -> str:
    """Return the SHA-256 of everything in a schema except its documentation."""
    return _fingerprint_text(json.dumps(schema))


@cache
def _fingerprint_text(schema: str) -> str:
    text = json.dumps(_without(json.loads(schema), "doc"), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def first_id(namespace: str) -> int:
    """Return where the ids of a new set begin: in one of 4096 blocks, which follows from the namespace.

    So the sets of different projects do not meet, unless two namespaces fall into one block: then begin one of the
    two `registry.json` with another `first_id`.
    """
    return _FIRST_IDS + (zlib.crc32(namespace.encode()) % _BLOCKS) * _BLOCKS + 1


def draft_id(schema: Schema) -> int:
    """Return the id of a schema that has not been released."""
    return DRAFT_IDS + int(fingerprint(schema)[:6], 16)


def without_logical_types(schema: Schema) -> Schema:
    """Return the same schema with times as plain numbers, as records are read and written."""
    plain: Schema = _shorten(_without(schema, "logicalType"))
    return plain


def _shorten(node: Any) -> Any:
    """Shorten `{"type": "long"}` to `"long"`, which a codec reads faster."""
    match node:
        case {"type": str(name)} if len(node) == 1:
            return name
        case dict():
            return {name: _shorten(value) for name, value in node.items()}
        case list():
            return [_shorten(item) for item in node]
        case _:
            return node


def _without(node: Any, key: str) -> Any:
    match node:
        case dict():
            return {
                name: _without(value, key) for name, value in node.items() if name != key or not isinstance(value, str)
            }
        case list():
            return [_without(item, key) for item in node]
        case _:
            return node
