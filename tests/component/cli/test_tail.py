"""Records as they come, in a pipe and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from cli.tail import follow
from ensemble.command_line.connection import connected_to
from ensemble.command_line.output_format import JSON, TABLE
from ensemble.command_line.publishing import publish
from ensemble.command_line.tail import Selection
from tests.support.command_line import CommandLine
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order


@pytest.fixture
def ensemble(capsys: pytest.CaptureFixture[str], flow: Any) -> Iterator[CommandLine]:
    """A command line on a flow with one order that is completed."""
    publish(flow, place_order())
    flow.settle()
    with connected_to(flow):
        yield CommandLine(capsys)


def selection(*topics: str, from_beginning: bool = True, limit: int | None = None, key: str | None = None) -> Selection:
    return Selection(topics, from_beginning, until_end=True, limit=limit, key=key)


def test_shows_the_records_of_an_order_with_place_sender_type_and_fields(
    flow: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(flow, place_order(order_id="o-2"))
    publish(flow, place_order())

    follow(flow, selection("payments.events", key="o-1"), output=TABLE)

    (line,) = capsys.readouterr().out.splitlines()
    _, place, sender, kind, key, says = line.split("\t")
    assert place.startswith("payments.events/")
    assert (sender, kind, key) == ("payment", "PaymentConfirmed", "o-1")
    assert says == "amount=500, currency=EUR, charge_id=ch_o-1:charge"


def test_shows_so_many_and_no_more(flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    publish(flow, place_order())

    follow(flow, selection(limit=3), output=JSON)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 3
    assert {"topic", "partition", "offset", "fields", "correlation_id"} <= lines[0].keys()


def test_from_now_on_shows_nothing_of_before(flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    publish(flow, place_order())
    flow.settle()

    follow(flow, selection(from_beginning=False), output=JSON)

    assert capsys.readouterr().out == ""


class Placing(FlowInMemory):
    """A flow in which another order is placed once somebody follows it."""

    def follow_from(self, offsets: Any) -> Any:
        access: Any = self
        publish(access, place_order(order_id="o-2"))
        return super().follow_from(offsets)


def test_the_records_of_an_order_that_come_from_now_on_are_shown_as_they_come(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with capture_logs():
        flow: Any = Placing()
        follow(flow, Selection((), from_beginning=False, until_end=False, limit=1, key="o-2"), "o-2", output=JSON)

    assert [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()] == ["PlaceOrder"]


def test_the_field_that_is_the_key_is_not_said_twice(flow: Any, capsys: pytest.CaptureFixture[str]) -> None:
    publish(flow, place_order())

    follow(flow, selection("inventory.commands", key="o-1", limit=1), output=TABLE)

    *_, key, says = capsys.readouterr().out.rstrip("\n").split("\t")
    assert (key, "warehouse_id=" in says, "order_id=o-1" in says) == ("w-1", False, True)


@pytest.mark.parametrize(
    ("arguments", "types"),
    [
        (["--type", "OrderPlaced"], ["OrderPlaced"]),
        (["--type", "OrderPlaced", "--type", "OrderCompleted"], ["OrderPlaced", "OrderCompleted"]),
        (["--grep", "charge_id.*ch_o-1"], ["PaymentConfirmed"]),
        (["--key", "o-1", "-n", "1"], ["PlaceOrder"]),
        (["orders.events", "--since", "1h", "--limit", "1"], ["OrderPlaced"]),
    ],
    ids=" ".join,
)
def test_records_are_chosen_by_flags(ensemble: CommandLine, arguments: list[str], types: list[str]) -> None:
    result = ensemble("tail", *arguments, "--until-end", "-o", "json")
    assert result.code == 0, result.err
    assert [line["type"] for line in result.lines] == types


def test_what_came_before_a_time_is_not_read(ensemble: CommandLine, flow: Any) -> None:
    flow.advance(7200)
    assert ensemble("tail", "orders.commands", "--since", "2026-01-31", "--until-end").out != ""
    assert ensemble("tail", "orders.commands", "--since", "2100-01-31", "--until-end").out == ""


def test_a_record_is_printed_as_the_format_says(ensemble: CommandLine) -> None:
    form = r"{place}\t{type} {order_id} {nothing}"
    result = ensemble("tail", "--type", "OrderPlaced", "--until-end", "--format", form)
    assert result.out.split() == [result.out.split()[0], "OrderPlaced", "o-1"]
    assert result.out.startswith("orders.events/")


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["order.events"], 3, "did you mean orders.events?"),
        (["--type", "OrderPlacd"], 3, "did you mean OrderPlaced?"),
        (["orders.events", "--partition", "99"], 3, "--partition 99: the topics have partitions 0 to 3"),
        (["--grep", "("], 2, "--grep"),
        (["--since", "soon"], 2, "--since"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else None,
)
def test_what_is_chosen_wrongly_is_named(ensemble: CommandLine, arguments: list[str], code: int, word: str) -> None:
    result = ensemble("tail", *arguments, "--until-end")
    assert (result.code, result.out) == (code, "")
    assert word in result.err


def test_states_do_not_drown_messages_and_are_shown_where_their_topic_is_named(ensemble: CommandLine) -> None:
    kinds = {line["kind"] for line in ensemble("tail", "--until-end", "-o", "json").lines}
    assert kinds == {"command", "event"}
    named = ensemble("tail", "orchestrator.order-state", "--until-end", "-o", "json")
    assert {line["type"] for line in named.lines} == {"OrderState"}
