"""Flags that several commands take together: a dataclass of them, spelled out where a command names it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def expand_flags(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` with each dataclass parameter replaced by one flag for each of its fields."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)}

    @wraps(command)
    def run(**values: Any) -> None:
        objects = {
            name: kind(**{each.name: values.pop(each.name) for each in fields(kind)}) for name, kind in groups.items()
        }
        command(**objects, **values)

    parameters = [
        each
        for name, own in signature(command).parameters.items()
        for each in (_of(groups[name]) if name in groups else [own.replace(annotation=hints[name])])
    ]
    keyword_only = [each.replace(kind=Parameter.KEYWORD_ONLY) for each in parameters]
    run.__signature__ = Signature(keyword_only)  # type: ignore[attr-defined]  # inspect looks for it
    run.__annotations__ = {each.name: each.annotation for each in keyword_only}
    return run


def _of(group: type) -> Iterator[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for each in fields(group):
        yield Parameter(each.name, Parameter.KEYWORD_ONLY, default=each.default, annotation=hints[each.name])
