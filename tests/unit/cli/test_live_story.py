"""One order told live, from a follower that a test feeds: what is told, and when the telling ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cli.live_story import Sequencer, narrate
from contracts import OrderCancelled, OrderCompleted, PaymentConfirmed
from ensemble.command_line.connection import entry_of
from ensemble.kafka.records import ReceivedRecord
from ensemble.messages import Message
from ensemble.messages.codec import encoder_for
from ensemble.operations import Entry

PAID = PaymentConfirmed(order_id="o-1", amount=500, currency="EUR", charge_id="ch_1")
DONE = OrderCompleted(order_id="o-1")
A_POLL = 0.051
CANCELLED = OrderCancelled(order_id="o-1", reason="late")


class Feed:
    """Gives one batch of records with each poll, which takes all of its time: this is the clock as well."""

    def __init__(self, *batches: list[ReceivedRecord], behind_s: float = 0.0) -> None:
        self._batches, self._behind_s = list(batches), behind_s
        self.seconds = 0.0

    def poll(self, timeout_s: float) -> list[ReceivedRecord]:
        self.seconds += timeout_s
        return self._batches.pop(0) if self._batches else []

    @property
    def has_caught_up(self) -> bool:
        return self.seconds >= self._behind_s


def record(message: Message, name: str = "", cause: str = "", offset: int = 0) -> ReceivedRecord:
    headers = {"ce_id": (name or type(message).__name__).encode(), "ce_causationid": cause.encode()}
    headers["ce_type"] = type(message).__name__.encode()
    return ReceivedRecord(
        "orders.events", 0, offset, 1_000 + offset, b"o-1", encoder_for(type(message))(message), headers, ()
    )


def told(feed: Any, limit_s: float = 60.0, earlier: list[Entry] | None = None) -> list[str]:
    return [line.entry.type for line in narrate(feed, "o-1", limit_s, earlier or (), now=lambda: feed.seconds)]


@pytest.mark.parametrize("end", [DONE, CANCELLED])
def test_a_story_ends_once_its_order_has_and_is_quiet(end: Message) -> None:
    feed = Feed([record(PAID)], *[[]] * 100, [record(end, offset=1)])
    assert told(feed) == ["PaymentConfirmed", type(end).__name__]
    assert feed.seconds == pytest.approx(102 * 0.05 + 0.4, abs=A_POLL)


def test_a_story_ends_not_before_all_that_is_there_was_read() -> None:
    feed = Feed([record(DONE)], behind_s=7)
    assert told(feed) == ["OrderCompleted"]
    assert feed.seconds == pytest.approx(7, abs=A_POLL)


def test_what_follows_an_end_soon_is_told_and_prolongs_the_story() -> None:
    feed = Feed([record(DONE)], *[[]] * 6, [record(PAID, offset=1)], *[[]] * 6, [record(PAID, "again", offset=2)])
    assert told(feed) == ["OrderCompleted", "PaymentConfirmed", "PaymentConfirmed"]
    assert feed.seconds == pytest.approx(15 * 0.05 + 0.4, abs=A_POLL)


def test_an_order_that_does_not_end_is_told_until_the_time_is_up() -> None:
    feed = Feed([record(PAID)])
    assert told(feed, 20) == ["PaymentConfirmed"]
    assert feed.seconds == pytest.approx(20, abs=A_POLL)
    assert told(Feed([record(PAID)]), 0) == []


def test_earlier_messages_are_told_first_take_no_time_and_may_be_the_end() -> None:
    earlier = [entry_of(record(DONE, cause="PaymentConfirmed", offset=1)), entry_of(record(PAID))]
    feed = Feed()
    assert told(feed, 60.0, earlier) == ["PaymentConfirmed", "OrderCompleted"]
    assert feed.seconds == pytest.approx(0.4, abs=A_POLL)
    assert told(Feed(), 0, earlier) == ["PaymentConfirmed", "OrderCompleted"]


def test_an_effect_whose_cause_is_not_read_is_told_a_little_later() -> None:
    feed = Feed([record(DONE, cause="unseen")])
    assert told(feed) == ["OrderCompleted"]
    assert feed.seconds == pytest.approx(0.05 + 0.45 + 0.4, abs=A_POLL)


def test_an_effect_of_an_earlier_message_does_not_wait() -> None:
    sequencer = Sequencer(hold_s=1_000)
    sequencer.tell([entry_of(record(PAID))])
    effect = entry_of(record(DONE, cause="PaymentConfirmed"))
    assert sequencer.put([effect], now=0) == [effect]


def test_records_of_other_orders_are_left_out_also_where_they_name_this_one() -> None:
    other = OrderCancelled(order_id="o-2", reason="instead of o-1")
    nothing = ReceivedRecord("orders.events", 0, 7, 1_000, b"o-1", None, {}, ())
    assert told(Feed([record(other), nothing, record(DONE, offset=1)])) == ["OrderCompleted"]


@pytest.mark.parametrize(("now", "is_told"), [(0.0, False), (2.0, False), (2.001, True)])
def test_an_effect_is_held_no_longer_than_it_may_be(now: float, is_told: bool) -> None:
    sequencer = Sequencer(hold_s=2)
    effect = entry_of(record(DONE, cause="unseen"))
    sequencer.put([effect], now=0.0)
    assert sequencer.put([], now=now) == ([effect] if is_told else [])
    assert sequencer.put([], now=99.0) == ([] if is_told else [effect])


def test_what_waits_is_told_with_the_cause_of_its_cause() -> None:
    make: Callable[[str, str], Entry] = lambda name, cause: entry_of(record(PAID, name, cause, ord(name)))  # noqa: E731
    first, second, third = make("a", ""), make("b", "a"), make("c", "b")
    sequencer = Sequencer(hold_s=1_000)
    assert sequencer.put([third], now=0) == []
    assert sequencer.put([second], now=0) == []
    assert sequencer.put([first], now=0) == [first, second, third]
