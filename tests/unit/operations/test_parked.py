"""What a parked key is shown as: each field from where its service keeps it, and its records in their order."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import pytest

from ensemble import Application
from ensemble.clock import moment_of
from ensemble.command_line.connection import session_on, sources
from ensemble.errors import UnreadableState
from ensemble.kafka.client import ReceivedRecord, TopicPlace
from ensemble.messages.schema_set import DirectorySourceSelector
from ensemble.operations import (
    Ambiguous,
    NotFound,
    ParkedKeyFilter,
    Position,
    Session,
    describe_parked_key,
    find_parked_key,
    find_parked_keys,
    summarize_parked_key,
)
from ensemble.operations.parking_stores import Parked, ParkingStores
from ensemble.state import ParkingStore
from ensemble.system_messages import ParkedKey, ParkedRecord, Pause
from ensemble.system_messages.state import RecordHeader
from tests.support.json_flow import json_catalogue, json_service

FULL: dict[str, Any] = {
    "status": "outage", "first": 0, "next": 1, "since": 1_000, "due_at": 9_000, "attempts": 3, "error": "Gone",
    "words": "HTTP 410", "handler": "Charger.charge", "policy": "default", "blocked_on": "handler Charger.charge",
}  # fmt: skip


def record(offset: int = 7, **changes: Any) -> ParkedRecord:
    place: dict[str, Any] = {"topic": "payments.commands", "partition": 1, "offset": offset, "key": b"o-1"}
    more: dict[str, Any] = {"value": b"?", "headers": (), "message": "AttemptCharge", "message_id": f"m-{offset}"}
    return ParkedRecord(**place | more | {"parked_at": 100 * offset} | changes)


def changelog(service: str, partition: int, key: bytes, *, since: int = 1_000, status: str = "retrying") -> list[Any]:
    """Return the records that a service writes when it parks two records of a key."""
    store = ParkingStore(f"{service}.parked-changelog", sources())
    fields = FULL | {"since": since, "status": status}
    store.park(key, ParkedKey(**fields), record(7, key=key))
    store.append(key, record(8, key=key))
    return [written(service, partition, name, value) for name, (_, value) in store.batch.items()]


def written(service: str, partition: int, key: bytes, value: bytes | None) -> ReceivedRecord:
    return ReceivedRecord(f"{service}.parked-changelog", partition, 0, 0, key, value, {}, ())


class Cluster:
    """Two services whose parked-changelogs hold the records it was given."""

    def __init__(self, *records: Any) -> None:
        self.records, self.followed, self.is_closed = records, list[TopicPlace](), False

    def topics(self) -> dict[str, int]:
        suffixes = ("dead-letter", "parked-changelog")
        return {f"{name}.{suffix}": 2 for name in ("payment", "shipping") for suffix in suffixes}

    def places(self, topics: Collection[str]) -> list[TopicPlace]:
        return [(topic, partition) for topic in topics for partition in (0, 1)]

    def follow(self, places: Collection[TopicPlace], *, from_beginning: bool = False) -> Cluster:
        assert from_beginning
        self.followed = list(places)
        return self

    def read_to_end(self) -> Iterator[Any]:
        yield from (each for each in self.records if (each.topic, each.partition) in self.followed)

    def close(self) -> None:
        self.is_closed = True


def session(*records: Any) -> Any:
    cluster: Any = Cluster(*records)
    return session_on(cluster)


def test_a_summary_has_each_field_of_the_key_and_its_head() -> None:
    parked = Parked("payment", 1, b"o-1", ParkedKey(**FULL), (record(7), record(8, message="RefundPayment")))
    assert summarize_parked_key(parked).model_dump() == {
        "service": "payment", "partition": 1, "key": "o-1", "status": "outage", "depth": 2, "since": moment_of(1_000),
        "head": "AttemptCharge", "attempts": 3, "next_attempt_at": moment_of(9_000), "error": "Gone",
        "blocked_on": "handler Charger.charge", "message": "HTTP 410", "handler": "Charger.charge", "policy": "default",
    }  # fmt: skip


def test_a_record_that_waits_is_shown_with_its_fields_and_one_that_cannot_be_read_with_the_reason() -> None:
    unread = record(8, original=b"!", message="Charge", headers=(RecordHeader(name="empty", value=None),))
    sent = record(7, message="")
    parked = Parked("payment", 1, b"o-1", ParkedKey(**FULL), (sent, unread))
    details = describe_parked_key(session(), parked)
    first, second = details.records
    assert (details.key, details.depth) == ("o-1", 2)
    assert (first.position, first.type) == (Position(topic="payments.commands", partition=1, offset=7), "(unreadable)")
    assert (second.type, second.message_id, second.parked_at) == ("Charge", "m-8", moment_of(800))
    assert (first.is_edited, second.is_edited) == (False, True)
    assert "too short" in (second.problem or "")


def test_a_parked_record_is_decoded_by_its_topic_key_and_headers_as_it_came() -> None:
    application = Application("counter", json_catalogue(), {"counter": json_service}, [])
    on = Session(application, None, DirectorySourceSelector())  # type: ignore[arg-type]  # no cluster is asked
    headers = (RecordHeader(name="ce_type", value=b"Cancel"), RecordHeader(name="note", value=None))
    cancel = record(topic="counter.commands", value=b'{"order_id": "a"}', headers=headers, message="")
    [shown] = describe_parked_key(on, Parked("counter", 1, b"a", ParkedKey(**FULL), (cancel,))).records
    assert (shown.type, shown.fields, shown.problem) == ("Cancel", {"order_id": "a"}, None)


def test_parked_keys_are_those_of_the_filter_oldest_first() -> None:
    cluster: Any = Cluster(
        *changelog("payment", 1, b"o-1", since=3_000),
        *changelog("payment", 0, b"o-2", since=2_000, status="paused"),
        *changelog("shipping", 0, b"o-1", since=1_000),
    )
    on = session_on(cluster)

    def found(**which: Any) -> list[tuple[str, str, int]]:
        return [(each.service, each.name, each.partition) for each in find_parked_keys(on, ParkedKeyFilter(**which))]

    assert found() == [("shipping", "o-1", 0), ("payment", "o-2", 0), ("payment", "o-1", 1)]
    assert cluster.is_closed
    assert found(service="payment") == [("payment", "o-2", 0), ("payment", "o-1", 1)]
    assert cluster.followed == [("payment.parked-changelog", 0), ("payment.parked-changelog", 1)]
    assert found(key="o-1") == [("shipping", "o-1", 0), ("payment", "o-1", 1)]
    assert found(status="paused") == [("payment", "o-2", 0)]
    assert found(status="paused", key="o-1") == []


def test_one_key_is_found_by_its_name_in_one_service() -> None:
    on = session(*changelog("payment", 1, b"o-1"), *changelog("shipping", 0, b"o-1"), *changelog("payment", 0, b"o-2"))
    assert find_parked_key(on, "o-2", None).service == "payment"
    assert find_parked_key(on, "o-1", "shipping").service == "shipping"
    with pytest.raises(Ambiguous, match=r"^'o-1' is parked in payment, shipping; ") as several:
        find_parked_key(on, "o-1", None)
    assert (several.value.subject, several.value.hint, several.value.field) == ("o-1", "give one of them", "service")
    for service, where in ((None, ""), ("shipping", " in shipping")):
        with pytest.raises(NotFound) as missing:
            find_parked_key(on, "o-2" if service else "o-3", service)
        assert str(missing.value) == f"{missing.value.subject!r} is not parked{where}"
        assert missing.value.field == "parked_key"


def test_a_key_of_two_partitions_of_one_service_is_the_one_that_was_parked_first() -> None:
    on = session(*changelog("payment", 1, b"o-1", since=2), *changelog("payment", 0, b"o-1", since=1))
    assert find_parked_key(on, "o-1", None).partition == 0


def test_what_a_changelog_says_later_replaces_what_it_said_before() -> None:
    stores = ParkingStores(sources())
    records = changelog("payment", 1, b"o-1")
    stores.take(records)
    [parked] = stores.parked()
    assert (parked.key, parked.head.offset, [each.offset for each in parked.waiting]) == (b"o-1", 7, [7, 8])
    assert stores.store("payment", 1) is stores.store("payment", 1)
    assert list(ParkingStores(sources()).store("payment", 0).keys) == []
    stores.take([written("payment", 1, each.key, None) for each in records])
    assert list(stores.parked()) == []


def test_a_state_of_a_newer_release_is_not_taken() -> None:
    with pytest.raises(UnreadableState):
        ParkingStores(sources()).take([written("payment", 1, b"key/o-1", b"\0\x00\x00\x00\x07new")])


def test_a_key_that_is_no_text_is_shown_written_out() -> None:
    assert Parked("payment", 0, b"o-\xff", ParkedKey(**FULL), ()).name == "o-\\xff"


def test_pauses_are_told_by_service_partition_and_target() -> None:
    stores, pause = ParkingStores(sources()), Pause(at=5, operation_id="1", requested_by="ann", reason="trial")
    for service, partition, name in (
        ("shipping", 0, "b"),
        ("payment", 1, "b"),
        ("payment", 0, "b"),
        ("payment", 0, "a"),
    ):
        store = ParkingStore(f"{service}.parked-changelog", sources())
        store.set_pause("command", name, pause)
        stores.take(written(service, partition, key, value) for key, (_, value) in store.batch.items())
    assert [(service, partition, name) for service, partition, (_, name), _ in stores.pauses()] == [
        ("payment", 0, "a"), ("payment", 0, "b"), ("payment", 1, "b"), ("shipping", 0, "b"),
    ]  # fmt: skip
