"""A follower knows whether it has caught up with what was there, and reads on from where it is."""

from dataclasses import replace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from ensemble.kafka.client import ClusterClient
from ensemble.kafka.client.following import Follower
from ensemble.kafka.errors import ClusterError
from tests.support.assigned_consumer import AssignedConsumer, Polled

PLACE, OTHER = ("shop.events", 0), ("shop.events", 1)


def records(*offsets: int, place: tuple[str, int] = PLACE, key: bytes = b"key") -> list[Polled]:
    return [Polled((*place, offset), (key, b"value")) for offset in offsets]


def client_of(consumer: Any, **more: Any) -> ClusterClient:
    shared = {"bootstrap.servers": "nowhere:9092"}
    return ClusterClient(shared, consumer, 1.0, make_consumer=lambda _: consumer, **more)


def follower_of(consumer: AssignedConsumer) -> Follower:
    return client_of(consumer).follow_from({PLACE: 0, OTHER: 0})


def test_who_follows_has_caught_up_once_all_partitions_are_read_to_the_ends_of_before() -> None:
    consumer = AssignedConsumer([*records(0, 1), *records(0, place=OTHER)])
    late = [consumer.log[-1]]
    with follower_of(consumer) as follower:
        consumer.coming.pop()  # the other partition's end
        consumer.coming.pop()  # and its record
        answers = [follower.has_caught_up]
        for records_now in ([], late):
            consumer.coming += records_now
            follower.poll(0)
            answers.append(follower.has_caught_up)
        assert answers == [False, False, True]
    assert consumer.is_closed


def test_what_is_there_by_now_is_read_to_its_end() -> None:
    consumer = AssignedConsumer([*records(0, 1), *records(0, place=OTHER)])
    follower = follower_of(consumer)
    consumer.log += records(2)
    consumer.coming += records(2)
    assert [(each.partition, each.offset) for each in follower.read_to_end()] == [(0, 0), (0, 1), (1, 0), (0, 2)]


def test_who_follows_knows_why_nothing_comes_until_something_does() -> None:
    # given
    consumer, configs = AssignedConsumer(records(0)), list[dict[str, Any]]()
    client: Any = client_of(consumer)

    def make(config: dict[str, Any]) -> Any:
        configs.append(config)
        return consumer

    follower = replace(client, make_consumer=make).follow_from({PLACE: 0})

    # when
    configs[0]["error_cb"](KafkaError(KafkaError._ALL_BROKERS_DOWN, "all brokers are down"))

    # then
    assert replace(client, make_consumer=make).follow_from({PLACE: 0}).problem == ""
    assert follower.problem == "all brokers are down"
    follower.poll(0)
    assert follower.problem == ""


def test_an_end_that_nobody_reaches_is_told() -> None:
    consumer = AssignedConsumer(records(0))
    follower = follower_of(consumer)
    consumer.log += records(1)
    with pytest.raises(ClusterError, match=r"shop\.events\[0\] could not be read to its end within 0\.01 s"):
        follower.read_to_end(0.01)


def test_who_reads_spans_is_told_how_far_the_reading_is() -> None:
    consumer, told = AssignedConsumer([*records(0, 1, 2), *records(0, place=OTHER)]), list[tuple[int, int]]()
    spans = client_of(consumer).read_spans(
        {PLACE: range(1, 3)},
        {OTHER: range(1), PLACE: range(0)},
        select=lambda record: record.offset() != 1,
        on_read=lambda count, total: told.append((count, total)),
    )
    assert [(each.partition, each.offset) for each in spans] == [(0, 2), (1, 0)]
    assert (told[0], told[-1]) == ((2, 3), (3, 3))
    assert consumer.assigned == [(*OTHER, 0)]


def test_of_nothing_nothing_is_read() -> None:
    consumer = AssignedConsumer(records(0))
    assert list(client_of(consumer).read_spans({PLACE: range(1, 1)})) == []
    assert not consumer.is_closed


def test_the_newest_record_of_a_key_is_found_in_an_older_part_as_well() -> None:
    log = [*records(0, 1, key=b"ours"), *records(*range(2, 6_000))]
    newest = client_of(AssignedConsumer(log)).last_of(PLACE, b"ours")
    assert newest is not None
    assert newest.offset == 1
    assert client_of(AssignedConsumer(log)).last_of(PLACE, b"nobody's") is None


def test_what_changed_lately_is_found_without_reading_the_rest() -> None:
    consumer = AssignedConsumer([*records(*range(2, 6_000)), *records(6_000, key=b"ours")])
    consumer.removed[PLACE] = 2
    newest = client_of(consumer).last_of(PLACE, b"ours")
    assert newest is not None
    assert (newest.offset, consumer.assigned) == (6_000, [(*PLACE, 1_001)])
    assert client_of(consumer).last_of(PLACE, b"nobody's") is None
    assert consumer.assigned == [(*PLACE, 2)], "nothing is asked for that is gone"


def test_of_parts_the_sum_is_told_and_never_more_than_was_asked_for() -> None:
    consumer, told = AssignedConsumer([*records(*range(6_000))]), list[tuple[int, int]]()
    spans = client_of(consumer).read_spans(
        {PLACE: range(1_000, 5_500)}, on_read=lambda count, total: told.append((count, total))
    )
    assert [each.offset for each in spans] == list(range(1_000, 5_500))
    assert told == [(2_000, 4_500), (4_000, 4_500), (4_500, 4_500)]


@pytest.mark.parametrize(("size", "ahead"), [(500_000, 5_000), (500_001, 200_000)])
def test_who_reads_few_records_holds_few_of_them(size: int, ahead: int) -> None:
    configs, consumer = list[dict[str, Any]](), AssignedConsumer(records(0))

    def make(config: dict[str, Any]) -> Any:
        configs.append(config)
        return consumer

    client: Any = replace(client_of(consumer), make_consumer=make)
    next(client.read_spans({PLACE: range(size)}))
    assert configs[0]["queued.min.messages"] == ahead
    client.last_of(PLACE, b"key")
    client.reader()
    assert [config["queued.min.messages"] for config in configs[1:]] == [5_000, 200_000]


@pytest.mark.parametrize(("since", "expected"), [(0, 2), (2, 2), (3, None), (7, None)])
def test_the_newest_record_of_a_key_is_looked_for_from_an_offset_on(since: int, expected: int | None) -> None:
    log = [*records(0, 1, 2, key=b"ours"), *records(3)]
    newest = client_of(AssignedConsumer(log)).last_of(PLACE, b"ours", since)
    assert (newest and newest.offset) == expected
    assert client_of(AssignedConsumer()).last_of(PLACE, b"ours", since) is None
