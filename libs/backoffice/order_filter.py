"""Which orders are meant: conditions such as `status=fulfilled` or `age>2h`, answered by the tables or by a state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, Literal

State = Mapping[str, Any]
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
    sql: str
    """The same of a row of the orders: a text, a truth with `:now` for the time, or the moment that an age begins."""


def is_paused(state: State) -> bool:
    return state.get("paused_since") is not None


def is_overdue(state: State, at: int) -> bool:
    """Return whether the deadline has passed and no pause stops it."""
    return not is_paused(state) and state.get("due_at") is not None and state["due_at"] < at


def _terms(name: str) -> Callable[[State, int], Any]:
    return lambda state, _: (state.get("order") or {}).get(name)


FIELDS: Final[Mapping[str, Field]] = {
    "order": Field("text", lambda state, _: state.get("order_id"), "its id; * stands for anything", "order_id"),
    "status": Field("text", lambda state, _: state["status"], ", ".join(STATUSES), "status"),
    "step": Field("text", lambda state, _: state.get("step"), "the step under way, or being undone", "step"),
    "customer": Field("text", _terms("customer_id"), "customer id", "customer_id"),
    "warehouse": Field("text", _terms("warehouse_id"), "warehouse id", "warehouse_id"),
    "speed": Field("text", _terms("shipping_speed"), "standard or express", "shipping_speed"),
    "paused": Field("flag", lambda state, _: is_paused(state), "true or false", "paused_since IS NOT NULL"),
    "paused_by": Field(
        "text", lambda state, _: state.get("paused_by"), "such as 'step payment' or 'operator *'", "paused_by"
    ),
    "owed": Field("flag", lambda state, _: bool(state.get("owed")), "true or false", "owed IS NOT NULL"),
    "overdue": Field("flag", is_overdue, "true or false", "(paused_since IS NULL AND due_at < :now)"),
    "age": Field(
        "age",
        lambda state, at: _since((state.get("order") or {}).get("placed_at"), at),
        "since it was placed",
        "placed_at",
    ),
    "idle": Field("age", lambda state, at: _since(state.get("updated_at"), at), "since it last changed", "changed_at"),
}


def _since(moment: int | None, at: int) -> int | None:
    return None if moment is None else at - moment


@dataclass(frozen=True)
class Condition:
    """One of them. The value of an age is a duration in milliseconds, that of a flag `true` or `false`."""

    name: str
    operator: str
    value: str
    milliseconds: int = 0

    def holds(self, state: State, at: int) -> bool:
        """Return whether the order satisfies the condition; an order without the field does not."""
        field = FIELDS[self.name]
        value = field.of(state, at)
        if field.kind == "age":
            limit = self.milliseconds
            return value is not None and (value > limit if self.operator == ">" else value < limit)
        if field.kind == "flag":
            return (bool(value) == (self.value == "true")) == (self.operator == "=")
        return fnmatchcase(value or "", self.value) == (self.operator == "=")

    def sql(self, at: int) -> tuple[str, list[Any]]:
        """Return the condition on a row, and its parameters; it holds for the same orders as `holds`."""
        field = FIELDS[self.name]
        if field.kind == "age":
            return f"{field.sql} {'<' if self.operator == '>' else '>'} ?", [at - self.milliseconds]
        if field.kind == "flag":
            is_so = (self.value == "true") == (self.operator == "=")
            text = field.sql.replace(":now", "?")
            return (text if is_so else f"NOT coalesce({text}, 0)"), [at] * field.sql.count(":now")
        return self._text_sql(field.sql)

    def _text_sql(self, column: str) -> tuple[str, list[Any]]:
        is_pattern = any(character in self.value for character in "*?[")
        comparison = "GLOB" if is_pattern else "="
        value = self.value.replace("[!", "[^") if is_pattern else self.value
        if self.operator != "=" or fnmatchcase("", self.value):  # an order without the field counts as the empty text
            return f"{'NOT ' if self.operator != '=' else ''}coalesce({column}, '') {comparison} ?", [value]
        return f"{column} {comparison} ?", [value]


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

    def sql(self, at: int) -> tuple[str, list[Any]]:
        """Return what follows WHERE, and its parameters: the filter on rows of known orders."""
        either: dict[str, list[str]] = {}
        parameters: dict[str, list[Any]] = {}
        for number, condition in enumerate(self.conditions):
            group = condition.name if condition.operator == "=" else f"{condition.name} {number}"
            text, values = condition.sql(at)
            either.setdefault(group, []).append(text)
            parameters.setdefault(group, []).extend(values)
        clauses = [f"({' OR '.join(texts)})" for texts in either.values()]
        is_order = "+status IS NOT NULL"  # the plus keeps SQLite from looking all orders up by it: nearly all have one
        return " AND ".join([is_order, *clauses]), [value for p in parameters.values() for value in p]
