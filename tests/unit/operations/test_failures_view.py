"""Dead letters and parked keys in a view, as whole rows: each field from where its service keeps it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from contracts import AttemptCharge
from ensemble.clock import moment_of
from ensemble.command_line.connection import session_on, sources
from ensemble.messages import encoder_for
from ensemble.operations import DeadLetterFilter, NotFound, Position
from ensemble.operations.failures import DeadLetterGroup, Failures, FailuresProjection, FailureTotals
from ensemble.operations.view import View
from ensemble.state import ParkingStore
from ensemble.system_messages import FailureReport, ParkedKey, ParkedRecord, Pause
from ensemble.system_messages.state import Resolution
from tests.support.topics_to_view import BEGAN, TopicsToView

CHARGE = encoder_for(AttemptCharge)(
    AttemptCharge(order_id="o-1", amount=5, currency="EUR", payment_token="t", expires_at=9)
)
EVERYTHING = DeadLetterFilter(open_only=False)
KEY: dict[str, Any] = {
    "status": "dead_lettered", "first": 3, "next": 5, "since": 1_000, "due_at": 9_000, "attempts": 3, "error": "Gone",
    "words": "HTTP 410", "handler": "Charger.charge", "policy": "patient", "blocked_on": "handler Charger.charge",
}  # fmt: skip


class Payment:
    """What one service keeps of its failures, in two partitions."""

    def __init__(self) -> None:
        self.topics: Any = TopicsToView({f"payment.{kind}": 2 for kind in ("dead-letter", "parked-changelog")})

    def give_up(
        self, offset: int, at: int | None, value: bytes | None = CHARGE, key: bytes = b"o-1", **more: Any
    ) -> None:
        """Write a dead letter of the record at this offset, in partition 1."""
        changes: dict[str, Any] = {"disposition": "dead_letter", "message": f"no card for {key.decode()}"} | more
        report = FailureReport(
            source=("payments.commands", 1, offset), exception="Gone", stacktrace="", service="payment", stage="handle",
            handler="Charger.charge", attempts=3, policy="patient", parking_key=b"p-1", failed_at=at or 0, **changes,
        )  # fmt: skip
        headers = {name: text.decode() if isinstance(text, bytes) else text for name, text in report.headers()}
        if at is None:
            del headers["ensemble.failed-at"]
        self.topics.append("payment.dead-letter", 1, key, value, **headers, ce_type="shop.commands.Sell")

    def park(self, *offsets: int, **changes: Any) -> None:
        """Park the records at these offsets, and pause a step, in partition 1."""
        store = ParkingStore("payment.parked-changelog", sources())
        first, *others = (
            ParkedRecord(topic="payments.commands", partition=1, offset=offset, key=b"o-1", value=b"?", headers=(),
                         message="AttemptCharge", message_id=f"m-{offset}", parked_at=1)
            for offset in offsets
        )  # fmt: skip
        store.park(b"p-1", ParkedKey(**KEY | {"next": 4} | changes), first)
        for other in others:
            store.append(b"p-1", other)
        store.set_pause("step", "payment", Pause(operation_id="op", requested_by="ann", reason="trial", at=8))
        self.keep(store)

    def resolve(self, offset: int, how: Any = "redriven", generation: int = 0) -> None:
        store = ParkingStore("payment.parked-changelog", sources())
        done = Resolution(how=how, operation_id="op", requested_by="ann", reason="mended", at=7)
        store.set_resolution(b"p-1", ("payments.commands", 1, offset), generation, done)
        self.keep(store)

    def keep(self, store: ParkingStore) -> None:
        for key, value in store.changes():
            self.topics.append("payment.parked-changelog", 1, key, value)

    @contextmanager
    def failures(self, since: int | None = None) -> Iterator[Failures]:
        with View(self.topics, [FailuresProjection(session_on(self.topics).decoder, since)]) as view:
            view.sync()
            yield Failures(view)


@pytest.fixture
def payment() -> Payment:
    return Payment()


def test_a_dead_letter_has_each_field_of_its_headers_and_of_what_became_of_it(payment: Payment) -> None:
    payment.give_up(7, 5_000)
    payment.park(7, 8)
    expected = {
        "position": {"topic": "payment.dead-letter", "partition": 1, "offset": 0}, "service": "payment",
        "origin": {"topic": "payments.commands", "partition": 1, "offset": 7}, "type": "AttemptCharge", "key": "o-1",
        "parking_key": "p-1", "failed_at": moment_of(5_000), "status": "parked", "waiting": 1, "error": "Gone",
        "message": "no card for o-1", "handler": "Charger.charge", "stage": "handle", "attempts": 3, "generation": 0,
        "decided_by": None, "decided_because": None, "decided_at": None,
    }  # fmt: skip
    with payment.failures() as failures:
        [letter] = failures.list(DeadLetterFilter())
        assert letter.model_dump(exclude={"group"}) == expected
        [parked] = failures.parked()
    assert parked.model_dump() == {
        "service": "payment", "partition": 1, "key": "p-1", "status": "dead_lettered", "depth": 2,
        "since": moment_of(1_000), "head": "AttemptCharge", "attempts": 3, "next_attempt_at": moment_of(9_000),
        "blocked_on": "handler Charger.charge", "error": "Gone", "message": "HTTP 410", "handler": "Charger.charge",
        "policy": "patient",
    }  # fmt: skip

    payment.resolve(7)
    with payment.failures() as failures:
        [letter] = failures.list(EVERYTHING)
    assert letter.model_dump(exclude={"group"}) == expected | {
        "status": "redriven", "waiting": 0, "decided_by": "ann", "decided_because": "mended",
        "decided_at": moment_of(7),
    }  # fmt: skip


def test_what_became_of_a_dead_letter_says_what_its_partition_keeps(payment: Payment) -> None:
    payment.park(8, 9)
    payment.resolve(10, "discarded")
    payment.resolve(11, generation=1)
    for offset in (8, 9, 10, 11):
        payment.give_up(offset, 1_000 * offset)
    payment.give_up(12, 12_000, disposition="skip")
    with payment.failures() as failures:
        told = {each.origin.offset: (each.status, each.waiting) for each in failures.list(EVERYTHING)}
        assert told == {
            8: ("parked", 1), 9: ("retrying", 0), 10: ("discarded", 0), 11: ("gone", 0), 12: ("skipped", 0),
        }  # fmt: skip
        assert [each.origin.offset for each in failures.list(DeadLetterFilter())] == [12, 8]
        assert failures.totals() == {"payment": FailureTotals(dead_letters=2, parked_keys=1, parked_records=2)}


def test_a_head_that_is_tried_again_is_not_parked_any_more(payment: Payment) -> None:
    payment.give_up(7, 5_000)
    payment.park(7, status="retrying")
    with payment.failures() as failures:
        assert [each.status for each in failures.list(EVERYTHING)] == ["retrying"]
        assert failures.totals() == {"payment": FailureTotals(dead_letters=0, parked_keys=1, parked_records=1)}


def test_a_dead_letter_without_a_time_has_failed_when_it_was_written(payment: Payment) -> None:
    payment.give_up(7, None, value=None)
    payment.give_up(8, None, value=b"?")
    with payment.failures() as failures:
        told = [(each.type, each.failed_at) for each in failures.list(EVERYTHING)]
        assert failures.types() == {"Sell", "(tombstone)"}
    assert told == [("Sell", moment_of(BEGAN + 1_000)), ("(tombstone)", moment_of(BEGAN))]


def test_dead_letters_are_grouped_by_their_cause_the_largest_first(payment: Payment) -> None:
    payment.give_up(7, 5_000, message="too late", disposition="skip")
    for offset, name in ((8, "o-1"), (9, "o-2"), (10, "o-3")):
        payment.give_up(offset, 1_000 * offset, key=name.encode(), disposition="skip" if offset < 10 else "dead_letter")
    with payment.failures() as failures:
        many, one = failures.groups(EVERYTHING)
        assert failures.causes() == {many.group, one.group}
        assert [each.count for each in failures.groups(DeadLetterFilter())] == [2, 1]
    fields: dict[str, Any] = {"service": "payment", "handler": "Charger.charge", "error": "Gone"}
    oldest, newest = moment_of(8_000), moment_of(10_000)
    assert many == DeadLetterGroup(
        **fields, group=many.group, message="no card for <key>", count=3, open=2, oldest=oldest, newest=newest
    )
    assert one == DeadLetterGroup(
        **fields, group=one.group, message="too late", count=1, open=1, oldest=moment_of(5_000), newest=moment_of(5_000)
    )


def test_each_bound_of_a_filter_takes_what_lies_on_it(payment: Payment) -> None:
    for offset in (7, 8, 9):
        payment.give_up(offset, 1_000 * offset, key=f"o-{offset}".encode(), disposition="skip")

    def listed(limit: int | None = None, offset: int = 0, **which: Any) -> list[int]:
        with payment.failures() as failures:
            return [each.origin.offset for each in failures.list(DeadLetterFilter(**which), limit, offset)]

    assert listed() == [9, 8, 7]
    assert (listed(2), listed(1, 1), listed(0)) == ([9, 8], [8], [])
    assert (listed(since=8_000), listed(until=8_000), listed(since=0, until=0)) == ([9, 8], [8, 7], [])
    assert (listed(key="o-8"), listed(key="p-1"), listed(key="")) == ([8], [9, 8, 7], [])
    assert (listed(service="payment"), listed(service="order")) == ([9, 8, 7], [])


def test_dead_letters_are_counted_by_the_time_of_their_failure(payment: Payment) -> None:
    for at in (9_999, 10_000, 11_999, 12_000, 15_999, 16_000):
        payment.give_up(at, at)
    with payment.failures() as failures:
        assert failures.bins(10, 16, 2) == {10: 2, 12: 1, 14: 1}


def test_parked_keys_are_those_of_the_filter(payment: Payment) -> None:
    payment.park(7)
    with payment.failures() as failures:
        for takes in ({}, {"service": "payment"}, {"status": "dead_lettered"}, {"key": "p-1"}):
            assert [each.key for each in failures.parked(**takes)] == ["p-1"]
        for leaves in ({"service": "order"}, {"status": "retrying"}, {"key": "p"}, {"key": "o-1"}):
            assert failures.parked(**leaves) == ()


def test_a_view_that_is_not_kept_may_leave_out_what_is_older(payment: Payment) -> None:
    payment.park(7)
    for offset in (7, 8):
        payment.give_up(offset, 1)
    with payment.failures(since=BEGAN + 1_000) as failures:
        assert [each.origin.offset for each in failures.list(EVERYTHING)] == [8]
        assert len(failures.parked()) == 1


def test_what_was_removed_from_its_topic_is_none_any_more(payment: Payment) -> None:
    payment.give_up(7, 1)
    payment.give_up(8, 2)
    with View(payment.topics, [FailuresProjection(session_on(payment.topics).decoder)]) as view:
        view.sync()
        at = Position(topic="payment.dead-letter", partition=1, offset=0)
        assert Failures(view).get(at).origin.offset == 7
        payment.topics.removed = {("payment.dead-letter", 1): 1}
        view.sync()
        with pytest.raises(NotFound, match=r"^no dead letter at payment\.dead-letter/1/0$"):
            Failures(view).get(at)


def test_a_change_is_told_by_the_key_that_it_is_about(payment: Payment) -> None:
    payment.give_up(7, 1)
    payment.park(7)
    view = View(payment.topics, [FailuresProjection(session_on(payment.topics).decoder)])
    with view, view.feed.subscribe() as changes:
        view.sync()
        told = changes.take(0)
    assert sorted({each.key for each in told}) == ["o-1", "p-1", "step"]
    assert {each.projection for each in told} == {"failures"}
