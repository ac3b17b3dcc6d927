"""Whoever writes a service's inputs and reads what became of them, on a broker in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from ensemble.messages.codec import decoders_for, encoder_for
from ensemble.partitioning import partition_of
from ensemble.service.service import Service
from ensemble.system_messages.operations import DiscardRecord, OperationDone, PauseWork, ResumeWork
from ensemble.testing.on_kafka import Outsider, OutsiderClients
from tests.support.assigned_consumer import AssignedConsumer, Polled
from tests.support.json_flow import Cancel, Confirm, json_service
from tests.support.memory_broker import MemoryBroker
from tests.support.scripted_service.drivers import script
from tests.support.scripted_service.messages import Told
from tests.support.scripted_service.service import scripted_service

MOST_QUESTIONS = 30
LIMIT_S = 20.0


class PatientBroker(MemoryBroker):
    """Ends a test that asks it without end."""

    questions = 0

    def list_offsets(self, specs: dict[TopicPartition, Any], **more: Any) -> dict[TopicPartition, Any]:
        self.questions += 1
        assert self.questions < MOST_QUESTIONS, "it is asked without end"
        return super().list_offsets(specs, **more)


class WritingClient(AssignedConsumer):
    """Writes to the broker and reads from it; the log that it reads is the broker's."""

    def __init__(self, broker: MemoryBroker) -> None:
        super().__init__()
        self.broker, self.produced, self.unsent = broker, list[tuple[Any, ...]](), 0
        self.on_flush: Callable[[], None] = lambda: None

    def produce(self, topic: str, value: bytes, key: bytes, partition: int = -1, **more: Any) -> None:
        headers = list(more.get("headers", ()))
        self.produced.append((topic, key, partition, headers))
        place = topic, partition_of(key, 2) if partition < 0 else partition
        self.broker.append(place, key, value, headers)

    def flush(self, _: float) -> int:
        self.on_flush()
        return self.unsent

    def assign(self, places: list[TopicPartition]) -> None:
        self.log = [record for log in self.broker.logs.values() for record in log]
        self.coming = deque([None])  # nothing is there at once
        super().assign(places)

    def unassign(self) -> None:
        self.assigned.append(("nothing", 0, 0))

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:
        assert timeout > 0
        return [self.broker.offsets.get((p.topic, p.partition), p) for p in places]


class Bench:
    """An outsider, and what stands on the broker's side."""

    def __init__(self, service: Service) -> None:
        self.service, self.broker = service, PatientBroker([topic.name for topic in service.inputs])
        self.client, self.group = WritingClient(self.broker), WritingClient(self.broker)
        self.outsider = Outsider("there:9092", service, self.reach, limit_s=LIMIT_S)

    def reach(self, _: str, __: Service) -> OutsiderClients:
        client: Any = self.client
        admin: Any = self.broker
        group: Any = self.group
        return OutsiderClients({}, admin, client, client, group)

    def tell(self, key: str, *texts: str) -> None:
        for text in texts:
            value = encoder_for(Told)(Told(account_id=key, text=text))
            self.broker.append(("shop.events", partition_of(key.encode(), 2)), key.encode(), value)

    def commit(self, offset: int, *places: tuple[str, int]) -> None:
        self.broker.offsets |= {place: TopicPartition(*place, offset) for place in places}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(scripted_service("shop", tmp_path))


def test_messages_are_written_as_their_senders_would_and_the_first_under_an_id(bench: Bench) -> None:
    bench.outsider.send(script("a", "tell x"), script("b"), message_id="m-1")
    bench.outsider.send(script("c"))
    written = [("shop.commands", key, -1) for key in (b"a", b"b", b"c")]
    assert [each[:3] for each in bench.client.produced] == written
    assert [each[3] for each in bench.client.produced] == [[("ce_id", "m-1")], [], []]


def test_messages_of_json_say_their_type() -> None:
    bench = Bench(json_service("shop"))
    bench.outsider.send(Confirm(order_id="a"), Cancel(order_id="b"), message_id="m-1")
    headers = [dict(each[3]) for each in bench.client.produced]
    assert headers == [{"ce_id": "m-1", "ce_type": "Confirm"}, {"ce_type": "Cancel"}]


def test_what_the_broker_does_not_take_is_told(bench: Bench) -> None:
    bench.client.unsent = 1
    with pytest.raises(AssertionError, match=r"^Kafka did not take all records within 20 s$"):
        bench.outsider.send(script("a"))


def test_records_are_read_partition_by_partition_and_each_once(bench: Bench) -> None:
    # given keys of both partitions
    one, zero = (next(key for key in "abcdef" if partition_of(key.encode(), 2) == p) for p in (1, 0))
    bench.tell(one, "1")
    bench.tell(zero, "2", "3")

    # when they are read, twice, and once more when one more has come
    first, again = bench.outsider.messages("events", Told), bench.outsider.messages("events", Told)
    bench.tell(zero, "4")
    later = bench.outsider.messages("events", Told)

    # then
    assert [each.text for each in first] == [each.text for each in again] == ["2", "3", "1"]
    assert [each.text for each in later] == ["2", "3", "4", "1"]
    reads = [each for each in bench.client.assigned if each[0] != "nothing"]
    assert reads == [("shop.events", 0, 2)], "from where it had read to"
    assert bench.outsider.topic("events") == "shop.events"


def test_what_an_open_transaction_hides_is_read_when_it_has_ended(bench: Bench) -> None:
    # given a partition that can be read up to its first record
    bench.tell("a", "1", "2")
    place = "shop.events", partition_of(b"a", 2)
    log = bench.broker.logs[place]
    log[1] = Polled((*place, 1), problem=KafkaError(KafkaError._PARTITION_EOF))

    # then its end is not waited for
    assert [each.text for each in bench.outsider.messages("events", Told)] == ["1"]
    assert bench.client.assigned[-1] == ("nothing", 0, 0), "nobody goes on asking the broker"

    # and what was hidden comes behind what was read
    log.pop()
    bench.tell("a", "2")
    assert [each.text for each in bench.outsider.messages("events", Told)] == ["1", "2"]


def test_dead_letters_are_those_of_a_key_with_their_errors(bench: Bench) -> None:
    for key in (b"a", b"b"):
        place = "shop.dead-letter", partition_of(key, 2)
        bench.broker.append(place, key, b"", [("__streams.errors.message", b"no " + key)])
    assert bench.outsider.errors_of("a") == ["no a"]
    assert [letter.key() for letter in bench.outsider.letters("b")] == [b"b"]
    assert len(bench.outsider.letters()) == 2


def test_all_is_done_when_the_group_has_committed_what_there_is(bench: Bench) -> None:
    # given a command, and offsets of no partition
    bench.outsider.send(script("a"))
    place = "shop.commands", partition_of(b"a", 2)
    inputs = bench.outsider.inputs
    assert sorted(inputs) == sorted((topic.name, p) for topic in bench.service.inputs for p in (0, 1))
    assert bench.outsider.committed() == dict.fromkeys(inputs, 0)
    assert not bench.outsider.all_committed
    with pytest.raises(AssertionError, match=r"^waited 0\.01 s for all inputs to be committed$"):
        bench.outsider.until_done(0.01)

    # when the group commits its end
    bench.commit(1, place)

    # then
    assert bench.outsider.committed()[place] == 1
    bench.outsider.until_done(0.01)


READERS = {label: read for kind in (PauseWork, ResumeWork, DiscardRecord) for label, read in decoders_for(kind).items()}


def answered(bench: Bench) -> list[Any]:
    """Have each partition that is told something as an operator answer, and return what it was told."""
    told: list[Any] = []

    def answer() -> None:
        for topic, key, partition, _ in bench.client.produced:
            value = bench.broker.logs[topic, partition][-1].value() or b""
            told.append(READERS[value[:5]](value))
            answer = {"operation_id": told[-1].operation_id, "service": "shop", "operation": "it", "outcome": "done"}
            done = OperationDone.model_validate({**answer, "partition": partition, "at": 1})
            bench.broker.append(("shop.operations", partition), key, encoder_for(OperationDone)(done))
        bench.client.produced.clear()

    bench.client.on_flush = answer
    return told


def test_an_operators_pause_is_told_to_all_partitions_until_each_has_answered(bench: Bench) -> None:
    told = answered(bench)
    bench.outsider.pause_service()
    bench.outsider.resume_service()
    assert [(type(each), each.scope, each.name) for each in told] == [
        *[(PauseWork, "service", "shop")] * 2,
        *[(ResumeWork, "service", "shop")] * 2,
    ]
    assert [(each.reason, each.requested_by, each.at) for each in told[::2]] == [
        ("paused by a test", "test", 1),
        ("resumed by a test", "test", 1),
    ]


def test_the_last_dead_letter_that_holds_a_key_back_is_discarded(bench: Bench) -> None:
    # given two letters of one record's key, and one of another's
    told, partition = answered(bench), partition_of(b"a", 2)
    for offset, key in enumerate((b"a", b"a", b"b")):
        place = [("__streams.errors.topic", b"shop.commands"), ("__streams.errors.partition", b"%d" % partition)]
        headers = [*place, ("__streams.errors.offset", b"%d" % offset), ("ensemble.parking-key", key)]
        bench.broker.append(("shop.dead-letter", partition), b"k", b"", headers)

    assert [letter.offset() for letter in bench.outsider._letters_of("a")] == [0, 1]

    # when
    bench.outsider.discard("a")

    # then
    [discard] = told
    assert (discard.parking_key, discard.topic, discard.partition, discard.offset) == (
        "a",
        "shop.commands",
        partition,
        1,
    )


def test_its_consumers_are_closed_with_its_block(bench: Bench) -> None:
    with bench.outsider as outsider:
        assert outsider is bench.outsider
        assert not bench.client.is_closed
    assert (bench.client.is_closed, bench.group.is_closed) == (True, True)
