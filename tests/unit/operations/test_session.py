"""Which view answers a question, who decided that a message follows, and of which kind a record is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from contracts import CompleteOrder, OrderCompleted, OrderState
from ensemble.command_line.connection import entry_of, sources
from ensemble.kafka.client import ReceivedRecord
from ensemble.messages import encoder_for
from ensemble.operations import ControlFlow, Session
from ensemble.operations.session import keep_silent
from ensemble.operations.view import Projection, View
from ensemble.system_messages import GroupNote
from services.app import APP
from tests.support.latest_values import LatestValues, rows
from tests.support.topics_to_view import TopicsToView, fill


@pytest.fixture
def shop() -> Any:
    topics = TopicsToView({"shop.states": 1, "shop.events": 1})
    fill(topics, [("shop.states", 0, b"a", b"1")])
    return topics


def test_without_a_view_of_its_own_a_session_makes_one_of_what_is_asked(shop: Any) -> None:
    told: list[tuple[str, int, int]] = []

    def progress(what: str) -> Any:
        return lambda done, total: told.append((what, done, total))

    with Session(APP, shop, sources(), progress).view(LatestValues(), what="states") as view:
        assert rows(view)[0] == [(b"a", b"1")]
    assert told == [("states", 1, 1)]
    keep_silent("states")(1, 1)


def test_a_session_s_own_view_is_used_unless_one_is_given(shop: Any) -> None:
    opened: list[tuple[int, str]] = []

    @contextmanager
    def open_view(projections: Sequence[Projection], what: str) -> Iterator[View]:
        opened.append((len(projections), what))
        with View(shop, projections) as view:
            yield view

    session = Session(APP, shop, sources(), open_view=open_view)
    with session.view(LatestValues(), what="states") as own:
        assert rows_are_missing(own)
        with session.view(LatestValues(), what="others", view=own) as given:
            assert given is own
    assert opened == [(1, "states")]


def rows_are_missing(view: View) -> bool:
    """Return whether nobody has synced it."""
    return view.as_of() is None


def test_a_view_that_is_kept_is_given_as_it_was_left(shop: Any) -> None:
    with Session(APP, shop, sources()).kept(LatestValues()) as none:
        assert none is None

    @contextmanager
    def kept_view(projections: Sequence[Projection]) -> Iterator[View | None]:
        with View(shop, projections) as view:
            yield view

    with Session(APP, shop, sources(), kept_view=kept_view).kept(LatestValues()) as kept:
        assert kept is not None
        assert rows_are_missing(kept)


BOTH = frozenset({"orchestrated", "choreographed", "ledger"})
FLOW = ControlFlow(
    {
        ("A", "x"): frozenset({"orchestrated"}), ("A", ""): BOTH, ("L", ""): frozenset({"ledger"}),
        ("C", "x"): frozenset({"choreographed", "ledger"}),
    },
    {"A": frozenset({"y", "x"})},
)  # fmt: skip


@pytest.mark.parametrize(
    ("message", "sender", "control"),
    [
        ("A", "x", "orchestrated"), ("A", "", "both"), ("A", "z", "both"), ("L", "x", "ledger"),
        ("C", "x", "choreographed"), ("C", "", "outside"), ("Z", "", "outside"),
    ],
)  # fmt: skip
def test_the_control_of_a_message_is_that_of_its_sender_or_else_of_all(message: str, sender: str, control: str) -> None:
    assert FLOW.control_of(message, sender) == control
    assert (FLOW.receivers_of("A"), FLOW.receivers_of("Z")) == (["x", "y"], [])


def test_receivers_are_derived_without_those_of_a_ledger() -> None:
    flow = ControlFlow.of(APP)
    assert flow.receivers_of("OrderPlaced") == ["orchestrator", "order", "shipping"]
    assert flow.receivers_of("ProcessPayment") == ["payment"]
    assert flow.receivers_of("StockReserved") == []


@pytest.mark.parametrize(
    ("value", "kind", "name"),
    [
        (encoder_for(CompleteOrder)(CompleteOrder(order_id="o-1")), "command", "CompleteOrder"),
        (encoder_for(OrderCompleted)(OrderCompleted(order_id="o-1")), "event", "OrderCompleted"),
        (encoder_for(OrderState)(OrderState(order_id="o-1")), "state", "OrderState"),
        (encoder_for(GroupNote)(GroupNote(note="n", operation_id="o", requested_by="a", at=1)), "state", "GroupNote"),
        (None, "tombstone", "(tombstone)"),
        (b"?", "unreadable", "(unreadable)"),
    ],
)
def test_a_record_is_of_the_kind_that_its_schema_belongs_to(value: bytes | None, kind: str, name: str) -> None:
    entry = entry_of(ReceivedRecord("orders.events", 0, 1, 2, None, value, {}, ()))
    assert (entry.kind, entry.type, bool(entry.problem), entry.is_json) == (kind, name, kind == "unreadable", False)
    assert (entry.sender, entry.id, entry.key, entry.trace) == ("outside", "orders.events/0/1", "", "")
