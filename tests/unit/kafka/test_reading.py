"""A reader of partitions knows how far it is: behind each record, and at the end where nothing more is."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from ensemble.kafka.errors import ClusterError
from ensemble.kafka.reading import Reader, poll_batch
from tests.support.assigned_consumer import AssignedConsumer, Polled

PLACE, OTHER = ("shop.events", 0), ("shop.events", 1)


def problem(code: int, place: tuple[str, int] = PLACE, offset: int = 0) -> Polled:
    return Polled((*place, offset), problem=KafkaError(code, "what the broker said"))


def reader(*log: Polled) -> tuple[Reader, AssignedConsumer]:
    consumer: Any = AssignedConsumer(log)
    return Reader({}, make_consumer=lambda _: consumer), consumer


def records(*offsets: int, place: tuple[str, int] = PLACE) -> list[Polled]:
    return [Polled((*place, offset)) for offset in offsets]


def test_it_reads_from_the_given_offset_and_moves_behind_each_record() -> None:
    reading, consumer = reader(*records(0, 1, 2), *records(0, place=OTHER))
    reading.start({PLACE: 1, OTHER: 0})
    assert consumer.assigned == [(*PLACE, 1), (*OTHER, 0)]
    assert [(each.partition, each.offset) for each in reading.receive(0)] == [(0, 1), (0, 2), (1, 0)]
    assert reading.positions == {PLACE: 3, OTHER: 1}


def test_a_poll_moves_positions_at_the_end_only() -> None:
    """Its caller has not handled the records yet; an end lies behind markers that are no records."""
    reading, consumer = reader()
    reading.start({PLACE: 0})
    consumer.coming.clear()
    consumer.coming += [*records(0, 1), problem(KafkaError._PARTITION_EOF, offset=7)]
    assert [each.offset() for each in reading.poll(0)] == [0, 1]
    assert reading.positions == {PLACE: 7}
    consumer.coming += [*records(3), problem(KafkaError._PARTITION_EOF, offset=4)]
    reading.receive(0)
    assert reading.positions == {PLACE: 7}, "it never moves back"


class BrokenConsumer:
    """A consumer of a client that is at its end, as librdkafka's is after a fatal error."""

    def assign(self, _: object) -> None:
        raise KafkaException(KafkaError(KafkaError._FATAL, "the client is gone"))

    def poll(self, _: float) -> None:
        self.assign(None)


def test_what_the_client_raises_is_an_error_of_the_runtime() -> None:
    consumer: Any = BrokenConsumer()
    reading = Reader({}, make_consumer=lambda _: consumer)
    with pytest.raises(ClusterError, match=r"^Kafka: the client is gone$"):
        reading.start({PLACE: 0})
    with pytest.raises(ClusterError, match=r"^Kafka: the client is gone$"):
        reading.poll(0)


def test_behind_is_what_has_not_been_read_to_an_end() -> None:
    reading, _ = reader()
    reading.start({PLACE: 3, OTHER: 3})
    assert reading.behind({PLACE: 3, OTHER: 4}) == [OTHER]


def test_reading_to_an_end_leaves_out_what_came_after_it() -> None:
    reading, _ = reader(*records(0, 1, 2))
    reading.start({PLACE: 0})
    assert [[each.offset for each in part] for part in reading.read_to({PLACE: 2}, stall_s=5)] == [[0, 1]]


class SlowConsumer(AssignedConsumer):
    """Gives one record at a time."""

    def consume(self, *_: Any) -> list[Any]:
        return []


def test_a_partition_at_its_end_is_read_no_further_while_others_are() -> None:
    """All that lies behind it would be fetched, and thrown away, for as long as the longest one takes."""
    consumer: Any = SlowConsumer([*records(0, 1, 2), *records(0, 1, place=OTHER)])
    reading = Reader({}, make_consumer=lambda _: consumer)
    reading.start({PLACE: 0, OTHER: 0})
    parts = [[each.offset for each in part] for part in reading.read_to({PLACE: 1, OTHER: 2}, stall_s=5)]
    assert parts == [[0], [0], [1]], "nothing of the first one in between"


class LateConsumer(SlowConsumer):
    """Lets one poll pass before each record."""

    def __init__(self, log: list[Polled]) -> None:
        super().__init__(log)
        self._polls, self.left = 0, list[list[tuple[str, int]]]()

    def poll(self, wait_s: float) -> Any:
        self._polls += 1
        return super().poll(wait_s) if self._polls % 2 == 0 else None

    def incremental_unassign(self, places: Any) -> None:
        super().incremental_unassign(places)
        self.left.append([(place.topic, place.partition) for place in places])


def test_records_that_take_their_time_are_waited_for_and_what_is_read_is_left_once() -> None:
    consumer: Any = LateConsumer([*records(0, 1), *records(0, 1, 2, place=OTHER)])
    reading = Reader({}, make_consumer=lambda _: consumer)
    reading.start({PLACE: 0, OTHER: 0})
    parts = [[each.offset for each in part] for part in reading.read_to({PLACE: 1, OTHER: 2}, stall_s=60)]
    assert (parts, consumer.left) == ([[], [0], [], [0], [], [1]], [[PLACE]])


def test_an_end_that_nothing_reaches_is_told() -> None:
    reading, _ = reader(*records(0))
    reading.start({PLACE: 0})
    with pytest.raises(ClusterError, match=r"nothing came for 0 s while reading shop\.events"):
        list(reading.read_to({PLACE: 9}, stall_s=0))


def test_what_passes_is_waited_out_and_what_does_not_is_told() -> None:
    reading, consumer = reader()
    reading.start({PLACE: 0})
    consumer.coming.clear()
    consumer.coming += [problem(KafkaError._TRANSPORT), *records(0)]
    assert [each.offset() for each in reading.poll(0)] == [0]
    consumer.coming += [problem(KafkaError.TOPIC_AUTHORIZATION_FAILED)]
    with pytest.raises(ClusterError, match=r"cannot read shop\.events: what the broker said"):
        reading.poll(0)


def test_a_record_is_received_as_it_lies_on_its_topic() -> None:
    pairs: list[tuple[str, bytes | None]] = [("a", b"1"), ("a", b"2"), ("b", None)]
    reading, _ = reader(Polled((*PLACE, 0), (None, b"v"), pairs=pairs))
    reading.start({PLACE: 0})
    [record] = reading.receive(0)
    assert record == ("shop.events", 0, 0, 1_750_000_000_000, None, b"v", {"a": b"2", "b": b""}, tuple(pairs))


def test_errors_of_the_client_reach_who_asked_for_them() -> None:
    configs: list[dict[str, Any]] = []
    consumer: Any = AssignedConsumer()

    def make(config: dict[str, Any]) -> Any:
        configs.append(config)
        return consumer

    with Reader({"group.id": "shop"}, print, make_consumer=make):
        assert not consumer.is_closed
    Reader({"group.id": "shop"}, make_consumer=make)
    assert configs == [{"group.id": "shop", "error_cb": print}, {"group.id": "shop"}]
    assert consumer.is_closed


def test_a_batch_is_one_record_and_what_else_has_come() -> None:
    consumer: Any = AssignedConsumer()
    assert poll_batch(consumer, 0) == []
    consumer.coming += records(0, 1, 2)
    assert [each.offset() for each in poll_batch(consumer, 0, limit=2)] == [0, 1]
