"""What is typed about orders: conditions, lines and waves."""

from __future__ import annotations

from typing import Any

import pytest

from cli.commands.order_actions import Filters, target_of
from cli.commands.orders import _advice
from cli.fields import parse_line
from cli.options import Waves
from cli.order_commands import Target
from cli.order_filter import parse_conditions, texts_of
from cli.receipts import show_receipt
from ensemble.command_line.errors import Mistake
from ensemble.command_line.output_format import JSON, TABLE
from ensemble.kafka import Receipt
from ensemble.operations import Rollout


@pytest.mark.parametrize(
    ("statuses", "flags", "texts"),
    [
        ([], {}, []),
        ([], {"owed": False, "paused": False}, []),
        (
            ["completed", "cancelled"],
            {"owed": True, "paused": False},
            ["status=completed", "status=cancelled", "owed=true"],
        ),
    ],
)
def test_flags_are_conditions(statuses: list[str], flags: dict[str, bool], texts: list[str]) -> None:
    assert texts_of(statuses, **flags) == texts


def test_a_status_that_there_is_not_is_named_with_those_that_there_are() -> None:
    with pytest.raises(Mistake, match=r"^--status lost: no such status; statuses are placeholder, "):
        texts_of(["completed", "lost", "gone"])
    with pytest.raises(Mistake, match=r"^--where 'colour=red': no field 'colour'; fields are "):
        parse_conditions(["colour=red"])


def test_a_target_is_one_order_or_conditions_and_never_both() -> None:
    conditions = Filters(status=["completed"], paused=True, where=["step=payment"])
    several = target_of(None, conditions)
    assert (several.which, len(several.where.conditions)) == (several.where, 3)
    assert target_of("o-1", Filters()).which == "o-1"
    for order_id, filters in ((None, Filters()), ("o-1", conditions), ("o 1\n", Filters())):
        with pytest.raises(Exception, match=r"ORDER_ID|order_id|order id"):
            target_of(order_id, filters)
    assert Target("o-1", Filters().order_filter()) == target_of("o-1", Filters())


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("tea:1", {"sku": "tea", "quantity": 1, "unit_price": 1_000}),
        ("tea:2:", {"sku": "tea", "quantity": 2, "unit_price": 1_000}),
        ("tea:3:5", {"sku": "tea", "quantity": 3, "unit_price": 5}),
        (":3:0", {"sku": "", "quantity": 3, "unit_price": 0}),
    ],
)
def test_a_line_of_an_order_is_short(text: str, line: dict[str, Any]) -> None:
    assert parse_line(text) == line


@pytest.mark.parametrize("text", ["tea", "tea:", "tea:x", "tea:1:x", "tea:1:2:3"])
def test_what_is_no_line_is_told_with_an_example(text: str) -> None:
    with pytest.raises(Mistake, match=f"^--line {text}: an order line is .* such as grinder:1:12900$"):
        parse_line(text)


def test_waves_are_as_their_flags_say() -> None:
    assert Waves(3, 7, 0.5).rollout(9.0) == Rollout(probe=3, wave=7, max_failed=0.5, timeout_s=9.0)


@pytest.mark.parametrize(
    ("fields", "output", "is_told"),
    [({"order_id": "o 1"}, TABLE, True), ({"order_id": "o 1"}, JSON, False), ({"sku": "nut"}, TABLE, False)],
)
def test_whoever_places_an_order_is_told_how_to_follow_it(
    fields: dict[str, str], output: Any, capsys: pytest.CaptureFixture[str], *, is_told: bool
) -> None:
    receipt = Receipt(
        type="PlaceOrder", topic="orders.commands", partition=0, offset=7, key="o 1", message_id="m-1", trace=""
    )
    show_receipt(receipt, fields, output=output)
    assert capsys.readouterr().err == ("follow it: ensemble orders watch 'o 1'\n" if is_told else "")


@pytest.mark.parametrize(
    ("owed", "paused", "typed_next"),
    [
        (False, False, []),
        (False, True, ["orders resume o-1 --reason '...'"]),
        (True, False, ["dead-letters redrive --key o-1 --reason '...'", "orders settle o-1 --reason '...'"]),
    ],
)
def test_what_is_listed_says_what_to_type_next(*, owed: bool, paused: bool, typed_next: list[str]) -> None:
    assert [typed for _, typed in _advice("o-1", owed=owed, paused=paused)] == ["orders show o-1", *typed_next]
