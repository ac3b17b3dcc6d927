"""The loop of one service process: poll, handle, commit; restore when partitions come; fire timers when they are due.

One thread, one consumer, one producer. A batch is what one poll finds, so it is one record when idle and many under
load.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Sequence
from itertools import chain
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from ensemble.engine.async_calls import first_finished
from ensemble.engine.compiled import CompiledService
from ensemble.engine.cycle import BatchCycle, Interruption
from ensemble.engine.task import PartitionTask
from ensemble.errors import FatalError, SchemasUnavailable, Stopped
from ensemble.kafka.admin.permissions import Permissions
from ensemble.kafka.authorization import principal
from ensemble.kafka.client_config import Clients
from ensemble.kafka.records import TopicPlace
from ensemble.kafka.worker.assignment import Assignment
from ensemble.kafka.worker.consumer import ConsumerPoller
from ensemble.kafka.worker.crash_points import crash_points
from ensemble.kafka.worker.deadline_gate import DeadlineGate
from ensemble.kafka.worker.gauges import Gauges
from ensemble.kafka.worker.restore import Restoration
from ensemble.kafka.worker.transaction import Outcome, Transactions, Work
from ensemble.kafka.worker.wakeups import Wakeups
from ensemble.messages.records import ConsumedRecord
from ensemble.observability.metrics import LoopMetrics
from ensemble.settings import RuntimeSettings

log = structlog.get_logger()

_MOST_ABORTS = 20
_ABORT_PAUSE_S = 0.02
_FLIGHT_WAIT_S = 0.01
"""While calls are in flight, nobody polls for so long at a time."""
_LAZY_OFFSETS_S = 1.0
"""Offsets of records that had no effect are committed this often, not at once."""


class Loop:
    """Runs a plan until told to stop. `beat` is when it last turned, for the watchdog and /livez."""

    def __init__(
        self, plan: CompiledService, settings: RuntimeSettings, clients: Clients, metrics: LoopMetrics
    ) -> None:
        self._plan, self._settings, self._clients, self.metrics = plan, settings, clients, metrics
        self._reached = crash_points(settings.crash_at)
        self._explain = Permissions(plan.service, clients.admin, principal(clients.consumer)).explain
        self._transactions = Transactions(
            config=clients.producer,
            timeout_s=settings.commit_timeout_s,
            ledger_topics=[topic.name for topic in plan.service.ledgers],
            on_ledger=self._on_ledger,
            explain=self._explain,
            reached=self._reached,
        )
        incremental = settings.group_protocol == "consumer"
        self._assignment = Assignment(plan, clients.admin, incremental=incremental, before_revoke=self._commit_now)
        self._gate = DeadlineGate(clients.admin, list(plan.inputs))
        self._agenda = Wakeups(plan.clock, self._assignment, self._gate, settings.poll_s)
        self._gauges = Gauges(metrics, plan, self._assignment, clients.admin)
        metrics.watch_partitions(lambda: len(self._assignment.running))
        self._restoration: Restoration | None = None
        self._stopping = False
        self._skipped_since: float | None = None
        self._async = asyncio.Runner()
        self._cycle = BatchCycle(
            plan.clock,
            lambda calls: self._async.get_loop().run_until_complete(calls),
            due_until=self._gate.open_until,
            call_wait_s=settings.call_wait_s,
            take_s=settings.batch_s,
        )
        self._aborts = 0
        self.beat = time.monotonic()
        self.draining = False

    def stop(self) -> None:
        """Finish the batch in hand, commit, leave the group. May be called from a signal handler."""
        self._stopping = True

    @property
    def is_ready(self) -> bool:
        """Assigned and restored. A member without partitions, because others hold them all, is ready too."""
        return self.why_not_ready == ""

    @property
    def why_not_ready(self) -> str:
        """The reason in words, or nothing."""
        if self.draining or self._stopping:
            return "draining"
        if not self._assignment.was_assigned:
            return "no partitions assigned yet"
        return "restoring state" if self._assignment.restoring else ""

    def run(self) -> None:
        """Run until stopped; raises FatalError when this process cannot go on."""
        self._transactions.open(self._given_up, self._settings.startup_timeout_s)
        self._intake = ConsumerPoller(self._clients.consumer, self._assignment, self._gate)
        self._intake.inputs = [topic.name for topic in self._plan.service.inputs]
        self._intake.explain = self._explain
        self._intake.back_within_s = 3 * self._settings.session_timeout_s + 10
        self._intake.subscribe(list(self._plan.inputs))
        try:
            while not self._stopping:
                self._turn()
        except BaseException:
            self._assignment.abandon()  # or leaving the group would commit the offsets of a batch that is half done
            raise
        finally:
            self._leave()

    def _turn(self) -> None:
        self.beat = time.monotonic()
        wait_s = 0.0 if self._restoration is not None else self._agenda.wait_s()
        records = self._intake.poll(wait_s, self._settings.batch_records)
        if records:
            self._reached("after-poll")
        if self._assignment.changed or self._restoration is not None:
            self._restore()
        if self._assignment.is_set_back:
            return  # what was polled comes again
        self._run_flights(0.0 if records else _FLIGHT_WAIT_S)
        started = time.perf_counter()
        if records or self._agenda.has_something:
            self._batch(records)
        self._end_batch(started)
        self._intake.start_again()
        self._gauges.measure(len(self._intake.stopped))

    def _run_flights(self, wait_s: float) -> None:
        """Let the calls in flight go on; between polls nobody else does."""
        if flights := self._agenda.in_flight():
            self._async.get_loop().run_until_complete(first_finished(flights, wait_s))

    # -- one batch ------------------------------------------------------------------------------------------------

    def _batch(self, records: list[Message]) -> None:
        self._cycle.run(self._assignment.running, records, self._put_back)
        self._reached("in-batch")

    def _put_back(self, interruption: Interruption) -> Sequence[ConsumedRecord]:
        """Let the consumer read again what was not taken. Return the records of others, which are taken now."""
        records: list[Any] = list(interruption.records)
        match interruption.reason:
            case SchemasUnavailable() as reason:
                return self._intake.hold(records, reason)
            case Stopped() as reason:
                return self._intake.stop(records, reason)
            case _:
                self._intake.put_back(records)
                return []

    def _end_batch(self, started: float) -> None:
        """Commit what was done, and with it what was skipped; what was only skipped may wait a moment."""
        moved = [task for task in self._assignment.running.values() if task.is_dirty or task.is_ahead]
        if not moved or not (any(task.is_dirty for task in moved) or self._have_waited()):
            return
        self._skipped_since = None
        if self._commit(moved):
            self.metrics.record_batch(moved, time.perf_counter() - started)
            self._fold(moved)
            self._reached("after-fold")

    def _have_waited(self) -> bool:
        now = time.monotonic()
        self._skipped_since = self._skipped_since or now
        return now - self._skipped_since > _LAZY_OFFSETS_S

    def _commit_now(self) -> None:
        """Before partitions go: commit the offsets of records that had no effect."""
        tasks = [task for task in self._assignment.running.values() if task.is_ahead]
        if tasks and self._commit(tasks):
            self._fold(tasks)

    def _fold(self, tasks: list[PartitionTask]) -> None:
        for task in tasks:
            task.fold()

    def _commit(self, tasks: list[PartitionTask]) -> bool:
        """One transaction for all that these tasks did; True when it took effect. Otherwise their batch is gone."""
        match self._transactions.commit(self._work(tasks)):
            case Outcome.COMMITTED:
                self._aborts = 0
                return True
            case Outcome.ABORTED:
                self._rewind()
                return False
            case Outcome.UNKNOWN:
                return self._resolve(tasks)

    def _work(self, tasks: list[PartitionTask]) -> Work:
        return Work(
            outputs=chain.from_iterable(task.outputs for task in tasks),
            changes=((topic, task.partition, changes) for task in tasks for topic, changes in task.changes()),
            offsets=[
                TopicPartition(topic, task.partition, offset)
                for task in tasks
                for topic, offset in task.offsets().items()
            ],
            group=self._intake.group,
        )

    def _rewind(self) -> None:
        self.metrics.record_abort()
        self._aborts += 1
        if self._aborts > _MOST_ABORTS:
            raise FatalError(f"{_MOST_ABORTS} transactions in a row were aborted; the log says why")
        self._assignment.rewind()
        time.sleep(min(_ABORT_PAUSE_S * (self._aborts - 1), 1.0))

    def _resolve(self, tasks: list[PartitionTask]) -> bool:
        """Open a new producer, which ends the open transaction. Return True if the offsets show a commit."""
        self._transactions.open(self._given_up, self._settings.restore_timeout_s)
        attempted = {(topic, task.partition): offset for task in tasks for topic, offset in task.offsets().items()}
        if any(task.is_ahead for task in tasks) and self._committed(list(attempted)) == attempted:
            return True
        self._assignment.restore_again(self._intake.consumer)
        return False

    def _committed(self, places: list[TopicPlace]) -> dict[TopicPlace, int]:
        """Return the group's offsets. Raises FatalError if the group does not answer."""
        asked, limit_s = [TopicPartition(*place) for place in places], self._settings.commit_timeout_s
        try:
            answers = self._intake.consumer.committed(asked, timeout=limit_s)
        except KafkaException as error:
            raise FatalError(
                f"cannot tell whether the last transaction was committed: {error.args[0].str()}"
            ) from error
        return {(place.topic, place.partition): place.offset for place in answers}

    # -- restoring ------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        if self._assignment.changed:
            self._begin_restoring()
        if self._restoration is None or not self._restoration.advance(0.05, self._settings.restore_timeout_s):
            return
        log.info("state.restored", records=self._restoration.records, partitions=sorted(self._assignment.restoring))
        self._end_restoration()
        self._gate.forget(set(self._assignment.restoring))
        self._prove_slot(self._assignment.start_restored(self._intake.consumer))

    def _begin_restoring(self) -> None:
        self._end_restoration()
        self._assignment.changed = False
        tasks = self._assignment.begin_restoring()
        if tasks:
            self._restoration = Restoration(self._plan, tasks, self._clients.reader, self._clients.admin)

    def _end_restoration(self) -> None:
        if self._restoration is not None:
            self._restoration.close()
            self._restoration = None

    def _prove_slot(self, tasks: list[PartitionTask]) -> None:
        """Commit an empty transaction after each assignment, which fences an idle older process with our slot."""
        if self._assignment.was_lost:
            self._assignment.was_lost = False
            self._transactions.open(self._given_up, self._settings.restore_timeout_s)
        self._intake.capture_group()
        if tasks and self._commit(tasks):
            self._fold(tasks)

    # -- leaving --------------------------------------------------------------------------------------------------

    def _given_up(self) -> bool:
        self.beat = time.monotonic()
        return self._stopping

    def _leave(self) -> None:
        self.draining = True
        self._end_restoration()
        self._intake.consumer.close()
        self._transactions.close()
        for spec in self._plan.service.roles:
            for adapter in spec.adapters.values():
                if inspect.iscoroutinefunction(close := getattr(adapter, "close", None)):
                    self._async.run(close())
        self._async.close()

    def _on_ledger(self, error: KafkaError | None, record: Message) -> None:
        """Note that a fact reached the ledger, so that all state so far lies before the next offset."""
        task = self._assignment.running.get(record.partition() or 0)
        if error is None and task is not None:
            task.ledger_reached(record.topic() or "", (record.offset() or 0) + 1)
