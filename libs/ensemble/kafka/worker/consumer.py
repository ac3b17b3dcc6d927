"""What the consumer brings: records of running partitions, ends that were reached, and errors that end the process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from ensemble.errors import FatalError, LostState, SchemasUnavailable, Stopped
from ensemble.kafka.authorization import REFUSALS
from ensemble.kafka.reading import poll_batch
from ensemble.kafka.records import readable
from ensemble.kafka.worker.assignment import Assignment
from ensemble.kafka.worker.deadline_gate import DeadlineGate

log = structlog.get_logger()


Rebalanced = Callable[[Consumer, list[TopicPartition]], None]

_BACK_WITHIN_S: Final = 45.0
_HELD_PAUSE_S: Final = 0.05
"""A record that waits is read again this often; the other partitions' batches go on between."""


class ConsumerPoller:
    """Polls the group's consumer. `group` is the metadata captured at the last poll, for the batch's transaction."""

    def __init__(self, config: Mapping[str, Any], assignment: Assignment, gate: DeadlineGate) -> None:
        self._config, self._topics = dict(config), list[str]()
        self.consumer = Consumer(self._config)
        self.back_within_s = _BACK_WITHIN_S
        """A client that lost its partitions and is not let back in for so long is replaced by a new one."""
        self._assignment, self._gate = assignment, gate
        self.group: Any = None
        self.inputs: list[str] = []
        """What stops with a partition: all that is read but operators' commands."""
        self.stopped: set[int] = set()
        """Partitions that take no records now."""
        self._told = ""
        self.explain: Callable[[KafkaError], str] = KafkaError.str
        """Words for what the broker does not allow."""

    def subscribe(self, topics: list[str]) -> None:
        """Join the group."""
        self._topics, callbacks = topics, self._assignment
        self.consumer.subscribe(
            topics,
            on_assign=self._if_current(callbacks.on_assign),
            on_revoke=self._if_current(callbacks.on_revoke),
            on_lost=self._if_current(callbacks.on_lost),
        )

    def _if_current(self, callback: Rebalanced) -> Rebalanced:
        """Ignore callbacks of a consumer that has been replaced."""

        def called(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            if consumer is self.consumer:
                callback(consumer, partitions)

        return called

    def _come_back(self) -> None:
        """Join anew with a new client: the old one may wait for ever when its coordinator was fenced for a moment."""
        lost_at = self._assignment.lost_at
        if lost_at is None or time.monotonic() - lost_at < self.back_within_s:
            return
        log.warning("consumer.replaced", why=f"not let back into the group for {self.back_within_s:g} s")
        self._assignment.lost_at, old = time.monotonic(), self.consumer
        self.consumer = Consumer(self._config)
        self.subscribe(self._topics)
        threading.Thread(target=old.close, name="replaced consumer", daemon=True).start()

    def poll(self, wait_s: float, most: int) -> list[Message]:
        """Wait for a record and take what else is there. FatalError when nothing will ever come."""
        self._come_back()
        self._seek_back()
        polled = poll_batch(self.consumer, wait_s, most)
        self._assignment.raise_failure()
        self.capture_group()
        self._assignment.look_for_group(self.consumer)
        if self._assignment.is_set_back:
            return []  # a rebalance callback had to abort: what was polled comes again
        return self._sorted_out(polled)

    def _sorted_out(self, polled: list[Message]) -> list[Message]:
        """Return the records of running partitions, after handling errors and ends of partitions."""
        running, wanted = self._assignment.running, []
        for record in polled:
            error = record.error()
            if error is not None:
                self._note(record, error)
            elif record.partition() in running:
                wanted.append(found := readable(record))
                if found is not record:
                    log.warning("record.headers_unreadable", topic=record.topic(), offset=record.offset())
        return wanted

    def capture_group(self) -> None:
        """Without the generation of this moment a transaction could commit for partitions that others have."""
        self.group = self.consumer.consumer_group_metadata()

    def put_back(self, records: list[Message]) -> None:
        """Seek back to records that were polled but cannot be handled now, so that they are read again."""
        firsts: dict[tuple[str, int], int] = {}
        for record in records:
            firsts.setdefault((record.topic(), record.partition()), record.offset())  # type: ignore[arg-type]  # consumed
        self._gate.put_back(firsts)
        for (topic, partition), offset in firsts.items():
            self.consumer.seek(TopicPartition(topic, partition, offset))

    def hold(self, records: list[Message], reason: SchemasUnavailable) -> list[Message]:
        """Put back the first record and all of its partition behind it. Return the records of other partitions."""
        first = (records[0].topic(), records[0].partition())
        if str(reason) != self._told:
            log.warning("record.waits", topic=first[0], partition=first[1], offset=records[0].offset(), why=str(reason))
            self._told = str(reason)
        self.put_back([record for record in records if (record.topic(), record.partition()) == first])
        time.sleep(_HELD_PAUSE_S)
        return [record for record in records if (record.topic(), record.partition()) != first]

    def stop(self, records: list[Message], reason: Stopped) -> list[Message]:
        """Stop reading the inputs of the first record's partition. Return the records of other partitions.

        Operators' commands are still read: one of them resumes the partition.
        """
        partition = records[0].partition() or 0
        stopped = [record for record in records if record.partition() == partition and record.topic() in self.inputs]
        self.put_back(stopped)
        if partition not in self.stopped:
            log.warning("partition.stopped", partition=partition, why=str(reason))
        self.stopped.add(partition)
        self.consumer.pause(self._inputs_of(partition))  # though it was: it may have gone and come back since
        return [record for record in records if record.partition() != partition or record.topic() not in self.inputs]

    def start_again(self) -> None:
        """Read on where there is room again, or a pause has ended."""
        for partition in list(self.stopped):
            task = self._assignment.running.get(partition)
            if task is None:
                self.stopped.discard(partition)
            elif not task.parked.why_stopped():
                self.stopped.discard(partition)
                self._assignment.read_on(self.consumer, self._inputs_of(partition))
                log.info("partition.reads_on", partition=partition)

    def _inputs_of(self, partition: int) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for topic in self.inputs]

    def _seek_back(self) -> None:
        if self._assignment.is_set_back:
            self._gate.forget(set(self._assignment.running))
            self._assignment.seek_back(self.consumer)

    def _note(self, record: Message, error: Any) -> None:
        """Deal with what is no record: an end reached, or an error."""
        if error.code() == KafkaError._PARTITION_EOF:
            self._gate.reached(record.topic(), record.partition(), record.offset())
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise LostState(
                f"{record.topic()}[{record.partition()}]: the committed offset is out of range, records are gone "
                f"({error.str()}); set the group's offsets knowingly, then start again"
            )
        elif error.code() in REFUSALS:
            raise FatalError(self.explain(error))
        elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART or error.fatal():
            raise FatalError(f"cannot consume {record.topic() or ''}: {error.str()}")
        else:
            log.warning("consumer.error", reason=error.str())
