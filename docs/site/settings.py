"""The reference of the settings, from the classes that read them and the docstrings of their fields."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Final, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from ensemble import settings
from ensemble.messages.field_docs import docs_of

_BEGIN: Final = """\
# Settings

All settings are environment variables. A secret may lie in a file, which its variable with `_FILE` behind it names.
`ensemble config show` prints the values in force, and where each comes from.
"""


def render_settings() -> str:
    """Return the page: a table of variables for each class of settings."""
    classes = [kind for kind in vars(settings).values() if _is_settings(kind)]
    return "\n".join([_BEGIN, *(line for kind in classes for line in _chapter(kind))])


def _is_settings(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseSettings) and kind.__module__ == settings.__name__


def _chapter(kind: type[BaseSettings]) -> Iterator[str]:
    docs = docs_of(kind)
    prefix = kind.model_config.get("env_prefix", "").upper()
    yield f"## {kind.__name__}\n\n{inspect.cleandoc(kind.__doc__ or '')}\n"
    yield "| variable | takes | default | meaning |\n|---|---|---|---|"
    for name, field in kind.model_fields.items():
        text = docs[name].replace("|", "\\|")
        yield f"| `{prefix}{name.upper()}` | {_values(field)} | {_default(field)} | {text} |"
    yield ""


def _values(field: FieldInfo) -> str:
    """Return what a variable may hold: choices, or a kind of value with its limits."""
    choices = [value for kind in _alternatives(field.annotation) for value in get_args(kind) if isinstance(value, str)]
    if choices:
        return ", ".join(f"`{value}`" for value in choices)
    names = [getattr(kind, "__name__", str(kind)) for kind in _alternatives(field.annotation)]
    plain_names = {"str": "text", "int": "number", "float": "number", "bool": "true or false", "SecretStr": "secret"}
    return " ".join([*(plain_names.get(name, name.lower()) for name in names), *_limits(field)])


def _alternatives(annotation: object) -> list[object]:
    """Return the members of a union but None, or the annotation itself."""
    is_union = get_origin(annotation) in {Union, type(int | None)}
    return [kind for kind in (get_args(annotation) if is_union else [annotation]) if kind is not type(None)]


def _limits(field: FieldInfo) -> Iterator[str]:
    signs = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    for limit in field.metadata:
        for name, word in signs.items():
            if (value := getattr(limit, name, None)) is not None:
                yield f"{word} {value}"


def _default(field: FieldInfo) -> str:
    return "" if field.default in {None, "", PydanticUndefined} else f"`{field.default}`"
