"""Conditions on orders: what each means at its bounds, of a state and of a row of the tables alike."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from backoffice.order_conditions import parse_conditions
from backoffice.order_filter import FIELDS, STATUSES, Condition, OrderFilter
from ensemble.operations import Invalid

NOW = 10_000
ORDER: dict[str, Any] = {
    "order_id": "o-1", "status": "fulfilled", "step": "reservation", "due_at": None, "paused_since": None,
    "paused_by": None, "owed": (), "updated_at": 4_000,
    "order": {"customer_id": "c-1", "warehouse_id": "w-1", "shipping_speed": "express", "placed_at": 1_000},
}  # fmt: skip
TERMS = ("customer_id", "warehouse_id", "shipping_speed", "placed_at")
COLUMNS = ("order_id", "status", "step", "due_at", "paused_since", "paused_by")


def row_takes(which: OrderFilter, state: dict[str, Any]) -> bool:
    """Return whether the filter takes the order as a row of the tables."""
    terms = state.get("order") or {}
    row = {name: state.get(name) for name in COLUMNS} | {name: terms.get(name) for name in TERMS}
    row |= {"owed": ", ".join(state.get("owed") or ()) or None, "changed_at": state.get("updated_at")}
    db = sqlite3.connect(":memory:")
    db.execute(f"CREATE TABLE orders ({', '.join(row)})")
    db.execute(f"INSERT INTO orders VALUES ({', '.join('?' * len(row))})", tuple(row.values()))  # noqa: S608  names of here
    where, parameters = which.sql(NOW)
    [(count,)] = db.execute(f"SELECT COUNT(*) FROM orders WHERE {where}", parameters)  # noqa: S608  as the tables are asked
    db.close()
    return bool(count == 1)


@pytest.mark.parametrize(
    ("condition", "changes", "holds"),
    [
        ("order=o-1", {}, True), ("order=o-2", {}, False), ("order!=o-1", {}, False), ("order!=o-2", {}, True),
        ("order=o-*", {}, True), ("order!=o-*", {}, False), ("order=o-[!2]", {}, True), ("order=o-[!1]", {}, False),
        ("status=fulfilled", {}, True), ("status!=fulfilled", {}, False), ("status=comp*", {}, False),
        ("step=reservation", {}, True), ("step=reservation", {"step": None}, False), ("step=", {"step": None}, True),
        ("step!=payment", {"step": None}, True), ("step=*", {"step": None}, True), ("step!=*", {"step": None}, False),
        ("customer=c-1", {}, True), ("customer=w-1", {}, False), ("warehouse=w-1", {}, True),
        ("speed=express", {}, True), ("speed=w-1", {}, False),
        ("customer=c-1", {"order": None}, False), ("customer!=c-1", {"order": None}, True),
        ("paused=true", {}, False), ("paused=false", {}, True), ("paused!=true", {}, True),
        ("paused=true", {"paused_since": 1}, True), ("paused!=false", {"paused_since": 1}, True),
        ("paused_by=operator *", {"paused_since": 1, "paused_by": "operator ann"}, True),
        ("owed=true", {}, False), ("owed=true", {"owed": ("payment",)}, True), ("owed=false", {"owed": ("x",)}, False),
        ("overdue=true", {}, False), ("overdue=false", {}, True),
        ("overdue=true", {"due_at": NOW}, False), ("overdue=true", {"due_at": NOW - 1}, True),
        ("overdue=false", {"due_at": NOW - 1}, False), ("overdue!=true", {"due_at": NOW}, True),
        ("overdue=true", {"due_at": NOW - 1, "paused_since": 1}, False),
        ("age>9s", {}, False), ("age>8s", {}, True), ("age<9s", {}, False), ("age<10s", {}, True),
        ("age>1s", {"order": None}, False), ("age<1s", {"order": None}, False),
        ("idle>6s", {}, False), ("idle>5s", {}, True), ("idle<6s", {}, False), ("idle<7s", {}, True),
    ],
)  # fmt: skip
def test_a_condition_holds_for_a_state_and_its_row_alike(
    condition: str, changes: dict[str, Any], *, holds: bool
) -> None:
    which = parse_conditions([condition])
    assert (which.takes(ORDER | changes, NOW), row_takes(which, ORDER | changes)) == (holds, holds)


@pytest.mark.parametrize(
    ("conditions", "takes"),
    [
        ([], True),
        (["order=o-1", "order=o-2"], True),
        (["order=o-3", "order=o-2"], False),
        (["order!=o-1", "order!=o-2"], False),
        (["order!=o-3", "order!=o-2"], True),
        (["order=o-1", "order=o-2", "status=completed"], False),
        (["order=o-1", "status=completed", "status=fulfilled", "age>8s", "age<10s"], True),
        (["age>8s", "age<9s"], False),
        (["paused=true", "paused=false"], True),
    ],
)
def test_of_several_conditions_one_of_each_field_has_to_hold_and_every_other_one(
    conditions: list[str], *, takes: bool
) -> None:
    which = parse_conditions(conditions)
    assert (which.takes(ORDER, NOW), row_takes(which, ORDER)) == (takes, takes)


def test_a_condition_is_written_with_spaces_or_without() -> None:
    assert parse_conditions([" age > 2h ", "order=o-1 "]).conditions == (
        Condition("age", ">", "2h", 7_200_000),
        Condition("order", "=", "o-1", 0),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("status", f"give FIELD=VALUE, FIELD!=VALUE, or FIELD>AGE; fields are {', '.join(FIELDS)}"),
        ("color=red", f"no field 'color'; fields are {', '.join(FIELDS)}"),
        ("age=2h", "age is an age: give it as > or < such as age>2h"),
        ("age!=2h", "age is an age: give it as > or < such as age>2h"),
        ("step>2h", "step is no age: give it as = or !="),
        ("paused<1", "paused is no age: give it as = or !="),
        ("paused=yes", "paused is true or false"),
        ("status=lost", f"no such status; statuses are {', '.join(STATUSES)}"),
    ],
)  # fmt: skip
def test_what_is_no_condition_says_what_is_valid_there(text: str, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_conditions([text])
    assert (str(refusal.value), refusal.value.subject, refusal.value.field) == (f"'{text}': {reason}", text, "where")


def test_an_age_that_is_none_is_named_with_its_condition() -> None:
    with pytest.raises(Invalid, match=r"^'age>soon': cannot parse 'soon'; use a duration such as 30s"):
        parse_conditions(["age>soon"])
