"""Conditions as they are typed: `status=fulfilled` or `age>2h`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from backoffice.order_filter import FIELDS, STATUSES, Condition, OrderFilter
from ensemble.command_line.errors import Mistake
from ensemble.command_line.times import duration_ms

_CONDITION: Final = re.compile(r"\s*([a-z_]+)\s*(!=|=|>|<)\s*(.*?)\s*")


def texts_of(statuses: Iterable[str], **flags: bool) -> list[str]:
    """Return what flags of a command say as conditions. Raises Mistake for a status that there is not."""
    statuses = list(statuses)
    if unknown := [name for name in statuses if name not in STATUSES]:
        raise Mistake(f"--status {unknown[0]}: no such status; statuses are {', '.join(STATUSES)}")
    return [*(f"status={name}" for name in statuses), *(f"{name}=true" for name, is_set in flags.items() if is_set)]


def parse_conditions(texts: Iterable[str]) -> OrderFilter:
    """Parse conditions. Raises Mistake naming the field and the valid ones."""
    return OrderFilter(tuple(_condition(text) for text in texts))


def _condition(text: str) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise Mistake(f"--where {text!r}: give FIELD=VALUE, FIELD!=VALUE, or FIELD>AGE; fields are {', '.join(FIELDS)}")
    name, operator, value = match.groups()
    if name not in FIELDS:
        raise Mistake(f"--where {text!r}: no field {name!r}; fields are {', '.join(FIELDS)}")
    _check(text, Condition(name, operator, value))
    is_age = FIELDS[name].kind == "age"
    return Condition(name, operator, value, duration_ms(value, f"--where {text!r}") if is_age else 0)


def _check(text: str, condition: Condition) -> None:
    kind, value = FIELDS[condition.name].kind, condition.value
    if (kind == "age") != (condition.operator in "<>"):
        expected = "an age: give it as > or < such as age>2h" if kind == "age" else "no age: give it as = or !="
        raise Mistake(f"--where {text!r}: {condition.name} is {expected}")
    if kind == "flag" and value not in {"true", "false"}:
        raise Mistake(f"--where {text!r}: {condition.name} is true or false")
    if condition.name == "status" and not any(fnmatchcase(status, value) for status in STATUSES):
        raise Mistake(f"--where {text!r}: no such status; statuses are {', '.join(STATUSES)}")
