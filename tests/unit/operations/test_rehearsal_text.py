"""What a rehearsal says in words."""

from __future__ import annotations

from typing import Any

import pytest

from ensemble.operations import Position, RedriveRehearsal, describe_rehearsal
from ensemble.operations.redrive_rehearsal import RehearsedOutput

SEND = RehearsedOutput(kind="send", type="AttemptCharge", key="o-1", topic="payments.commands")
PLACE = Position(topic="payments.events", partition=1, offset=7)


def words(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "name": "payment/0/o-1", "type": "ProcessPayment", "key": "o-1", "unreadable_because": None, "handler": "h",
        "outcome": "done", "detail": "", "happened": "no", "happened_at": None, "outputs": (), "changes": (),
        "stops_at": (), "failure": None, "left_parked": 0,
    }  # fmt: skip
    return describe_rehearsal(RedriveRehearsal(**values | changes))


@pytest.mark.parametrize(
    ("happened", "at", "text"),
    [
        ("yes", PLACE, "yes: payments.events/1/7"),
        ("yes", None, "yes: no state would change"),
        ("no", None, "no"),
        ("not_tried", None, "not known: it would not be tried"),
        ("outside", None, "not known: the outside is not asked"),
    ],
)
def test_whether_its_effect_exists_already(happened: str, at: Position | None, text: str) -> None:
    assert words(happened=happened, happened_at=at)["happened"] == text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"outcome": "not_tried", "detail": "it waits"}, "not tried: it waits"),
        ({"stops_at": ("PaymentGateway", "Clock"), "failure": "later"},
         "stop at PaymentGateway; what follows depends on its answer"),
        ({"failure": "GatewayError: 500"}, "fail again: GatewayError: 500"),
        ({}, "put out nothing"),
        ({"outputs": (SEND, SEND), "changes": ("charge o-1",)},
         "send AttemptCharge o-1 to payments.commands; send AttemptCharge o-1 to payments.commands; change 1 state"),
    ],
)  # fmt: skip
def test_what_it_would_do(changes: dict[str, Any], text: str) -> None:
    assert words(**changes)["would"] == text


def test_a_record_that_is_not_readable_today_says_why() -> None:
    assert words()["reads_today"] == "yes"
    assert words(unreadable_because="no schema 7")["reads_today"] == "no: no schema 7"
