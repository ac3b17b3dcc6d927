"""Restoring a partition's state: changelogs to their end, then ledgers from where a snapshot stops.

The end is the *read-uncommitted* high watermark, taken after the group's stable committed offsets were fetched: so
the last owner's commit, whose marker may still be under way, is waited for. The reader itself sees committed records
only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import inf
from typing import Any, Final

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from ensemble.engine.compiled import CompiledService
from ensemble.engine.task import PartitionTask
from ensemble.errors import FatalError, LostState, SchemasUnavailable
from ensemble.kafka.errors import PASSING, explain
from ensemble.kafka.offsets import high_watermarks, low_watermarks
from ensemble.kafka.reading import poll_batch
from ensemble.kafka.records import TopicPlace
from ensemble.state.restore_phases import PHASES, RestoreSource
from ensemble.state.store import StartOver

log = structlog.get_logger()

_OFFSETS_TIMEOUT_S: Final = 10.0
_LOOK_TIMEOUT_S: Final = 2.0
_SCHEMA_PAUSE_S: Final = 0.05
_AWAY: Final = frozenset({KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT, KafkaError._TRANSPORT})
"""Brokers do not answer."""


class Restoration:
    """Rebuilds the state of some tasks, a little at a time, so that its caller can go on polling."""

    def __init__(
        self,
        plan: CompiledService,
        tasks: list[PartitionTask],
        config: dict[str, Any],
        admin: AdminClient,
        *,
        make_consumer: Callable[[dict[str, Any]], Consumer] = Consumer,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan, self._tasks, self._admin = plan, tasks, admin
        self._consumer, self._now = make_consumer(config), now
        self.records = 0
        self._waiting: list[Any] = []
        """Polled, and waiting for a schema."""
        self._last_reason = ""
        self._ends: dict[TopicPlace, int] = {}
        """The partitions that are not read to their end, and those ends."""
        self._sources: dict[TopicPlace, RestoreSource] = {}
        self._phases = list(PHASES)
        self._moved_at, self._delay = self._now(), ""

    def advance(self, timeout_s: float, stall_s: float) -> bool:
        """Read for a moment, and return whether everything is restored.

        Raises FatalError if nothing has moved for `stall_s` since the brokers last did not answer.
        """
        before = self._progress()
        try:
            while not self._ends:
                if not self._phases:
                    return True
                self._begin_phase()
            self._read(timeout_s)
        except KafkaException as error:
            self._note_delay(error.args[0])
        except SchemasUnavailable as error:
            self._wait(str(error))
        except StartOver:
            self._phases, self._ends, self._waiting = list(PHASES), {}, []
        if self._progress() != before:
            self._moved_at, self._delay = self._now(), ""
        self._check_moving(stall_s)
        return False

    def close(self) -> None:
        """Close the consumer."""
        self._consumer.close()

    def _progress(self) -> tuple[int, int, int]:
        return self.records, len(self._ends), len(self._phases)

    def _begin_phase(self) -> None:
        find_sources = self._phases[0]
        sources = {
            (source.topic, task.partition): source
            for task in self._tasks
            for source in find_sources(task.stores, self._plan)
        }
        ends = high_watermarks(self._admin, sources, _OFFSETS_TIMEOUT_S)
        firsts = low_watermarks(self._admin, sources, _OFFSETS_TIMEOUT_S)
        self._require_whole(sources, firsts)
        for place, source in sources.items():
            source.check_end(ends[place])
        starts = {place: max(source.start, source.read_from, firsts[place]) for place, source in sources.items()}
        self._sources, self._ends = sources, {place: end for place, end in ends.items() if end > starts[place]}
        self._consumer.assign([TopicPartition(*place, starts[place]) for place in self._ends])
        self._phases.pop(0)

    def _require_whole(self, sources: dict[TopicPlace, RestoreSource], firsts: dict[TopicPlace, int]) -> None:
        """Raise LostState if a topic that keeps its records for ever has lost some that state is made of."""
        state = (*self._plan.service.changelogs, *self._plan.service.ledgers)
        endless = {topic.name for topic in state if topic.lifetime_s == inf}
        gone = {place: source.start for place, source in sources.items() if firsts[place] > source.start}
        losses = [f"{t}[{p}]: offsets {start} to {firsts[t, p] - 1}" for (t, p), start in gone.items() if t in endless]
        if losses:
            name = self._plan.service.name
            raise LostState(
                f"records that the state is made of were removed: {'; '.join(losses)}. Restore the topic from a "
                f"backup; there is no command that gets {name!r} past it, for what it would decide could be wrong"
            )

    def _read(self, timeout_s: float) -> None:
        records, self._waiting = self._waiting or poll_batch(self._consumer, timeout_s), []
        for number, record in enumerate(records):
            place, error = (record.topic(), record.partition()), record.error()
            if error is None:
                try:
                    self._sources[place].restore(record)
                except SchemasUnavailable:
                    self._waiting = records[number:]
                    raise
                self.records += 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self._reach_end(place, record.offset())
            elif error.code() in PASSING:
                self._note_delay(error)
            else:
                raise FatalError(f"cannot restore from {record.topic()}[{record.partition()}]: {error.str()}")

    def _reach_end(self, place: TopicPlace, offset: int) -> None:
        """Finish a partition whose committed records are read, unless a transaction was open before its end."""
        if place in self._ends and offset >= self._ends[place]:
            del self._ends[place]

    def _note_delay(self, error: KafkaError) -> None:
        self._delay = explain(error)
        if error.code() in _AWAY:  # brokers that are away lose nothing, and come back
            self._moved_at = self._now()
        log.warning("restore.delayed", reason=self._delay)

    def _wait(self, reason: str) -> None:
        self._delay = reason
        if reason != self._last_reason:
            log.warning("restore.delayed", reason=reason)
            self._last_reason = reason
        time.sleep(_SCHEMA_PAUSE_S)

    def _check_moving(self, stall_s: float) -> None:
        if self._now() - self._moved_at > stall_s:
            if not self._is_answered():  # brokers that are away lose nothing, and come back
                self._moved_at = self._now()
                return
            places = ", ".join(f"{topic}[{partition}]" for topic, partition in self._ends)
            reason = self._delay or "an open transaction hangs"
            raise FatalError(f"restore has not moved for {stall_s:g} s{f' in {places}' if places else ''}: {reason}")

    def _is_answered(self) -> bool:
        try:
            self._admin.list_topics(timeout=_LOOK_TIMEOUT_S)
        except KafkaException as error:
            self._note_delay(error.args[0])
            return False
        return True
