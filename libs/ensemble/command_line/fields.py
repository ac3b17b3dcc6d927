"""From what was typed to a message: flags, JSON text or a file; what is wrong is named by its flag."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ensemble.command_line.errors import Mistake, UnknownName
from ensemble.command_line.selection import application
from ensemble.errors import ConfigurationError, did_you_mean
from ensemble.messages import Message, field_faults, schema_of
from ensemble.messages.message import Command, Event

Fields = dict[str, Any]
_NO_HINTS: Final[Mapping[str, str]] = {}
_TEXT_TYPES = ("string", "enum")


def message_type(name: str) -> type[Message]:
    """Return the command or event called `name`."""
    names = type_names()
    try:
        message = application().catalogue.message(name)
    except ConfigurationError:
        hint = f"{question} " if (question := did_you_mean(name, names)) else ""
        raise UnknownName(f"TYPE: no message type {name!r}; {hint}types are {', '.join(names)}") from None
    if message.__name__ not in names:
        raise Mistake(f"TYPE: {name} is state of a service; only commands and events can be published")
    return message


def type_names() -> list[str]:
    """Return the names of all commands and events of the catalogue, sorted."""
    kinds = application().catalogue.message_types()
    return sorted(kind.__name__ for kind in kinds if issubclass(kind, Command | Event))


def from_text_or_file(json_text: str | None, file: Path | None) -> Fields:
    """Parse the object that --data gives, or the file of --file; none without either. Raises Mistake for both."""
    if json_text is not None and file is not None:
        raise Mistake("--data and --file: give one of them")
    return from_json(json_text, "--data") if json_text is not None else from_file(file) if file else {}


def from_json(text: str, source: str) -> Fields:
    """Parse the object in `text`. Raises Mistake naming `source` and the position of the error."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Mistake(f'{source}: invalid JSON: {error}; give an object such as {{"name": "value"}}') from None
    if not isinstance(document, dict):
        raise Mistake(f"{source}: expected a JSON object with the message's fields, got {type(document).__name__}")
    return document


def from_file(path: Path, flag: str = "--file") -> Fields:
    """Parse the object in the file that `flag` names."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Mistake(f"{flag}: {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Mistake(f"{flag}: {path} is not UTF-8 text") from None
    return from_json(text, f"{flag} {path}")


def from_flags(kind: type[Message], arguments: Sequence[str], hints: Mapping[str, str] = _NO_HINTS) -> Fields:
    """Parse `--order-id order-1 --quantity=3` into fields; numbers become numbers, lists and objects are JSON.

    Raises Mistake; for a flag that is no JSON list it gives the hint under that flag.
    """
    fields: Fields = {}
    rest = list(arguments)
    while rest:
        flag = rest.pop(0)
        if not flag.startswith("--"):
            raise Mistake(f"unexpected argument {flag!r}; give fields as {flags_of(kind)}")
        flag, equals, value = flag.partition("=")
        if not equals:
            if not rest:
                raise Mistake(f"{flag}: missing value")
            value = rest.pop(0)
        name = flag.removeprefix("--").replace("-", "_")
        if name not in kind.model_fields:
            raise Mistake(f"{flag}: {kind.__name__} has no such field; fields are {flags_of(kind)}")
        fields[name] = _typed(kind, name, value, hints.get(flag, ""))
    return fields


def make(kind: type[Message], fields: Mapping[str, Any], advice: str = "give {flags}") -> Message:
    """Return the validated message. Raises Mistake naming each missing or invalid field, with advice.

    `{flags}` in the advice stands for the flags of these fields; of all fields if what is wrong is none of them.
    """
    try:
        return kind.model_validate(dict(fields))
    except ValidationError as error:
        faults = field_faults(error)
        reasons = "; ".join(f"{_where(location)}: {message}" for location, message in faults)
        names = dict.fromkeys(location[0] for location, _ in faults if location and location[0] in kind.model_fields)
        flags = _flags(map(str, names)) or flags_of(kind)
        raise Mistake(f"{kind.__name__} is not valid: {reasons}; {advice.replace('{flags}', flags)}") from None


def _typed(kind: type[Message], name: str, text: str, hint: str) -> Any:
    """Convert the text by the field's Avro type. Text that is no number stays text, for the model to refuse."""
    schema = next(field["type"] for field in schema_of(kind)["fields"] if field["name"] == name)
    branches = schema if isinstance(schema, list) else [schema]
    plain = [branch["type"] if isinstance(branch, dict) else branch for branch in branches]
    if "null" in plain and text == "null":
        return None
    if any(each in _TEXT_TYPES for each in plain):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if "array" not in plain and "record" not in plain:
            return text
        raise Mistake(f"--{name.replace('_', '-')}: {text!r} is not a JSON list{hint and f'; {hint}'}") from None


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the message"


def flags_of(kind: type[Message]) -> str:
    """Return the flags of all fields."""
    return _flags(kind.model_fields)


def _flags(names: Iterable[str]) -> str:
    return " ".join("--" + name.replace("_", "-") for name in names)
