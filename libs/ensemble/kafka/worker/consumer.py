"""Polls the group's consumer: records of running partitions, ends that were reached, errors that end the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import structlog
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

from ensemble.errors import FatalError
from ensemble.kafka.authorization import REFUSALS
from ensemble.kafka.reading import poll_batch
from ensemble.kafka.records import TopicPlace, readable, topic_place_of
from ensemble.kafka.worker.assignment import Assignment
from ensemble.kafka.worker.deadline_gate import DeadlineGate
from ensemble.kafka.worker.fetch_problems import FetchProblems
from ensemble.state.unit_of_work import current_layer

log = structlog.get_logger()

T = TypeVar("T")
Rebalanced = Callable[[Consumer, list[TopicPartition]], None]


def split_by(items: Iterable[T], predicate: Callable[[T], bool]) -> tuple[list[T], list[T]]:
    """Return the items that fulfil the predicate, and the others."""
    matching, others = list[T](), list[T]()
    for item in items:
        (matching if predicate(item) else others).append(item)
    return matching, others


def hand_out(records: list[Message], told: dict[TopicPlace, int]) -> Iterator[Any]:
    """Yield each record when its turn has come, and keep none; one whose headers cannot be read has none, with a word.

    Of which records that was said is kept in `told`: of one that was put back, and comes again, it is said once.

    The client makes objects of a record's headers when it is first asked for them. So they are made one record at a
    time, and what the batch keeps until its commit lies where those before have lain: it stays in the CPU's caches.
    """
    records.reverse()
    while records:
        record = records.pop()
        with_headers = readable(record)
        if with_headers is not record:
            _tell_dropped(record, told)
        yield with_headers


def _tell_dropped(record: Message, told: dict[TopicPlace, int]) -> None:
    place, offset = topic_place_of(record), record.offset() or 0
    if offset > told.get(place, -1):
        told[place] = offset
        current_layer.set(None)  # the line is of this record, not of the one that was handled last
        log.warning("record.headers_dropped", topic=place[0], partition=place[1], offset=offset)


class ConsumerPoller:
    """Polls the group's consumer. `group` is the group's metadata as of the last poll, for the transaction."""

    def __init__(  # noqa: PLR0913  all keyword-only
        self,
        *,
        config: Mapping[str, Any],
        assignment: Assignment,
        gate: DeadlineGate,
        inputs: Iterable[str],
        replace_after_s: float,
        problems: FetchProblems,
        explain: Callable[[KafkaError], str] = KafkaError.str,
        make_consumer: Callable[[dict[str, Any]], Consumer] = Consumer,
    ) -> None:
        """Open a consumer that has not joined the group yet.

        `inputs` are the topics that stop with a partition: all but operators' commands. A client that lost its
        partitions and is not let back in for `replace_after_s` is replaced by a new one. `explain` words a refusal.
        """
        self._config, self._topics, self.problems = dict(config), list[str](), problems
        self._assignment, self._gate = assignment, gate
        self._inputs, self._replace_after_s, self._explain = frozenset(inputs), replace_after_s, explain
        self._make_consumer = make_consumer
        self.consumer = make_consumer(self._config)
        self.group: Any = None
        self._is_group_known = False
        self._is_classic = config.get("group.protocol", "classic") == "classic"
        self.stopped: set[int] = set()
        """Partitions that take no records now."""
        self._member_ids, self._is_leaving = set[str](), False

    @property
    def member_ids(self) -> set[str]:
        """The ids under which the group knows this process, or knew it before.

        A client whose session has ended forgets its id; brokers that stood still meanwhile remember it. A client that
        closes calls back for the last commit, and may never answer what it is asked then.
        """
        return self._member_ids if self._is_leaving else {self.consumer.memberid(), *self._member_ids}

    def subscribe(self, topics: list[str]) -> None:
        """Join the group."""
        self._topics, callbacks, self._is_group_known = topics, self._assignment, False
        self.consumer.subscribe(
            topics,
            on_assign=self._if_current(self._on_assign),
            on_revoke=self._if_current(callbacks.on_revoke),
            on_lost=self._if_current(callbacks.on_lost),
        )

    def poll(self, wait_s: float, limit: int) -> list[Message]:
        """Wait for a record and return it with what else has come. Raises FatalError if no record can ever come.

        Nothing may look at their headers before `hand_out` has.
        """
        self._replace_client()
        self._seek_back()
        records = poll_batch(self.consumer, wait_s, limit)
        self.problems.check()
        self._assignment.raise_failure()
        if not self._is_group_known:
            self.capture_group()
        self._assignment.look_for_group(self.consumer)
        self.problems.miss(self._assignment.identity.sample())
        if self._assignment.must_seek:
            return []  # a rebalance callback had to abort: these records come again
        return self._running_records(records)

    def leave(self) -> None:
        """Leave the group. What waits for a commit is committed before, from within."""
        self._is_leaving = True
        self.consumer.close()

    def capture_group(self) -> None:
        """Take the group's metadata: with an older generation a transaction could commit for others' partitions.

        The client's thread has to answer. With the classic protocol no generation ends without a callback, so it is
        asked once for each; the newer protocol has none for a new epoch.
        """
        self.group, self._is_group_known = self.consumer.consumer_group_metadata(), self._is_classic

    def put_back(self, records: Iterable[Message]) -> None:
        """Have these records read again: they are not handled now."""
        firsts: dict[TopicPlace, int] = {}
        for record in records:
            firsts.setdefault(topic_place_of(record), record.offset() or 0)
        self._gate.put_back(firsts)
        for (topic, partition), offset in firsts.items():
            self.consumer.seek(TopicPartition(topic, partition, offset))

    def stops_with(self, record: Message, partition: int) -> bool:
        """Return whether a record is not read while this partition is stopped, which an operator's command is."""
        return record.partition() == partition and record.topic() in self._inputs

    def stop(self, partition: int) -> None:
        """Read no more of a partition's inputs. Operators' commands are read all the same, to let it go on."""
        self.stopped.add(partition)
        self.consumer.pause(self._inputs_of(partition))  # though it was: it may have gone and come back since

    def resume_possible(self) -> None:
        """Read stopped partitions again that have room for records, or whose pause has ended."""
        for partition in list(self.stopped):
            task = self._assignment.running.get(partition)
            if task is None:
                self.stopped.discard(partition)
            elif not task.parked.why_stopped():
                self.stopped.discard(partition)
                self._assignment.resume(self.consumer, self._inputs_of(partition))
                log.info("partition.resumed", partition=partition)

    def _if_current(self, callback: Rebalanced) -> Rebalanced:
        """Ignore callbacks of a consumer that has been replaced."""

        def call(consumer: Consumer, partitions: list[TopicPartition]) -> None:
            if consumer is self.consumer:
                self._is_group_known = False
                callback(consumer, partitions)

        return call

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Note the id that the group has given, here alone: a client that closes may never answer in a callback."""
        self._member_ids.add(consumer.memberid())
        self._assignment.on_assign(consumer, partitions)

    def _replace_client(self) -> None:
        """Join anew with a new client if the member was not let back in (librdkafka workaround).

        A client may wait without end after its coordinator was fenced for a moment.
        """
        membership = self._assignment.membership
        if not membership.is_left_out(self._replace_after_s):
            return
        log.warning("consumer.replaced", reason=f"not let back into the group for {self._replace_after_s:g} s")
        membership.restart_wait()
        self._member_ids.add(self.consumer.memberid())
        replaced, self.consumer = self.consumer, self._make_consumer(self._config)
        self.subscribe(self._topics)
        threading.Thread(target=replaced.close, name="replaced consumer", daemon=True).start()

    def _running_records(self, polled: list[Message]) -> list[Message]:
        """Return the records of running partitions, after taking note of ends and errors."""
        running, records = self._assignment.running, []
        for record in polled:
            error = record.error()
            if self.problems.has_any and (error is None or error.code() == KafkaError._PARTITION_EOF):
                self.problems.clear(topic_place_of(record))
            if error is not None:
                self._note(record, error)
            elif record.partition() in running:
                records.append(record)
        return records

    def _inputs_of(self, partition: int) -> list[TopicPartition]:
        return [TopicPartition(topic, partition) for topic in self._inputs]

    def _seek_back(self) -> None:
        if self._assignment.must_seek:
            self._gate.forget(set(self._assignment.running))
            self._assignment.seek_back(self.consumer)

    def _note(self, record: Message, error: Any) -> None:
        """Report a partition's end to the gate, log a passing error, and raise for one that stays."""
        if error.code() == KafkaError._PARTITION_EOF:
            self._gate.reached(record.topic(), record.partition(), record.offset())
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            self._assignment.seek_in_range(self.consumer, *topic_place_of(record))
        elif error.code() in REFUSALS:
            raise FatalError(self._explain(error))
        elif error.fatal():
            raise FatalError(f"cannot consume {record.topic() or ''}: {error.str()}")
        else:
            self.problems.note(topic_place_of(record), record.offset(), error)
