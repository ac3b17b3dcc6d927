"""The checks that all tables of a policy file share."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from ensemble.errors import did_you_mean, reason_in
from ensemble.policies.sources import make_policy
from ensemble.policies.toml_file import Fault, PolicyFile, Where

T = TypeVar("T")


def check_names(where: Where, names: Collection[str], allowed: Collection[str], label: str) -> Iterator[Fault]:
    """Yield a fault for each name below `where` that is not allowed; `label` introduces the allowed ones."""
    listing = ", ".join(sorted(allowed)) or "none"
    for name in names:
        if name not in allowed:
            hint = f"{question} " if (question := did_you_mean(name, allowed)) else ""
            yield Fault((*where, name), f"unknown; {hint}{label}: {listing}")


def check_tables(where: Where, entries: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for each entry below `where` that is not a table."""
    for name, value in entries.items():
        if not isinstance(value, Mapping):
            header = ".".join((*where, name))
            yield Fault((*where, name), f"must be a table: write [{header}] and its keys below")


def check_table(file: PolicyFile, where: Where, kind: type[T], below: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what is wrong with the keys of a table, and with the policy that it makes over the values `below`."""
    table = file.table(*where)
    yield from check_names(where, table, below, "its keys are")
    yield from check_values(kind, {**below, **{key: value for key, value in table.items() if key in below}}, where)


def check_values(kind: type[T], values: Mapping[str, Any], where: Where) -> list[Fault]:
    """Return what keeps these values from being a policy of that kind."""
    try:
        make_policy(kind, values)
    except ValidationError as error:
        return [_fault_at(where, entry["loc"], entry["msg"]) for entry in error.errors()]
    return []


def _fault_at(where: Where, location: tuple[int | str, ...], message: str) -> Fault:
    keys = (part for part in location if isinstance(part, str))
    return Fault((*where, *keys), reason_in(message))
