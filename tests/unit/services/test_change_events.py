"""What browsers are told of changes: each row once, what went where since, and of very much only that."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from ensemble.operations import now
from ensemble.operations.view import Change
from services.control_room.change_events import ChangeEvents


class Counted:
    """Traffic by second and edge, as it is counted when somebody asks."""

    def __init__(self) -> None:
        self.counts: dict[tuple[int, str, str, str], int] = {}
        self.asked: list[int] = []

    def latest(self, since: int) -> dict[tuple[int, str, str, str], int]:
        self.asked.append(since)
        return dict(self.counts)


class Row(SimpleNamespace):
    def model_dump_json(self) -> str:
        return f'"{self.order_id}"'


def events_of_nothing() -> Any:
    view: Any = None
    events: Any = ChangeEvents(view)
    events._orders = SimpleNamespace(find=lambda ids: [Row(order_id=each) for each in ids])
    events._traffic = Counted()
    return events


def test_a_row_that_has_changed_twice_is_told_once_and_lists_are_told_once_for_all() -> None:
    changes = [Change("orders", "o-1"), Change("stock", "w-1"), Change("orders", "o-2"), Change("orders", "o-1")]
    told = [(each.name, each.key, each.data) for each in events_of_nothing().events_of(changes)]
    assert told == [
        ("order", "o-1", '"o-1"'),
        ("order", "o-2", '"o-2"'),
        ("change", "", '{"projection": "orders", "key": ""}'),
        ("change", "w-1", '{"projection": "stock", "key": "w-1"}'),
    ]


def test_what_went_since_the_last_time_is_told_by_edge() -> None:
    events, traffic, begun = events_of_nothing(), [Change("stock", "x"), Change("traffic", "")], now() // 1000
    edge, other = ("order", "OrderPlaced", "orders.events"), ("cli", "PlaceOrder", "orders.commands")
    told = []
    for counts in (
        {(9, *edge): 3},
        {(9, *edge): 5, (10, *edge): 1, (10, *other): 4},
        {(10, *edge): 1, (10, *other): 4},
    ):
        events._traffic.counts = counts
        told.append([json.loads(each.data) for each in events.events_of(traffic) if each.name == "traffic"])

    def row(sender: str, kind: str, topic: str, messages: int) -> dict[str, Any]:
        return {"sender": sender, "type": kind, "topic": topic, "messages": messages}

    assert told == [[[row(*edge, 3)]], [[row(*edge, 3), row(*other, 4)]], []]
    assert all(begun - 10 <= since <= now() // 1000 - 10 for since in events._traffic.asked)
    assert events.events_of([]) == []
    assert len(events._traffic.asked) == 3


def test_very_much_at_once_is_told_by_one_event() -> None:
    many = [Change("stock", str(number)) for number in range(2_001)]
    [reset] = events_of_nothing().events_of(many)
    assert (reset.name, reset.key, json.loads(reset.data)) == (
        "reset", "", {"lost": 2_001, "reason": "very much has changed at once"},
    )  # fmt: skip
    assert len(events_of_nothing().events_of([*many[1:], many[1]])) == 2_000
