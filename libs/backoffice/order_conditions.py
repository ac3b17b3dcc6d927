"""Conditions on orders as they are written: `status=fulfilled` or `age>2h`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Final

from backoffice.order_filter import FIELDS, STATUSES, Condition, OrderFilter
from ensemble.operations import Invalid, duration_ms

_CONDITION: Final = re.compile(r"\s*([a-z_]+)\s*(!=|=|>|<)\s*(.*?)\s*")


def parse_conditions(texts: Iterable[str]) -> OrderFilter:
    """Parse conditions. Raises Invalid naming the condition and what is valid there."""
    return OrderFilter(tuple(_parse(text) for text in texts))


def _parse(text: str) -> Condition:
    match = _CONDITION.fullmatch(text)
    fields = f"fields are {', '.join(FIELDS)}"
    if match is None:
        raise _invalid(text, f"give FIELD=VALUE, FIELD!=VALUE, or FIELD>AGE; {fields}")
    name, operator, value = match.groups()
    if name not in FIELDS:
        raise _invalid(text, f"no field {name!r}; {fields}")
    _check(text, Condition(name, operator, value))
    try:
        return Condition(name, operator, value, duration_ms(value) if FIELDS[name].kind == "age" else 0)
    except Invalid as error:
        raise _invalid(text, str(error)) from None


def _check(text: str, condition: Condition) -> None:
    kind, value = FIELDS[condition.name].kind, condition.value
    if (kind == "age") != (condition.operator in "<>"):
        expected = "an age: give it as > or < such as age>2h" if kind == "age" else "no age: give it as = or !="
        raise _invalid(text, f"{condition.name} is {expected}")
    if kind == "flag" and value not in {"true", "false"}:
        raise _invalid(text, f"{condition.name} is true or false")
    if condition.name == "status" and not any(fnmatchcase(status, value) for status in STATUSES):
        raise _invalid(text, f"no such status; statuses are {', '.join(STATUSES)}")


def _invalid(text: str, reason: str) -> Invalid:
    return Invalid(f"{text!r}: {reason}", subject=text, field="where")
