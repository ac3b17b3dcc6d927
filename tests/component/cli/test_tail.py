"""Records as they come, in a pipe and as JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.tail import follow
from ensemble.command_line.publishing import publish
from ensemble.command_line.tail import Selection
from tests.support.order_messages import place_order


def selection(*topics: str, from_beginning: bool = True, limit: int | None = None, key: str | None = None) -> Selection:
    return Selection(topics, from_beginning, until_end=True, limit=limit, key=key)


def test_shows_the_records_of_an_order_with_place_sender_type_and_fields(
    flow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(flow, place_order(order_id="o-2"))
    publish(flow, place_order())

    follow(flow, selection("payments.events", key="o-1"), as_json=False)

    (line,) = capsys.readouterr().out.splitlines()
    _, place, sender, kind, key, says = line.split("\t")
    assert place.startswith("payments.events/")
    assert (sender, kind, key) == ("payment", "PaymentConfirmed", "o-1")
    assert says == "amount=500, currency=EUR, charge_id=ch_o-1:charge"


def test_shows_so_many_and_no_more(flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    publish(flow, place_order())

    follow(flow, selection(limit=3), as_json=True)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 3
    assert {"topic", "partition", "offset", "fields", "correlation_id"} <= lines[0].keys()


def test_from_now_on_shows_nothing_of_before(flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    publish(flow, place_order())
    flow.settle()

    follow(flow, selection(from_beginning=False), as_json=True)

    assert capsys.readouterr().out == ""


def test_the_field_that_is_the_key_is_not_said_twice(flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    publish(flow, place_order())

    follow(flow, selection("inventory.commands", key="o-1", limit=1), as_json=False)

    *_, key, says = capsys.readouterr().out.rstrip("\n").split("\t")
    assert (key, "warehouse_id=" in says, "order_id=o-1" in says) == ("w-1", False, True)
