"""Which dead letters and heads of parked keys a plan takes, in which order, and which it leaves out and why."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from ensemble.command_line.connection import session_on, sources
from ensemble.kafka.client import ReceivedRecord, TopicPlace
from ensemble.operations import DeadLetterFilter, DeadLetters, Invalid, ParkedKeys, Position, RedrivePlan
from ensemble.operations.failures import FailuresProjection
from ensemble.operations.redrive_plan import RedriveItem
from ensemble.operations.view import View
from ensemble.state import ParkingStore
from ensemble.system_messages import ParkedKey, ParkedRecord
from ensemble.system_messages.state import Resolution
from tests.support.topics_to_view import TopicsToView, WrittenRecord

LETTERS, PARKED = "payment.dead-letter", "payment.parked-changelog"
OF_PAYMENT = DeadLetterFilter(service="payment")


def received(record: WrittenRecord) -> ReceivedRecord:
    pairs: Any = tuple(record.headers() or ())
    topic, partition, offset = record.topic(), record.partition(), record.offset()
    at = record.timestamp()[1]
    return ReceivedRecord(topic, partition, offset, at, record.key(), record.value(), dict(pairs), pairs)


class Follower:
    """All records of some partitions, once."""

    def __init__(self, records: list[ReceivedRecord]) -> None:
        self.records = records

    def read_to_end(self) -> list[ReceivedRecord]:
        records, self.records = self.records, []
        return records

    def close(self) -> None: ...


class Cluster(TopicsToView):
    """Dead letters and parked keys of payment, in two partitions."""

    def __init__(self) -> None:
        super().__init__({LETTERS: 2, PARKED: 2})

    def places(self, topics: Collection[str]) -> list[TopicPlace]:
        return [(topic, partition) for topic in topics for partition in range(self.partitions[topic])]

    def all_of(self, places: Collection[TopicPlace]) -> list[WrittenRecord]:
        return [record for place in places for record in self.logs.get(place, ()) if record is not None]

    def read_spans(self, *rounds: Mapping[TopicPlace, range], select: Any = None) -> Iterator[ReceivedRecord]:
        for place, span in ((place, span) for spans in rounds for place, span in spans.items()):
            records = [record for record in self.all_of([place]) if record.offset() in span]
            yield from map(received, filter(select, records))

    def follow(self, places: Collection[TopicPlace], **_: object) -> Follower:
        return Follower(list(map(received, self.all_of(places))))

    def give_up(
        self, key: str, minute: int, partition: int = 0, *, origin: int = 7, redriven: int = 0, **more: str
    ) -> str:
        """Write a dead letter that failed at this minute of an hour; return its place."""
        said = {
            "__streams.errors.topic": "payments.commands", "__streams.errors.partition": str(partition),
            "__streams.errors.offset": str(origin), "__streams.errors.exception": "Gone", "ensemble.parking-key": key,
            "ensemble.failed-at": f"2026-01-31T12:{minute:02}:00.000Z", "ensemble.disposition": "skip", **more,
        }  # fmt: skip
        again = [("ensemble.redriven-from", b"payment.dead-letter/0/%d" % number) for number in range(redriven)]
        log = self.logs.setdefault((LETTERS, partition), [])
        pairs = [*again, *((name, text.encode()) for name, text in said.items())]
        log.append(WrittenRecord(LETTERS, partition, len(log), key.encode(), b"?", pairs))
        return f"{LETTERS}/{partition}/{len(log) - 1}"

    def keep(self, store: ParkingStore, partition: int = 0) -> None:
        for key, value in store.changes():
            self.append(PARKED, partition, key, value)


@pytest.fixture
def cluster() -> Any:
    return Cluster()


def names(plan: RedrivePlan) -> list[str]:
    return [item.name for item in plan.items]


def store() -> ParkingStore:
    return ParkingStore(PARKED, sources())


def test_a_plan_takes_the_oldest_first_and_of_each_partition_in_its_order(cluster: Any) -> None:
    first, second = cluster.give_up("a", 9, origin=1), cluster.give_up("a", 3, origin=2)
    other = cluster.give_up("b", 5, partition=1)
    letters = DeadLetters(session_on(cluster))
    for plan in (letters.plan_redrive(OF_PAYMENT), letters.plan_discard(OF_PAYMENT)):
        assert names(plan) == [other, first, second]
    assert names(letters.plan_redrive(OF_PAYMENT, limit=2)) == [other, first]
    assert names(letters.plan_discard(OF_PAYMENT, limit=1)) == [other]
    assert (letters.plan_redrive(OF_PAYMENT).verb, letters.plan_discard(OF_PAYMENT).verb) == ("redrive", "discard")
    assert letters.plan_redrive(OF_PAYMENT).edited is None


def test_a_record_that_failed_twice_in_one_generation_is_taken_once(cluster: Any) -> None:
    cluster.give_up("a", 1)
    latest = cluster.give_up("a", 2)
    again = cluster.give_up("a", 3, redriven=1)
    assert names(DeadLetters(session_on(cluster)).plan_redrive(OF_PAYMENT)) == [latest, again]


def test_an_item_says_what_failed_and_where_it_came_from(cluster: Any) -> None:
    name = cluster.give_up("a", 1, partition=1, origin=3, ce_type="payments.commands.AttemptCharge")
    [item] = DeadLetters(session_on(cluster)).plan_redrive(OF_PAYMENT).items
    assert item == RedriveItem(
        name=name, service="payment", partition=1, parking_key="a",
        origin=Position(topic="payments.commands", partition=1, offset=3), generation=0, type="AttemptCharge", key="a",
        error="Gone", waiting=0, failed_at=datetime(2026, 1, 31, 12, 1, tzinfo=UTC),
        dead_letter=Position(topic=LETTERS, partition=1, offset=0),
    )  # fmt: skip


def test_what_is_settled_or_no_more_than_an_excerpt_is_left_out_with_the_reason(cluster: Any) -> None:
    settled = cluster.give_up("a", 1, origin=1)
    excerpt = cluster.give_up("b", 2, origin=2, **{"ensemble.value-length": "3000000"})
    whole = cluster.give_up("c", 3, origin=3)
    decided = store()
    done = Resolution(how="discarded", operation_id="1", requested_by="ann", reason="twice", at=5)
    decided.set_resolution(b"a", ("payments.commands", 0, 1), 0, done)
    cluster.keep(decided)
    letters, everything = DeadLetters(session_on(cluster)), DeadLetterFilter(service="payment", open_only=False)
    redrive, discard = letters.plan_redrive(everything), letters.plan_discard(everything)
    assert (names(redrive), names(discard)) == ([whole], [excerpt, whole])
    assert [(each.name, each.why, each.detail) for each in redrive.skipped] == [
        (settled, "discarded", "ann"), (excerpt, "excerpt", ""),
    ]  # fmt: skip
    assert (redrive.skipped_count, discard.skipped_count) == (2, 1)


def test_what_was_redriven_five_times_is_refused_unless_forced(cluster: Any) -> None:
    cluster.give_up("a", 1, redriven=4)
    letters = DeadLetters(session_on(cluster))
    assert len(letters.plan_redrive(OF_PAYMENT).items) == 1
    worn = cluster.give_up("b", 2, origin=2, redriven=5)
    cluster.give_up("c", 3, origin=3, redriven=6)
    with pytest.raises(Invalid, match=rf"^{worn} was redriven 5 times and failed each time \(2 such\)") as refusal:
        letters.plan_redrive(OF_PAYMENT)
    assert refusal.value.field == "force"
    assert len(letters.plan_redrive(OF_PAYMENT, force=True).items) == 3
    assert len(letters.plan_discard(OF_PAYMENT).items) == 3


def test_a_selection_names_something(cluster: Any) -> None:
    letters = DeadLetters(session_on(cluster))
    for plan in (letters.plan_redrive, letters.plan_discard):
        with pytest.raises(Invalid, match="neither places nor a filter are given") as refusal:
            plan(DeadLetterFilter())
        assert refusal.value.field == "dead_letter"
    with pytest.raises(Invalid, match="an edit applies to one dead letter, but 0 are selected"):
        letters.plan_redrive(OF_PAYMENT, edit={})


# -- parked keys --------------------------------------------------------------------------------------------------


def park(cluster: Any, status: Any, *, redriven: int = 0) -> None:
    """Park two records of the key `a`, the first one consumed at offset 7."""
    parked = store()
    headers: Any = [{"name": "ensemble.redriven-from", "value": b"x/0/0"}] * redriven
    place: dict[str, Any] = {"topic": "payments.commands", "partition": 0, "key": b"a\xff", "value": b"?"}
    more: dict[str, Any] = {"headers": headers, "message": "AttemptCharge", "message_id": "m", "parked_at": 1}
    entry = ParkedKey(status=status, first=0, next=1, since=1, error="Gone", dead_letter=status == "dead_lettered")
    parked.park(b"a", entry, ParkedRecord.model_validate({"offset": 7, **place, **more}))
    parked.append(b"a", ParkedRecord.model_validate({"offset": 8, **place, **more}))
    cluster.keep(parked)


def test_the_head_of_a_key_is_its_record_where_it_is_no_dead_letter(cluster: Any) -> None:
    park(cluster, "retrying", redriven=2)
    keys = ParkedKeys(session_on(cluster))
    plans = keys.plan_retry("a"), keys.plan_discard("a", "payment")
    assert [plan.verb for plan in plans] == ["redrive", "discard"]
    for plan in plans:
        assert plan.items == (
            RedriveItem(
                name="payments.commands/0/7", service="payment", partition=0, parking_key="a",
                origin=Position(topic="payments.commands", partition=0, offset=7), generation=2, type="AttemptCharge",
                key="a\ufffd", error="Gone", waiting=1, failed_at=None, dead_letter=None,
            ),
        )  # fmt: skip


def test_a_head_that_is_a_dead_letter_is_redriven_as_that_and_discarded_as_a_record(cluster: Any) -> None:
    park(cluster, "dead_lettered")
    cluster.give_up("a", 1, origin=6, **{"ensemble.disposition": "dead_letter"})
    name = cluster.give_up("a", 2, origin=7, **{"ensemble.disposition": "dead_letter"})
    keys = ParkedKeys(session_on(cluster))
    [retried], [discarded] = keys.plan_retry("a").items, keys.plan_discard("a").items
    assert (retried.name, retried.waiting) == (name, 1)
    assert (discarded.name, discarded.dead_letter) == ("payments.commands/0/7", None)


def test_a_head_that_failed_again_is_redriven_as_its_last_failure(cluster: Any) -> None:
    """An earlier dead letter of the same record is settled, whatever its writer says of the time."""
    park(cluster, "dead_lettered", redriven=1)
    last = cluster.give_up("a", 2, origin=7, redriven=1, **{"ensemble.disposition": "dead_letter"})
    cluster.give_up("a", 9, origin=7, **{"ensemble.disposition": "dead_letter"})
    decided = store()
    done = Resolution(how="redriven", operation_id="1", requested_by="ann", reason="once", at=5)
    decided.set_resolution(b"a", ("payments.commands", 0, 7), 0, done)
    cluster.keep(decided)
    assert names(ParkedKeys(session_on(cluster)).plan_retry("a")) == [last]


def test_with_a_view_each_plan_has_what_came_since_the_last(cluster: Any) -> None:
    first = cluster.give_up("a", 1)
    with View(cluster, [FailuresProjection(session_on(cluster).decoder)]) as view:
        letters = DeadLetters(session_on(cluster), view)
        assert names(letters.plan_redrive(OF_PAYMENT)) == [first]
        second = cluster.give_up("b", 2, origin=8)
        assert names(letters.plan_redrive(OF_PAYMENT)) == [first, second]
        third = cluster.give_up("c", 3, origin=9)
        assert names(letters.plan_discard([Position(topic=LETTERS, partition=0, offset=2)] * 2)) == [third]
