"""Restoring a partition's state: changelogs to their end, then ledgers from where a snapshot stops.

The end is the *read-uncommitted* high watermark, taken after the group's stable committed offsets were fetched: so
the last owner's commit, whose marker may still be under way, is waited for. The reader itself sees committed records
only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from ensemble.engine.compiled import CompiledService
from ensemble.engine.task import PartitionTask
from ensemble.errors import FatalError, SchemasUnavailable, TerminalError, UnreadableState
from ensemble.kafka.offsets import high_watermarks, low_watermarks
from ensemble.kafka.records import TopicPlace
from ensemble.state.store import Changelogged, Replayable

log = structlog.get_logger()

_CHUNK: Final = 10_000
_HELD_PAUSE_S: Final = 0.05
Take = Callable[[bytes, Any, int], None]


@dataclass
class Reading:
    """One pass over some partitions, each from an offset to its end."""

    starts: dict[TopicPlace, int]
    takes: dict[TopicPlace, Take]
    ends: dict[TopicPlace, int] = field(default_factory=dict)


class Restoration:
    """Rebuilds the state of some tasks, a little at a time, so that its caller can go on polling."""

    def __init__(
        self, plan: CompiledService, tasks: list[PartitionTask], config: dict[str, Any], admin: AdminClient
    ) -> None:
        self._plan, self._tasks, self._admin = plan, tasks, admin
        self._consumer = Consumer(config)
        self.records = 0
        self._held: list[Any] = []
        """Polled, and waiting for a schema."""
        self._told = ""
        self._left: dict[TopicPlace, int] = {}
        self._takes: dict[TopicPlace, Take] = {}
        self._phases = [self._changelogs, self._ledgers]
        self._moved = time.monotonic()

    def advance(self, timeout_s: float, stall_s: float) -> bool:
        """Read on for a moment; True when everything is restored. FatalError when nothing moves for `stall_s`."""
        before = (self.records, len(self._left), len(self._phases))
        try:
            while not self._left:
                if not self._phases:
                    return True
                self._begin(self._phases[0]())
                self._phases.pop(0)
            self._read(timeout_s)
        except KafkaException as error:
            log.warning("restore.waits", reason=error.args[0].str())
        except SchemasUnavailable as error:
            self._wait(str(error))
        if (self.records, len(self._left), len(self._phases)) != before:
            self._moved = time.monotonic()
        self._check_moving(stall_s)
        return False

    def _wait(self, reason: str) -> None:
        if reason != self._told:
            log.warning("restore.waits", reason=reason)
            self._told = reason
        time.sleep(_HELD_PAUSE_S)

    def _check_moving(self, stall_s: float) -> None:
        if time.monotonic() - self._moved > stall_s:
            places = ", ".join(f"{topic}[{partition}]" for topic, partition in self._left)
            raise FatalError(
                f"restore has not moved for {stall_s:g} s; an open transaction hangs, the broker is away, or the "
                f"schema registry: {places}"
            )

    def close(self) -> None:
        self._consumer.close()

    def _changelogs(self) -> Reading:
        reading = Reading({}, {})
        for task in self._tasks:
            for store in task.stores.all:
                if store.changelog:
                    place = (store.changelog, task.partition)
                    reading.starts[place], reading.takes[place] = 0, _restorer(store)
        return reading

    def _ledgers(self) -> Reading:
        reading = Reading({}, {})
        for task in self._tasks:
            for store in task.stores.replayable:
                place = (store.ledger, task.partition)
                reading.starts[place], reading.takes[place] = store.replay_from(), self._replayer(store)
        return reading

    def _replayer(self, store: Replayable) -> Take:
        readers: dict[bytes, Any] = dict(self._plan.fact_readers(store.ledger))

        def take(key: bytes, value: Any, offset: int) -> None:
            read = readers.get(value[:5])
            if read is None:
                read = readers[value[:5]] = self._plan.late_fact_reader(store.ledger, value[:5])
            if read is None:
                raise UnreadableState(
                    f"ledger {store.ledger}, offset {offset}: schema {value[:5].hex()} is none that this "
                    "service can read"
                )
            try:
                store.replay(key, read(value))
            except TerminalError as error:
                raise UnreadableState(f"ledger {store.ledger}, offset {offset}: {error}") from error
            store.ledger_end = offset + 1

        return take

    def _begin(self, reading: Reading) -> None:
        ends = high_watermarks(self._admin, reading.starts, 10)
        firsts = low_watermarks(self._admin, reading.starts, 10)
        self._left = {place: end for place, end in ends.items() if end > max(firsts[place], reading.starts[place])}
        self._takes = reading.takes
        self._consumer.assign(
            [TopicPartition(topic, p, max(reading.starts[topic, p], firsts[topic, p])) for topic, p in self._left]
        )

    def _read(self, timeout_s: float) -> None:
        takes, records = self._takes, self._held or self._polled(timeout_s)
        self._held = []
        for taken, record in enumerate(records):
            error = record.error()
            if error is None:
                try:
                    takes[record.topic(), record.partition()](record.key(), record.value(), record.offset())
                except SchemasUnavailable:
                    self._held = records[taken:]
                    raise
                self.records += 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._ended((record.topic(), record.partition()), record.offset())
            else:
                raise FatalError(f"cannot restore from {record.topic()}[{record.partition()}]: {error.str()}")

    def _polled(self, timeout_s: float) -> list[Any]:
        first = self._consumer.poll(timeout_s)
        return [] if first is None else [first, *self._consumer.consume(_CHUNK, 0)]

    def _ended(self, place: TopicPlace, offset: int) -> None:
        """Note that all committed records of the place are read: the place is done if that reaches the end we need."""
        if place in self._left and offset >= self._left[place]:
            del self._left[place]


def _restorer(store: Changelogged) -> Take:
    restore, ensure_schema_known, met = store.restore, store.ensure_schema_known, set[bytes]()

    def take(key: bytes, value: Any, _: int) -> None:
        if value is not None and value[:5] not in met:
            ensure_schema_known(value)
            met.add(value[:5])
        restore(key, value)

    return take
