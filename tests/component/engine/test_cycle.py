"""The worker's loop, the test driver and the rehearsal run one cycle: the same inputs leave the same records behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import TopicPartition

from ensemble import RetryableError, TerminalError
from ensemble.clock import ManualClock
from ensemble.engine.async_calls import first_finished
from ensemble.engine.compiled import compile_service
from ensemble.engine.rehearsal import Rehearsal
from ensemble.engine.task import PartitionTask
from ensemble.kafka.client_config import Clients
from ensemble.kafka.worker.loop import Loop
from ensemble.messages import Message
from ensemble.messages.codec import encoder_for
from ensemble.messages.records import StoredRecord
from ensemble.observability.metrics import LoopMetrics
from ensemble.settings import RuntimeSettings
from ensemble.state.unit_of_work import Output
from ensemble.system_messages.dead_letters import DeadLetter, OperatorRequest, redrive
from ensemble.system_messages.operations import RedriveRecord
from ensemble.testing.driver import ServiceTestDriver
from ensemble.testing.topics import MemoryTopics
from tests.support.scripted_service.controlled_service import (
    Controls,
    controlled_service,
    last_dead_letter,
    later,
    limits,
    quick,
    slow,
    texts_of,
)

CALL_WAIT_S = 0.01
ENOUGH_S = 5.0


class EndsOfTopics:
    """An admin client whose topics have been read to their ends."""

    def list_offsets(self, places: Iterable[TopicPartition], **_: Any) -> dict[TopicPartition, Future[Any]]:
        answer: Future[Any] = Future()
        answer.set_result(type("Result", (), {"offset": 0}))
        return dict.fromkeys(places, answer)


class Worker:
    """The loop of a worker process; what it would commit to Kafka goes to topics in memory."""

    def __init__(self, world: Controls, clock: ManualClock) -> None:
        plan = compile_service(controlled_service(world), clock, limits())
        names = {"group.id": "shop", "transactional.id": "shop-0", "transaction.timeout.ms": 10_000}
        admin: Any = EndsOfTopics()
        self.loop = Loop(
            plan=plan,
            settings=RuntimeSettings(call_wait_s=CALL_WAIT_S),
            clients=Clients(consumer=names, producer=names, reader=names, admin=admin),
            metrics=LoopMetrics("shop"),
        )
        tasks = {partition: PartitionTask(plan, partition) for partition in range(plan.service.partitions)}
        self.running = self.loop._assignment.running
        self.running.update(tasks)
        self.topics = MemoryTopics([plan.service])

    def run(self, records: Iterable[StoredRecord], calls_s: float) -> None:
        polled: list[Any] = list(records)
        self.loop._run_calls(calls_s)
        self.loop._batch(polled)
        for task in self.running.values():
            for output in task.outputs:
                self.topics.append(output)
            for topic, changes in task.changes():
                for key, value in changes:
                    self.topics.append((topic, value, key, [], task.partition))
            task.commit()


class Both:
    """A worker and a test driver of one service, each with an outside of its own, under one clock."""

    def __init__(self) -> None:
        self.clock, self.worlds = ManualClock(), (Controls(), Controls())
        for world in self.worlds:
            world.errors |= {"b1": RetryableError("not now"), "e1": TerminalError("never")}
            world.hang("a1")
        self.worker = Worker(self.worlds[0], self.clock)
        self.driver = ServiceTestDriver(controlled_service(self.worlds[1]), self.clock, limits(), CALL_WAIT_S)

    def mend(self) -> None:
        """From now on the outside answers every call."""
        for world in self.worlds:
            world.errors.clear()
            world.let_go("a1")

    def receive(self, *messages: Message, calls_s: float = 0.0) -> None:
        """Have both run one batch, after their calls in flight ran for `calls_s` at most."""
        self.run([self.driver.record_of(message, f"m{next(self.driver._offsets)}") for message in messages], calls_s)

    def run(self, records: list[StoredRecord], calls_s: float = 0.0) -> None:
        self.worker.run(records, calls_s)
        self.driver.process.loop.run_until_complete(first_finished(self.driver.process.calls_in_flight(), calls_s))
        self.driver.receive_records(records)

    def redrive(self, command: RedriveRecord) -> None:
        control, value = self.driver.service.control.name, encoder_for(RedriveRecord)(command)
        self.run([StoredRecord(control, command.partition, 0, b"operator", value)])

    def rehearsal(self, partition: int) -> Rehearsal:
        """Return a rehearsal on a copy of a partition, with an outside that answers."""
        plan = compile_service(controlled_service(Controls()), self.clock, limits())
        task = PartitionTask(plan, partition)
        self.driver.process.topics.restore(task, plan)
        return Rehearsal(task, [], self.clock.now())


@pytest.fixture
def both() -> Iterator[Both]:
    both = Both()
    yield both
    both.worker.loop._leave()


def test_worker_and_driver_put_calls_records_retries_and_timers_into_a_batch_alike(both: Both) -> None:
    both.receive(slow("a", "a1"), quick("a", "a2"), quick("b", "b1"), later("c", "c1", 1), slow("d", "d1"))
    assert by_place(both.worker.topics.log) == by_place(both.driver.log)
    assert [texts_of(both.driver, key) for key in "abcd"] == [[], [], [], ["d1"]]
    both.mend()
    both.clock.advance(1)
    both.receive(quick("c", "c0"), calls_s=ENOUGH_S)
    assert [texts_of(both.driver, key) for key in "abc"] == [["a1", "a2"], ["b1"], ["c0", "c1"]]
    assert by_place(both.worker.topics.log) == by_place(both.driver.log)


def test_worker_driver_and_rehearsal_redrive_alike(both: Both) -> None:
    """The head is tried again, an async call follows it, and a timer that fell due meanwhile fires: in one batch."""
    both.receive(later("e", "e3", 1), quick("e", "e1"), slow("e", "e2"))
    both.clock.advance(2)
    both.receive()
    letter = last_dead_letter(both.driver, "e")
    both.mend()
    request = OperatorRequest(operation_id="o-1", requested_by="ann", reason="a test", at=both.clock.now())
    command = redrive(DeadLetter.of(letter), request)
    rehearsed = both.rehearsal(command.partition).rehearse(command)
    both.driver.clear()
    both.redrive(command)
    assert texts_of(both.driver, "e") == ["e1", "e2", "e3"]
    assert by_place(both.worker.topics.log) == by_place(both.driver.log)
    assert list(rehearsed.outputs) == outputs_of(both.driver)


def test_a_rehearsal_leaves_alone_what_is_due_of_other_keys(both: Both) -> None:
    """A parked head and a timer of the same partition are due as well: they would hide what the redrive itself does."""
    partition = both.driver.process.partition_of(b"e")
    parked, timed, *_ = (key for key in "abcdfghijklm" if both.driver.process.partition_of(key.encode()) == partition)
    both.receive(later(timed, "t1", 1), quick(parked, "b1"), quick("e", "e1"))
    both.clock.advance(2)
    request = OperatorRequest(operation_id="o-1", requested_by="ann", reason="a test", at=both.clock.now())
    command = redrive(DeadLetter.of(last_dead_letter(both.driver, "e")), request)
    rehearsed = both.rehearsal(command.partition).rehearse(command)
    assert [key for _, _, key, *_ in rehearsed.outputs] == [b"e"]
    assert {key for _, key in rehearsed.changes} == {b"e"}


def by_place(log: list[StoredRecord]) -> dict[tuple[str, int], list[StoredRecord]]:
    """Return the records of each partition in order: what no transport promises is the order between partitions."""
    places: dict[tuple[str, int], list[StoredRecord]] = {}
    for record in log:
        places.setdefault((record.at_topic, record.at_partition), []).append(record)
    return places


def outputs_of(driver: ServiceTestDriver) -> list[Output]:
    """Return the outputs of the latest batch, without those of the runtime itself."""
    fresh = (record for record in driver.log[driver._seen_outputs :] if record.at_topic == "shop.events")
    return [(r.at_topic, r.raw_value, r.raw_key, r.raw_headers, -1) for r in fresh]
