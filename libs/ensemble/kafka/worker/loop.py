"""The loop of one service process: poll, handle, commit; restore assigned partitions; fire timers that are due.

One thread, one consumer, one producer. A batch is what one poll finds, so it is one record when idle and many under
load.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from ensemble.engine.async_calls import first_finished
from ensemble.engine.compiled import CompiledService
from ensemble.engine.cycle import BatchCycle, Interruption, commit_batch
from ensemble.engine.task import PartitionTask
from ensemble.errors import LostState, SchemasUnavailable, Stopped, StuckInput
from ensemble.kafka.admin.permissions import Permissions
from ensemble.kafka.authorization import principal
from ensemble.kafka.client_config import Clients
from ensemble.kafka.group_description import GroupDescriptions
from ensemble.kafka.records import TopicPlace, describe_place, topic_place_of
from ensemble.kafka.worker.assignment import Assignment
from ensemble.kafka.worker.broker_clock import BrokerClock
from ensemble.kafka.worker.call_loop import CallLoop
from ensemble.kafka.worker.clock_skew import ClockSkew
from ensemble.kafka.worker.commit_time import CommitTime
from ensemble.kafka.worker.consumer import ConsumerPoller, hand_out, split_by
from ensemble.kafka.worker.crash_points import crash_points
from ensemble.kafka.worker.deadline_gate import DeadlineGate
from ensemble.kafka.worker.fencing import GroupRivals
from ensemble.kafka.worker.fetch_problems import FetchProblems, find_topics
from ensemble.kafka.worker.gauges import Gauges
from ensemble.kafka.worker.group_offsets import GroupOffsets
from ensemble.kafka.worker.heartbeat import Heartbeat
from ensemble.kafka.worker.last_write import describe_last_write
from ensemble.kafka.worker.pace import Pace
from ensemble.kafka.worker.progress import TIMERS, BatchProgress, Culprit, FailedBatch
from ensemble.kafka.worker.restore import Restoration
from ensemble.kafka.worker.state_disk import StateDisk
from ensemble.kafka.worker.transaction import (
    Changes,
    Outcome,
    Transactions,
    Work,
    describe,
    is_outage,
    is_unacceptable,
)
from ensemble.kafka.worker.wakeups import Wakeups
from ensemble.messages.records import ConsumedRecord
from ensemble.observability.metrics import LoopMetrics
from ensemble.settings import RuntimeSettings
from ensemble.state.store import Change
from ensemble.state.unit_of_work import current_layer

log = structlog.get_logger()

_ABORT_PAUSE_S = 0.02
_BATCH_BYTES = 32_000_000
"""Inputs and outputs of a batch beyond that could take longer to write than a transaction may take."""
_TIME_PROBE: Change = (b"time", None)
"""A tombstone of no state: its acknowledgement says what time it is."""
_CALLS_WAIT_S = 0.01
"""Between two polls, calls in flight are run for so long."""
_DEFER_PAUSE_S = 0.05
"""A deferred record is read again this often; other partitions' batches run in between."""


class Loop:
    """Runs a plan until told to stop. `heartbeat` says what it does, for the watchdog, /livez and a stop."""

    def __init__(  # noqa: PLR0913  all keyword-only
        self,
        *,
        plan: CompiledService,
        settings: RuntimeSettings,
        clients: Clients,
        metrics: LoopMetrics,
        pace: Pace | None = None,
        commit_time: CommitTime | None = None,
        batch_bytes: int = _BATCH_BYTES,
    ) -> None:
        """Open the consumer and read nothing yet; `run` opens the producer and joins the group."""
        self._plan, self._settings, self._clients, self.metrics = plan, settings, clients, metrics
        self.heartbeat = Heartbeat()
        self._crash = crash_points(settings.crash_at, settings.freeze_at)
        explain = Permissions(plan.service, clients.admin, principal(clients.consumer)).explain
        self._broker_clock = plan.clock if isinstance(plan.clock, BrokerClock) else BrokerClock(plan.clock)
        self._sent_after = self._broker_clock.start_write()
        disk = StateDisk(plan.service, settings.state_dir, settings.instance_id, plan.clock.now)
        self._transactions = Transactions(
            config=clients.producer,
            timeout_s=settings.commit_timeout_s,
            rivals=GroupRivals(
                clients.admin,
                clients.make_admin,
                group=plan.service.name,
                slot=clients.producer["transactional.id"],
                own_ids=lambda: self._poller.member_ids,
            ),
            ledger_topics=[topic.name for topic in plan.service.ledgers],
            on_ledger=self._on_ledger,
            on_state=self._on_state,
            copied_topics=disk.changelogs,
            on_copied=self._on_copied,
            stamp=self._broker_clock.stamp,
            explain=explain,
            reached=self._reached,
            make_producer=clients.make_producer,
        )
        self._offsets = GroupOffsets(settings.transaction_timeout_s, self.heartbeat)
        incremental = settings.group_protocol == "consumer"
        self._assignment = Assignment(
            plan,
            clients.admin,
            descriptions=GroupDescriptions(clients.admin, plan.service.name, clients.make_admin),
            offsets=self._offsets,
            incremental=incremental,
            before_revoke=self._commit_now,
            disk=disk,
        )
        self._gate = DeadlineGate(clients.admin, list(plan.inputs))
        self._poller = ConsumerPoller(
            config=clients.consumer,
            assignment=self._assignment,
            gate=self._gate,
            inputs=[topic.name for topic in plan.service.inputs],
            replace_after_s=3 * settings.session_timeout_s + 10,
            problems=FetchProblems(partial(find_topics, clients.admin)),
            explain=explain,
            make_consumer=clients.make_consumer,
        )
        self._pace, self._commit_time = pace or Pace(), commit_time or CommitTime(plan)
        self._wakeups = Wakeups(plan.clock, self._assignment, self._gate, settings.poll_s)
        self._gauges = Gauges(metrics, plan, self._assignment, clients.admin)
        metrics.watch_partitions(lambda: len(self._assignment.running))
        self._restoration: Restoration | None = None
        self._stopping = False
        self._calls = CallLoop()
        self._cycle = BatchCycle(
            plan.clock,
            lambda calls: self._calls.run(calls, has_calls=bool(self._wakeups.in_flight())),
            due_until=self._gate.open_until,
            call_wait_s=settings.call_wait_s,
            take_s=settings.batch_s,
            take_bytes=batch_bytes,
        )
        self._skew = ClockSkew(plan.clock)
        self._progress = BatchProgress(settings.batch_records)
        self._alone: Message | None = None
        """The only record of the batch in hand, if that is to tell whether the record is to blame."""
        self._last_reason = self._last_failure = ""
        self._told: dict[TopicPlace, int] = {}
        """The last record of each place of which was said that it has lost its headers."""
        self.draining = False

    def stop(self) -> None:
        """Finish the batch in hand, commit, leave the group. May be called from a signal handler."""
        self._stopping = True

    @property
    def is_ready(self) -> bool:
        """Whether partitions are assigned and restored. A member is ready without any if others hold them all."""
        return self.why_not_ready == ""

    @property
    def partitions(self) -> list[int]:
        """The partitions that the process works on now, in order."""
        return sorted(self._assignment.running)

    @property
    def why_not_ready(self) -> str:
        """Return the reason, or an empty text if the process is ready."""
        if self.draining or self._stopping:
            return "draining"
        if not self._assignment.membership.is_member:
            return self._not_joined()
        restoring = "restoring state" if self._assignment.restoring else self.why_stuck
        reasons = (self._transactions.why_delayed, self._offsets.describe(), restoring, self._assignment.strangers)
        return "; ".join(filter(None, reasons))

    @property
    def note(self) -> str:
        """Return what an operator should know of a process that is ready all the same."""
        return self._gauges.note or self._assignment.why_torn or self._broker_clock.describe() or self._skew.describe()

    def _stuck_s(self) -> float:
        stuck_s = self._progress.stuck_s(self._assignment.running)
        return max(stuck_s, self._poller.problems.longest_s, self._offsets.overlong_s)

    @property
    def why_stuck(self) -> str:
        """Return where and since when the process makes no progress, or an empty text."""
        stuck = self._progress.describe(list(self._assignment.running))
        return "; ".join(filter(None, (stuck, self._poller.problems.describe())))

    def _not_joined(self) -> str:
        """Return what a process without partitions waits for."""
        reason = self.heartbeat.activity.name or self._poller.problems.why_not_joined()
        return f"no partitions assigned yet{f': {reason}' if reason else ''}"

    def run(self) -> None:
        """Run until stopped. Raises FatalError if this process cannot go on, ConfigurationError if it cannot begin."""
        try:
            with self.heartbeat.during("opening adapters", self._settings.startup_timeout_s):
                self._calls.open(self._plan.service, self._settings.startup_timeout_s, self._plan.interceptors)
            with self.heartbeat.during("taking the slot", self._settings.startup_timeout_s):
                is_open = self._transactions.open(self._give_up, self._settings.startup_timeout_s)
            if is_open:
                self._poller.subscribe(list(self._plan.inputs))
            while not self._stopping:
                self._turn()
        except LostState as error:
            self._assignment.abandon()
            raise LostState(f"{error}. {describe_last_write(self._clients.admin, self._plan.service)}") from error
        except BaseException:
            self._assignment.abandon()  # or leaving the group would commit the offsets of a batch that is half done
            raise
        finally:
            self._leave()

    def _turn(self) -> None:
        self.heartbeat.beat()
        self._pace.wait(self._longest_wait_s)
        records = self._poll(self._longest_wait_s())
        if records:
            self._reached("after-poll")
        self._assignment.open_hidden(self._poller.consumer)
        if self._assignment.must_restore or self._restoration is not None:
            self._restore()
        if self._assignment.must_seek:
            return  # the polled records come again
        self._run_calls(0.0 if records else _CALLS_WAIT_S)
        started_at = self._commit_time.now()
        has_batch = bool(records) or self._wakeups.has_something
        if has_batch:
            self._pace.begin(len(records), self._progress.poll_limit)
            self._batch(records)
        self._gate.pass_markers(self._assignment.running)
        self._end_batch(started_at, has_batch=has_batch)
        self._poller.resume_possible()
        if self._gauges.are_due:
            skew_ms = max(self._skew.current_ms, abs(self._broker_clock.skew_ms))
            self._gauges.sample(len(self._poller.stopped), self._stuck_s(), skew_ms / 1000)

    def _longest_wait_s(self) -> float:
        """Return how long the loop may wait for records: not at all while it restores."""
        if self._restoration is not None:
            return 0.0
        wait_s = self._wakeups.wait_s()
        return self._commit_time.shorten(wait_s) if self._commit_time.holds_state else wait_s

    def _poll(self, wait_s: float) -> list[Message]:
        """Return the records of the next batch, and have the consumer read the others again."""
        records = self._poller.poll(wait_s, self._progress.poll_limit)
        if records:
            self._skew.note(records[-1])
        selected = list(self._progress.select(records))
        if len(selected) < len(records):
            selected_ids = set(map(id, selected))
            self._poller.put_back(record for record in records if id(record) not in selected_ids)
        return selected

    def _run_calls(self, wait_s: float) -> None:
        """Run the calls in flight, which stand still otherwise."""
        if flights := self._wakeups.in_flight():
            self._calls.run(first_finished(flights, wait_s), has_calls=True)

    # -- one batch ------------------------------------------------------------------------------------------------

    def _batch(self, records: list[Message]) -> None:
        limit_s = self._settings.max_poll_interval_s
        with self.heartbeat.during("handling a batch", limit_s, is_work=True, detail=self._describe_in_hand):
            self._alone = None
            if self._progress.is_alone(records):
                self._handle_alone(records[0])
            else:
                self._cycle.run(self._assignment.running, hand_out(records, self._told), self._interrupt)
        self._reached("in-batch")

    def _handle_alone(self, record: Message) -> None:
        """Handle a record with nothing beside it, or give it up if it has failed like that before."""
        self._alone, partition = record, record.partition() or 0
        tasks = {partition: self._assignment.running[partition]}
        reason = self._progress.why_given_up(record)
        take = partial(_give_up, reason=reason) if reason else PartitionTask.take
        records, only_key = hand_out([record], self._told), record.key() or b""
        self._cycle.run(tasks, records, self._interrupt, only_key=only_key, take=take)

    def _describe_in_hand(self) -> str:
        record = self._cycle.in_hand
        return describe_place(record.topic(), record.partition(), record.offset()) if record else ""

    def _interrupt(self, interruption: Interruption) -> Sequence[ConsumedRecord]:
        """Have the consumer read again what is not taken now. Return the records that the batch takes all the same."""
        records: list[Any] = list(interruption.records)
        match interruption.reason:
            case SchemasUnavailable() as reason:
                return self._defer(records, str(reason))
            case Stopped() as reason:
                return self._stop_partition(records, str(reason))
            case _:
                self._poller.put_back(records)
                return []

    def _defer(self, records: list[Message], reason: str) -> list[Message]:
        """Put back the first record, whose schema cannot be had, and all of its topic's partition behind it."""
        first, place = records[0], topic_place_of(records[0])
        deferred, others = split_by(records, lambda record: topic_place_of(record) == place)
        if reason != self._last_reason:
            log.warning("record.deferred", topic=place[0], partition=place[1], offset=first.offset(), reason=reason)
            self._last_reason = reason
        self._poller.put_back(deferred)
        time.sleep(_DEFER_PAUSE_S)
        return others

    def _stop_partition(self, records: list[Message], reason: str) -> list[Message]:
        """Put back the first record and its partition's others, and read none of them until its task takes some."""
        partition = records[0].partition() or 0
        stopped, others = split_by(records, lambda record: self._poller.stops_with(record, partition))
        self._poller.put_back(stopped)
        if partition not in self._poller.stopped:
            log.warning("partition.stopped", partition=partition, reason=reason)
        self._poller.stop(partition)
        return others

    def _end_batch(self, started: float, *, has_batch: bool) -> None:
        """Commit what was done and skipped, or let it wait for a later batch."""
        running, commit_time = self._assignment.running.values(), self._commit_time
        dirty = [task for task in running if task.is_dirty] if has_batch or commit_time.holds_state else []
        moved = [task for task in running if task.is_ahead or task in dirty]
        at_once = bool(dirty) and not self._progress.is_calm
        batch_s = commit_time.now() - started if has_batch else 0.0
        if not commit_time.is_now(moved, dirty, batch_s=batch_s, at_once=at_once):
            return
        if self._commit_batch(moved, started, self._culprit):
            self._pace.commit()
            self._reached("after-fold")

    def _commit_now(self) -> None:
        """Commit what waits for a later batch, before partitions are revoked."""
        if tasks := [task for task in self._assignment.running.values() if task.is_ahead]:
            self._commit_batch(tasks, self._commit_time.now(), lambda: None)

    def _commit_batch(self, tasks: list[PartitionTask], started: float, culprit: Callable[[], Culprit | None]) -> bool:
        """Commit what these tasks did, and make it their state. Return whether the transaction took effect."""
        self._commit_time.commit()
        if not commit_batch(self._plan, tasks, started, partial(self._commit, tasks, culprit)):
            return False
        self.metrics.record_batch(tasks, self._commit_time.now() - started)
        self._fold(tasks)
        return True

    def _fold(self, tasks: list[PartitionTask]) -> None:
        for task in tasks:
            task.commit()

    def _commit(
        self,
        tasks: list[PartitionTask],
        culprit: Callable[[], Culprit | None] = lambda: None,
        probes: Iterable[Changes] = (),
    ) -> bool:
        """Commit what these tasks did in one transaction. Return whether it took effect; if not, the batch is gone.

        `culprit` names the record that is to blame for a failure.
        """
        starts, moved = _places(tasks, PartitionTask.starts), _moved(tasks)
        with self.heartbeat.during("committing a batch", self._settings.commit_timeout_s):
            self._sent_after = self._broker_clock.start_write()
            outcome = self._transactions.commit(self._work(tasks, probes))
        if outcome is Outcome.COMMITTED or (outcome is Outcome.UNKNOWN and self._resolve(tasks)):
            self._progress.commit(moved)
            return True
        if outcome is Outcome.ABORTED:
            self._assignment.rewind()
            self._reopen_if_discarded()
        self._note_failure(starts or {(TIMERS, task.partition): 0 for task in tasks}, culprit)
        return False

    def _work(self, tasks: list[PartitionTask], probes: Iterable[Changes]) -> Work:
        return Work(
            outputs=chain.from_iterable(task.outputs for task in tasks),
            changes=chain(
                probes, ((topic, task.partition, changes) for task in tasks for topic, changes in task.changes())
            ),
            offsets=[
                TopicPartition(topic, task.partition, offset, self._assignment.identity.metadata(topic, task.partition))
                for task in tasks
                for topic, offset in task.offsets().items()
            ],
            group=self._poller.group,
        )

    def _note_failure(self, starts: Mapping[TopicPlace, int], culprit: Callable[[], Culprit | None]) -> None:
        """Count a batch without progress, and pause the longer the more there were."""
        self.metrics.record_abort()
        self._last_failure, away = describe(self._transactions.problem), is_outage(self._transactions.problem)
        self._progress.fail(FailedBatch(starts, self._last_failure, culprit(), away))
        time.sleep(min(_ABORT_PAUSE_S * (self._progress.worst_count() - 1), 1.0))

    def _culprit(self) -> Culprit | None:
        """Return the record that alone is to blame for the failure of the batch in hand."""
        slowest, limit_s = self._cycle.slowest, self._settings.max_poll_interval_s
        if slowest is not None and self._cycle.slowest_s > limit_s:
            return _blame(
                slowest,
                f"its handlers took {self._cycle.slowest_s:.0f} s, and after {limit_s:g} s "
                "(ENSEMBLE_MAX_POLL_INTERVAL_S) the group gives the partition to others",
            )
        if self._alone is not None and is_unacceptable(self._transactions.problem):
            return _blame(self._alone, self._last_failure)
        return None

    def _reopen_if_discarded(self) -> None:
        """Start a new producer for one whose ids the broker has forgotten."""
        if not self._transactions.is_open:
            with self.heartbeat.during("taking the slot again", self._settings.restore_timeout_s):
                if not self._transactions.reopen(self._give_up):
                    self._assignment.abandon()  # stopped: the next process has a producer of its own

    def _resolve(self, tasks: list[PartitionTask]) -> bool:
        """Return whether the transaction that a new producer settles was committed. If not, or in doubt, restore."""
        with self.heartbeat.during("settling an unclear commit", self._settings.restore_timeout_s):
            is_open = self._transactions.reopen(self._give_up)
        if not is_open:
            self._assignment.abandon()  # stopped: what was in doubt is left to the next process
            return False
        attempted = _places(tasks, PartitionTask.offsets)
        if any(task.is_ahead for task in tasks) and self._committed(list(attempted)) == attempted:
            return True
        self._assignment.restore_again(self._poller.consumer)
        return False

    def _committed(self, places: list[TopicPlace]) -> dict[TopicPlace, int]:
        """Return the group's offsets, or nothing if the broker does not say them: the last commit stays in doubt."""
        partitions, limit_s = [TopicPartition(*place) for place in places], self._settings.commit_timeout_s
        try:
            answers = self._poller.consumer.committed(partitions, timeout=limit_s)
        except KafkaException as error:
            log.warning("commit.in_doubt", reason=error.args[0].str())
            return {}
        return {(place.topic, place.partition): place.offset for place in answers}

    # -- restoring ------------------------------------------------------------------------------------------------

    def _restore(self) -> None:
        if self._assignment.must_restore:
            self._begin_restoring()
        if self._restoration is None or not self._restoration.advance(0.05, self._settings.restore_timeout_s):
            return
        log.info("state.restored", records=self._restoration.records, partitions=sorted(self._assignment.restoring))
        self._end_restoration()
        self._gate.forget(set(self._assignment.restoring))
        self._prove_slot(self._assignment.start_restored(self._poller.consumer))

    def _begin_restoring(self) -> None:
        self._end_restoration()
        tasks = self._assignment.begin_restoring()
        if tasks:
            clients = self._clients
            self._restoration = Restoration(
                self._plan, tasks, clients.reader, clients.admin, make_consumer=clients.make_consumer
            )

    def _end_restoration(self) -> None:
        if self._restoration is not None:
            self._restoration.close()
            self._restoration = None

    def _prove_slot(self, tasks: list[PartitionTask]) -> None:
        """Commit a transaction after each assignment, which fences an idle older process with the same slot.

        Its acknowledgement tells the brokers' time before anything is judged by it.
        """
        if self._assignment.membership.needs_new_producer():
            with self.heartbeat.during("taking the slot again", self._settings.restore_timeout_s):
                self._transactions.reopen(self._give_up)
        self._poller.capture_group()
        probes = [(self._plan.service.parked.name, task.partition, [_TIME_PROBE]) for task in tasks]
        if tasks and not self._stopping and self._commit(tasks, probes=probes):
            self._fold(tasks)

    # -- leaving --------------------------------------------------------------------------------------------------

    def _give_up(self) -> bool:
        self.heartbeat.beat()
        return self._stopping

    def _reached(self, point: str) -> None:
        """Note that a batch is at this point."""
        self.heartbeat.beat()
        self._crash(point)

    def _leave(self) -> None:
        self.draining = True
        self._end_restoration()
        with self.heartbeat.during("leaving the group", self._settings.session_timeout_s):
            self._poller.leave()
        self._transactions.close()
        self._calls.close()

    def _on_state(self, error: KafkaError | None, record: Message) -> None:
        """Note when the broker has taken a record of a changelog."""
        if error is None:
            self._broker_clock.note(topic_place_of(record), record.timestamp(), self._sent_after)
            self._on_copied(error, record)

    def _on_copied(self, error: KafkaError | None, record: Message) -> None:
        """Note how far a changelog goes that is copied to disk."""
        task = self._assignment.running.get(record.partition() or 0)
        if error is None and task is not None:
            task.changelog_reached(record.topic() or "", (record.offset() or 0) + 1)

    def _on_ledger(self, error: KafkaError | None, record: Message) -> None:
        """Note that a fact has reached the ledger: all facts known now lie before the next offset."""
        task = self._assignment.running.get(record.partition() or 0)
        if error is None and task is not None:
            task.ledger_reached(record.topic() or "", (record.offset() or 0) + 1)


def _places(tasks: list[PartitionTask], offsets: Callable[[PartitionTask], dict[str, int]]) -> dict[TopicPlace, int]:
    return {(topic, task.partition): offset for task in tasks for topic, offset in offsets(task).items()}


def _moved(tasks: list[PartitionTask]) -> dict[TopicPlace, int]:
    """Return how far a batch takes its places, and the timers of partitions where it does nothing else."""
    moved = {(topic, task.partition): task.positions[topic] for task in tasks for topic in task.starts()}
    timers = {(TIMERS, task.partition): 0 for task in tasks if task.is_dirty and not task.is_ahead}
    return {**moved, **timers}


def _blame(record: ConsumedRecord, reason: str) -> Culprit:
    return Culprit(topic_place_of(record), record.offset() or 0, reason)


def _give_up(task: PartitionTask, record: ConsumedRecord, *, reason: str) -> None:
    """Settle a record that no batch comes to its end with."""
    topic, partition, offset = record.topic(), record.partition(), record.offset()
    current_layer.set(None)  # a parked head may have been at work before it
    log.error("record.stuck", topic=topic, partition=partition, offset=offset, reason=reason)
    task.give_up(record, StuckInput(f"no batch with this record comes to its end, not with it alone: {reason}"))
