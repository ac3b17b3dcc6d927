"""Values of policies, and where each comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

from ensemble.policies.toml_file import PolicyFile, Where

T = TypeVar("T")

DEFAULT: Final = "default"


@dataclass(frozen=True)
class PolicyValue:
    """One value in force."""

    section: str
    """The table that it belongs to: `retry`, `handlers.AttemptCharge`."""
    key: str
    value: Any
    """As JSON has it."""
    origin: str
    """`default`, a file with its line, or an environment variable."""


PolicyValues = Mapping[str, PolicyValue]
"""The values of one table, by key."""


def overlay(below: PolicyValues, file: PolicyFile, where: Where) -> dict[str, PolicyValue]:
    """Return the values of a table: the file's over those `below`."""
    section = ".".join(where)
    values = {key: replace(value, section=section) for key, value in below.items()}
    for key, value in file.table(*where).items():
        values[key] = PolicyValue(section, key, value, file.place((*where, key)))
    return values


def plain(values: PolicyValues) -> dict[str, Any]:
    """Return the values without their origin."""
    return {key: value.value for key, value in values.items()}


def make_policy(kind: type[T], values: Mapping[str, Any]) -> T:
    """Make a policy, strictly: text is not taken for a number. Raises pydantic's ValidationError."""
    return TypeAdapter(kind).validate_json(json.dumps(values, default=str), strict=True)


def origin_of(file: PolicyFile, where: Where, overrides: Iterable[str]) -> str:
    """Return what is recorded with each attempt: the table, the file's content, and the environment's `overrides`."""
    origin = f"{file.origin} {'.'.join(where)}" if file.table(*where) else DEFAULT
    return ", ".join([origin, *overrides])
