"""Which orders are meant: conditions such as `status=fulfilled` or `age>2h`, and how an order's state answers them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

from ensemble.command_line.errors import Mistake
from ensemble.command_line.times import duration_ms

State = Mapping[str, Any]
_CONDITION: Final = re.compile(r"\s*([a-z_]+)\s*(!=|=|>|<)\s*(.*?)\s*")
STATUSES: Final = (
    "placeholder", "payment_pending", "fulfilled", "completed", "compensating", "cancelled", "compensation_failed",
)  # fmt: skip


@dataclass(frozen=True)
class Field:
    """Something that can be asked of an order."""

    kind: Literal["text", "flag", "age"]
    of: Callable[[State, int], Any]
    """From a state and the time to a text (or nothing), a truth, or milliseconds (or nothing)."""
    help: str


def is_paused(state: State) -> bool:
    return state.get("paused_since") is not None


def is_overdue(state: State, at: int) -> bool:
    """Return whether the deadline has passed and no pause stops it."""
    return not is_paused(state) and state.get("due_at") is not None and state["due_at"] < at


def _terms(name: str) -> Callable[[State, int], Any]:
    return lambda state, _: (state.get("order") or {}).get(name)


FIELDS: Final[Mapping[str, Field]] = {
    "order": Field("text", lambda state, _: state.get("order_id"), "its id; * stands for anything"),
    "status": Field("text", lambda state, _: state["status"], ", ".join(STATUSES)),
    "step": Field("text", lambda state, _: state.get("step"), "the step under way, or being undone"),
    "customer": Field("text", _terms("customer_id"), "customer id"),
    "warehouse": Field("text", _terms("warehouse_id"), "warehouse id"),
    "speed": Field("text", _terms("shipping_speed"), "standard or express"),
    "paused": Field("flag", lambda state, _: is_paused(state), "true or false"),
    "paused_by": Field("text", lambda state, _: state.get("paused_by"), "such as 'step payment' or 'operator *'"),
    "owed": Field("flag", lambda state, _: bool(state.get("owed")), "true or false"),
    "overdue": Field("flag", is_overdue, "true or false"),
    "age": Field(
        "age", lambda state, at: _since((state.get("order") or {}).get("placed_at"), at), "since it was placed"
    ),
    "idle": Field("age", lambda state, at: _since(state.get("updated_at"), at), "since it last changed"),
}


def _since(moment: int | None, at: int) -> int | None:
    return None if moment is None else at - moment


@dataclass(frozen=True)
class Condition:
    """One of them."""

    name: str
    operator: str
    value: str

    def holds(self, state: State, at: int) -> bool:
        """Return whether the order satisfies the condition; an order without the field does not."""
        field = FIELDS[self.name]
        value = field.of(state, at)
        if field.kind == "age":
            limit = duration_ms(self.value, "--where")
            return value is not None and (value > limit if self.operator == ">" else value < limit)
        if field.kind == "flag":
            return (bool(value) == (self.value == "true")) == (self.operator == "=")
        return fnmatchcase(value or "", self.value) == (self.operator == "=")


@dataclass(frozen=True)
class OrderFilter:
    """All conditions: of several `=` on one field one has to hold, of everything else all."""

    conditions: tuple[Condition, ...] = ()

    def takes(self, state: State, at: int) -> bool:
        """Return whether the order matches."""
        either: dict[str, list[bool]] = {}
        for condition in self.conditions:
            is_true = condition.holds(state, at)
            if condition.operator == "=":
                either.setdefault(condition.name, []).append(is_true)
            elif not is_true:
                return False
        return all(any(each) for each in either.values())


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
    return Condition(name, operator, value)


def _check(text: str, condition: Condition) -> None:
    kind, value = FIELDS[condition.name].kind, condition.value
    if (kind == "age") != (condition.operator in "<>"):
        expected = "an age: give it as > or < such as age>2h" if kind == "age" else "no age: give it as = or !="
        raise Mistake(f"--where {text!r}: {condition.name} is {expected}")
    if kind == "flag" and value not in {"true", "false"}:
        raise Mistake(f"--where {text!r}: {condition.name} is true or false")
    if condition.name == "status" and not any(fnmatchcase(status, value) for status in STATUSES):
        raise Mistake(f"--where {text!r}: no such status; statuses are {', '.join(STATUSES)}")
    if kind == "age":
        duration_ms(value, f"--where {text!r}")
