"""What a rehearsed redrive is told as: whether it has happened, what it puts out, and where it stops."""

from __future__ import annotations

from typing import Any

import pytest

from contracts import CompleteOrder, OrderCompleted
from ensemble.command_line.connection import session_on
from ensemble.engine import Rehearsed
from ensemble.messages import encoder_for
from ensemble.operations import Position
from ensemble.operations.redrive_rehearsal import RehearsedOutput, _happened, _output

AT = Position(topic="orders.events", partition=1, offset=7)
NOBODY: Any = None


def output(value: bytes | None, topic: str = "orders.events", key: bytes | None = b"o-1", **headers: Any) -> Any:
    return topic, value, key, list(headers.items()), None


def tried(
    *outputs: Any, outcome: str = "done", calls: Any = (), changes: Any = (("s", b"k"),), failure: str = ""
) -> Rehearsed:
    return Rehearsed(outcome, "", outputs, changes, calls, failure, 0)


@pytest.mark.parametrize(
    ("rehearsed", "expected"),
    [
        (tried(output(b"", ce_id=b"m-1"), outcome="refused"), ("not_tried", None)),
        (tried(output(b"", ce_id=b"m-0"), output(b"", ce_id=b"m-1")), ("yes", AT)),
        (tried(output(b"", ce_id="m-1")), ("yes", AT)),
        (tried(output(b"", ce_id=b"m-0")), ("no", None)),
        (tried(output(b"")), ("no", None)),
        (tried(changes=()), ("yes", None)),
        (tried(), ("no", None)),
        (tried(changes=(), failure="it fails"), ("no", None)),
        (tried(calls=("charge",)), ("outside", None)),
        (tried(calls=("charge",), changes=()), ("outside", None)),
    ],
)
def test_an_effect_exists_where_an_output_is_on_its_topic_or_nothing_would_change(
    rehearsed: Rehearsed, expected: tuple[str, Position | None]
) -> None:
    assert _happened(rehearsed, {"m-1": AT}) == expected


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (output(encoder_for(CompleteOrder)(CompleteOrder(order_id="o-1")), "orders.commands"),
         ("send", "CompleteOrder", "o-1", "orders.commands")),
        (output(encoder_for(OrderCompleted)(OrderCompleted(order_id="o-1"))),
         ("emit", "OrderCompleted", "o-1", "orders.events")),
        (output(b"?", key=None, ce_type=b"shop.commands.Sell"), ("send", "Sell", "", "orders.events")),
        (output(b"?", key=b"\xff", ce_type="Sold"), ("emit", "Sold", "\ufffd", "orders.events")),
        (output(None), ("emit", "a record", "o-1", "orders.events")),
    ],
)  # fmt: skip
def test_an_output_is_told_by_what_it_is(made: Any, expected: tuple[str, ...]) -> None:
    kind, name, key, topic = expected
    assert _output(session_on(NOBODY), made) == RehearsedOutput.model_validate(
        {"kind": kind, "type": name, "key": key, "topic": topic}
    )
