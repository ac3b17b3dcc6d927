"""Writes the schemas of message classes to their files, and says which file is out of date."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ensemble.errors import ConfigurationError, Problem
from ensemble.messages.avro_types import Schema
from ensemble.messages.field_docs import docs_of
from ensemble.messages.message import Message, schema_name, schemas_of
from ensemble.messages.schema_set import SchemaSet
from ensemble.program import command

_WIDTH: Final = 120


def documented_schema(message_type: type[Message]) -> Schema:
    """Return the Avro schema of a message class with its documentation."""
    return _document(schemas_of(message_type), schema_name(message_type))


def _document(schemas: SchemaSet, name: str) -> Schema:
    return schemas.declared_schema(name, docs_of)


def write_schemas(schemas: SchemaSet) -> list[Path]:
    """Write the file of each message class whose file says something else, and return those files.

    Files that no class declares stay. Raises ConfigurationError if a file cannot be written.
    """
    changed = _changed(schemas)
    for path, text in changed.items():
        _write(path, text)
    schemas.forget_files()
    return [*changed]


def changed_files(schemas: SchemaSet) -> list[Path]:
    """Return the files that `write_schemas` would write."""
    return [*_changed(schemas)]


def _changed(schemas: SchemaSet) -> dict[Path, str]:
    contents = {schemas.working_path(name): render(_document(schemas, name)) for name in schemas.declared}
    return {path: text for path, text in contents.items() if _text_of(path) != text}


def find_outdated(schemas: SchemaSet) -> list[Problem]:
    """Return the classes whose files say something else, each with the first field that differs and what to run.

    A file without a class is one as well, in a set that has classes.
    """
    declared = schemas.declared
    problems = [problem for name in declared for problem in _compare(schemas, name)]
    orphans = [name for name in schemas.names() if name not in declared] if declared else []
    reason = "is declared by no class that was imported; import its module, or delete the file"
    return [*problems, *(Problem(name, f"{schemas.working_path(name)} {reason}") for name in orphans)]


def _compare(schemas: SchemaSet, name: str) -> Iterator[Problem]:
    path, schema = schemas.working_path(name), _document(schemas, name)
    text = _text_of(path)
    if text is None:
        yield Problem(name, f"{path} does not exist; run `{command('schemas write')}`")
    elif text != render(schema):
        yield Problem(
            name, f"{path} is out of date: {_first_difference(schema, text)}; run `{command('schemas write')}`"
        )


def _first_difference(schema: Schema, text: str) -> str:
    try:
        former = {entry["name"]: entry for entry in json.loads(text)["fields"]}
    except (ValueError, LookupError, TypeError):
        return "it is no schema of a record"
    for entry in schema["fields"]:
        if entry["name"] not in former:
            return f"{entry['name']} is in the class only"
        if former.pop(entry["name"]) != entry:
            return f"{entry['name']} is another in the class"
    return f"{next(iter(former))} is in the file only" if former else "documentation, order or layout differ"


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error}") from None


def render(schema: Schema) -> str:
    """Return a schema as text: a node on one line if it has room there, its parts on lines of their own otherwise."""
    return _render(schema, "", is_split=True) + "\n"


def _render(node: Any, indent: str, *, taken: int = 0, is_split: bool = False) -> str:
    """`taken`: the characters before the node on its line, the indentation included."""
    line = json.dumps(node, ensure_ascii=False)
    if not isinstance(node, dict | list) or (taken + len(line) < _WIDTH and not is_split):
        return line
    inner = f"{indent}  "
    if isinstance(node, dict):
        parts = [_render_part(f"{inner}{json.dumps(key)}: ", value, inner) for key, value in node.items()]
    else:
        parts = [_render_part(inner, value, inner) for value in node]
    opening, closing = "{}" if isinstance(node, dict) else "[]"
    return "\n".join((opening, ",\n".join(parts), f"{indent}{closing}"))


def _render_part(head: str, value: Any, indent: str) -> str:
    return head + _render(value, indent, taken=len(head))
