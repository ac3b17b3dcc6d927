"""Values of policies, where each comes from, and the checks that all tables of a policy file share."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from ensemble.policies.toml_file import Fault, PolicyFile, Where

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


def origin_of(file: PolicyFile | None, where: Where, added: Iterable[str]) -> str:
    """What is recorded with an attempt: which table, of which content, and what the environment `added`."""
    of_file = f"{file.origin} {'.'.join(where)}" if file and file.table(*where) else DEFAULT
    return ", ".join([of_file, *added])


def validated(kind: type[T], values: Mapping[str, Any], where: Where) -> tuple[T | None, list[Fault]]:
    """The policy of these values, or what is wrong with them. Strict: a number is no text, and a date is text."""
    try:
        return TypeAdapter(kind).validate_json(json.dumps(values, default=str), strict=True), []
    except ValidationError as error:
        return None, [_fault_of(where, entry["loc"], entry["msg"]) for entry in error.errors(include_url=False)]


def unknown_names(where: Where, found: Collection[str], allowed: Collection[str], what: str) -> Iterator[Fault]:
    """A fault for each name below `where` that is not among the allowed ones; `what` says what these are."""
    listed = ", ".join(sorted(allowed)) or "none"
    for name in found:
        if name not in allowed:
            close = get_close_matches(name, allowed, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            yield Fault((*where, name), f"unknown; {hint}{what}: {listed}")


def not_tables(where: Where, found: Mapping[str, Any]) -> Iterator[Fault]:
    """A fault for each entry below `where` that is not a table."""
    for name, value in found.items():
        if not isinstance(value, Mapping):
            header = ".".join((*where, name))
            yield Fault((*where, name), f"must be a table: write [{header}] and its keys below")


def _fault_of(where: Where, location: tuple[int | str, ...], words: str) -> Fault:
    key = (part for part in location if isinstance(part, str))
    return Fault((*where, *key), words.removeprefix("Value error, "))
