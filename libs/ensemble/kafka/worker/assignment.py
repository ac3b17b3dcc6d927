"""The partitions of this member, and how far along each one's task is. The rebalance callbacks end here.

No batch is half done at a poll, so a revocation commits what waits for a later batch, and ends tasks. A task
runs once all inputs' partition p are assigned and its state is restored; until then its partitions are paused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import structlog
from confluent_kafka import OFFSET_INVALID, Consumer, KafkaException, TopicPartition

from ensemble.engine.async_calls import call_slots
from ensemble.engine.compiled import CompiledService, NewSchemas
from ensemble.engine.failures.circuit_breaker import CircuitBreakers
from ensemble.engine.task import PartitionTask
from ensemble.errors import FatalError, LostState, describe_error
from ensemble.kafka.admin.topics import describe_shrinking
from ensemble.kafka.errors import PASSING
from ensemble.kafka.group_description import GroupDescriptions, strangers_among
from ensemble.kafka.offsets import low_watermarks
from ensemble.kafka.records import TopicPlace
from ensemble.kafka.worker.group_offsets import GroupOffsets
from ensemble.kafka.worker.log_bounds import CommittedOffsets
from ensemble.kafka.worker.state_disk import StateDisk
from ensemble.kafka.worker.topic_identity import TopicIdentity
from ensemble.program import command

log = structlog.get_logger()

_WATERMARKS_TIMEOUT_S: Final = 40.0
_AGAIN_S: Final = 1.0
"""A partition that waits is asked about between the batches of the others: it may cost them so much."""
_WAKE_TIMEOUT_S: Final = 1.0
_LOOK_EVERY_S: Final = 1.0
_LOOK_TIMEOUT_S: Final = 2.0
_TORN_S: Final = 30.0
_GLANCE_S: Final = 0.2
"""A process that has work does not wait for long for an answer, which it can have at its next look."""
_STRANGERS: Final = (
    "{} in consumer group {} is no process of this service: it takes partitions whose records nobody handles then, and "
    "may commit past them; stop it, or give it a group of its own"
)


class Membership:
    """Whether the group knows this member, and since when it has been without partitions that it lost."""

    def __init__(self) -> None:
        self.is_member = False
        self.lost_at: float | None = None
        """When the member lost its partitions, or its client was replaced (monotonic); None once it has joined."""
        self._is_producer_in_doubt = False

    def join(self) -> None:
        """Note that the group has assigned partitions."""
        self.is_member, self.lost_at = True, None

    def lose(self) -> None:
        """Note that the group has let this member go."""
        self.is_member, self.lost_at, self._is_producer_in_doubt = False, time.monotonic(), True

    def is_left_out(self, limit_s: float) -> bool:
        """Return whether the member has waited for longer than `limit_s` to be let back in."""
        return self.lost_at is not None and time.monotonic() - self.lost_at >= limit_s

    def restart_wait(self) -> None:
        """Begin to wait anew: the member joins with a new client."""
        self.lost_at = time.monotonic()

    def needs_new_producer(self) -> bool:
        """Return once, after a loss, that the transactions' coordinator may have been out of reach as well."""
        needs, self._is_producer_in_doubt = self._is_producer_in_doubt, False
        return needs


class Assignment:
    """Opens, restores, sets back and closes the tasks of the partitions that the group assigns to this member.

    The loop looks at `must_restore` and `must_seek` and at `membership`; each is reset by the method that does it.
    """

    def __init__(  # noqa: PLR0913  the rest is keyword-only
        self,
        plan: CompiledService,
        admin: Any,
        *,
        descriptions: GroupDescriptions,
        offsets: GroupOffsets,
        incremental: bool,
        before_revoke: Callable[[], None],
        disk: StateDisk,
    ) -> None:
        self._plan, self._admin, self._incremental, self._disk = plan, admin, incremental, disk
        self._descriptions = descriptions
        self._group_offsets, self._before_revoke = offsets, before_revoke
        self.breakers, self._new_schemas = CircuitBreakers(plan.limits.policies.outage), NewSchemas(plan)
        self._call_slots = call_slots(plan)
        self.membership = Membership()
        self.running: dict[int, PartitionTask] = {}
        self.restoring: dict[int, PartitionTask] = {}
        self.must_restore = False
        """Restoring has to begin anew with the tasks that `restoring` holds now."""
        self.must_seek = False
        """Tasks went back to their last commit, and `seek_back` has not told the consumer yet."""
        self._places_held: set[TopicPlace] = set()
        self._offsets: dict[TopicPlace, int] = {}
        self._left_at: dict[TopicPlace, int] = {}
        """Where tasks stood whose partitions went to others."""
        self._starts_at: dict[int, dict[str, int]] = {}
        self._had_offsets: dict[int, bool] = {}
        """Whether the group had offsets for a partition that is being restored."""
        external = (topic.name for topic in plan.service.inputs if topic.is_external)
        self._committed = CommittedOffsets(admin, plan.service.name, external)
        self.identity = TopicIdentity.of(plan, admin)
        self._next_lookup_at, self._must_look_for_strangers = 0.0, False
        self.strangers = ""
        """Why processes of others in the group are a fault, if there are any."""
        self._torn_at: float | None = None
        """Since when this member has some inputs of a partition and others have the rest (monotonic)."""
        self._failure: KafkaException | FatalError | None = None
        """The error of a callback, which `raise_failure` raises outside of it."""

    # -- callbacks: run inside poll() -----------------------------------------------------------------------------

    def on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Take partitions, paused, from where the group's stable committed offsets say."""
        try:
            self._take(consumer, partitions)
        except (KafkaException, FatalError) as error:
            self._failure = error

    def on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Give partitions back; what waits for a later batch is committed first."""
        try:
            self._before_revoke()
        except (KafkaException, FatalError) as error:
            self._failure = error
        self._give_up(consumer, partitions)

    def on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Forget everything and commit nothing: the group has given these partitions to other members already."""
        log.warning("partitions.lost", partitions=sorted({p.partition for p in partitions}))
        self.membership.lose()
        self._give_up(consumer, partitions)

    # -- helpers of the callbacks ----------------------------------------------------------------------------------

    def _take(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._check_count(partitions)
        known = self._known_starts(self._group_offsets.read(consumer, partitions))
        starts = [_at_any_offset(p) for p in partitions] if known is None else known
        if self._incremental:
            consumer.incremental_assign(starts)
        else:
            consumer.assign(starts)
        if starts:
            consumer.pause(starts)
        self._places_held |= {(p.topic, p.partition) for p in partitions}
        if known is None:
            self._group_offsets.hide({p.partition for p in partitions})
        else:
            self._offsets |= {(p.topic, p.partition): p.offset for p in starts}
            self._open_tasks(consumer, {p.partition for p in starts})
        self.membership.join()
        self._note_torn()
        self._must_look_for_strangers = True
        log.info("partitions.assigned", partitions=sorted(self.running.keys() | self.restoring.keys()))

    def _known_starts(
        self, committed: list[TopicPartition] | None, limit_s: float = _WATERMARKS_TIMEOUT_S
    ) -> list[TopicPartition] | None:
        """Return where to read each partition from, or None if brokers that are away do not tell it."""
        if committed is None:
            return None
        try:
            return self._starts(committed, limit_s)
        except KafkaException as error:
            if error.args[0].code() not in PASSING:
                raise
            self._group_offsets.note_delay(f"{error.args[0].str()}; the brokers do not tell where logs start")
            return None

    def _starts(self, committed: list[TopicPartition], limit_s: float) -> list[TopicPartition]:
        """Return where to read each partition from. Raises LostState if records are gone that were not read."""
        self.identity.compare_committed(committed)
        self._tell_passed(committed)
        offsets = {(p.topic, p.partition): p.offset for p in committed if p.offset != OFFSET_INVALID}
        unknown = {(p.topic, p.partition) for p in committed} - offsets.keys()
        by_us = {(p.topic, p.partition) for p in committed if getattr(p, "metadata", None)}
        for _, partition in offsets:
            self._had_offsets[partition] = True
        starts = low_watermarks(self._admin, unknown, limit_s) | self._committed.read_from(offsets, by_us)
        return [TopicPartition(p.topic, p.partition, starts[p.topic, p.partition]) for p in committed]

    def _tell_passed(self, committed: list[TopicPartition]) -> None:
        """Tell records that others have committed past since this process had them: a stranger handles nothing."""
        for place in committed:
            left_at = self._left_at.pop((place.topic, place.partition), place.offset)
            is_ours = getattr(place, "metadata", None) or not self.identity.metadata(place.topic, place.partition)
            if place.offset > left_at and not is_ours:
                reason = (
                    f"somebody who is no process of this release has committed {place.topic}[{place.partition}] from "
                    f"{left_at} to {place.offset}; if it was no release before either, the records there were not "
                    f"handled: stop the service, and read them again by `{command('consumers set-offsets')}`"
                )
                log.error("offsets.passed", topic=place.topic, partition=place.partition, reason=reason)

    def _open_tasks(self, consumer: Consumer, partitions: set[int]) -> None:
        """Open a task for each partition whose inputs are complete now; they may come one by one."""
        inputs = list(self._plan.inputs)
        complete = {p for p in partitions if self._places_held.issuperset((topic, p) for topic in inputs)}
        opened = {partition for partition in complete if self._look_up(consumer, partition)}
        self._group_offsets.hide(complete - opened)
        for partition in opened:
            self._starts_at[partition] = {topic: self._offsets[topic, partition] for topic in inputs}
            self.restoring[partition] = self._new_task(partition)
            self.must_restore = True
        self._group_offsets.forget(opened)
        self.identity.compare_state(opened)

    def _look_up(self, consumer: Consumer, partition: int) -> bool:
        """Ask where the group stands now in inputs that this member has had for a while. Return whether it is known."""
        places = [place for topic in self._plan.inputs if (place := (topic, partition)) not in self._offsets]
        starts = self._known_starts(self._group_offsets.read(consumer, [TopicPartition(*place) for place in places]))
        if starts is None:
            return False
        self._seek(consumer, starts)
        return True

    def _seek(self, consumer: Consumer, starts: list[TopicPartition]) -> None:
        for place in starts:
            consumer.seek(place)
            self._offsets[place.topic, place.partition] = place.offset

    def _new_task(self, partition: int) -> PartitionTask:
        task = PartitionTask(
            self._plan,
            partition,
            self.breakers,
            self._new_schemas,
            slots=self._call_slots,
            open_state=self._disk.opener(partition, self.identity.ids),
        )
        task.start_at(self._starts_at[partition], self.identity.ids)
        return task

    def _give_up(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers, self._must_look_for_strangers = {p.partition for p in partitions}, True
        self._places_held -= {(p.topic, p.partition) for p in partitions}
        self._offsets = {place: offset for place, offset in self._offsets.items() if place[1] not in numbers}
        self._group_offsets.forget(numbers)
        for partition in numbers:
            if (task := self.running.pop(partition, None)) is not None:
                self._left_at |= {(topic, partition): offset for topic, offset in task.positions.items()}
                _close([task])
            self._had_offsets.pop(partition, None)
            if (task := self.restoring.pop(partition, None)) is not None:
                _close([task])
                self.must_restore = True
        self._note_torn()
        if self._incremental:
            consumer.incremental_unassign(partitions)
        else:
            consumer.unassign()
        if staying := [TopicPartition(*place) for place in self._places_held if place[1] in numbers]:
            consumer.pause(staying)  # without the input that went, the others of its partition are not read

    def _note_torn(self) -> None:
        self._torn_at = (self._torn_at or time.monotonic()) if self._torn() else None

    def _torn(self) -> list[TopicPlace]:
        """Return the places that others have of partitions that this member has in part."""
        held = set(self._places_held)  # another thread may ask
        return sorted({(topic, p) for _, p in held for topic in self._plan.inputs} - held)

    def _check_count(self, partitions: list[TopicPartition]) -> None:
        beyond = [p for p in partitions if p.partition >= self._plan.service.partitions]
        if beyond:
            topic, service = beyond[0].topic, self._plan.service
            reason = (
                f"topic {topic} has more partitions than the catalogue's {service.partitions}: keys would move between "
                "partitions and lose their order"
            )
            raise FatalError(". ".join(filter(None, (reason, describe_shrinking(topic, service.inputs, service.name)))))

    @property
    def why_torn(self) -> str:
        """Return which inputs of this member's partitions others have had for long, or an empty text.

        Such a partition is worked on by nobody. A release that reads other topics has them while it is replaced;
        otherwise it is a stranger, whatever it calls itself.
        """
        if self._torn_at is None or time.monotonic() - self._torn_at < _TORN_S:
            return ""
        places = ", ".join(f"{topic}[{partition}]" for topic, partition in self._torn())
        return (
            f"{places} assigned to others in group {self._plan.service.name}, and the other inputs of these partitions "
            "to this process, so nobody handles their records: stop whoever reads other topics in this group "
            f"(`{command('consumers list')}`)"
        )

    # -- outside of callbacks -------------------------------------------------------------------------------------

    def open_hidden(self, consumer: Consumer) -> None:
        """Ask again for the offsets of a partition that could not be read, and open its task if they can be now.

        Raises KafkaException if they are refused, and LostState if records are gone that were not read.
        """
        partition = self._group_offsets.next_hidden()
        if partition is None:
            return
        places = [TopicPartition(*place) for place in self._places_held if place[1] == partition]
        starts = self._known_starts(self._group_offsets.read_again(consumer, places), _AGAIN_S)
        if starts is None:
            self._group_offsets.hide([partition])
            return
        self._group_offsets.forget([partition])
        self._seek(consumer, starts)
        self._open_tasks(consumer, {partition})

    def begin_restoring(self) -> list[PartitionTask]:
        """Return empty tasks to restore: a restoration that was interrupted leaves nothing half done."""
        self.must_restore = False
        _close(self.restoring.values())
        self.restoring = {partition: self._new_task(partition) for partition in self.restoring}
        return list(self.restoring.values())

    def start_restored(self, consumer: Consumer) -> list[PartitionTask]:
        """Run all tasks that were being restored, and return them."""
        started = list(self.restoring.values())
        for task in started:
            task.finish_restore()
            self._check_offsets_exist(task)
            self.running[task.partition] = self.restoring.pop(task.partition)
        self.resume(consumer, self._places(started))
        return started

    def resume(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Read partitions that were paused again, at once."""
        consumer.resume(places)
        self._wake(consumer, places)

    def _wake(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        """Have the client fetch at once (librdkafka workaround).

        It looks at resumed partitions once a second, or when it has another request for their brokers.
        """
        if places:
            with suppress(KafkaException):
                consumer.offsets_for_times([TopicPartition(p.topic, p.partition, 0) for p in places], _WAKE_TIMEOUT_S)

    def look_for_group(self, consumer: Consumer) -> None:
        """Find out who else is in the group, and with the `consumer` protocol whether it knows this member.

        A member that gets no partitions may never be called back (librdkafka workaround).
        """
        now = time.monotonic()
        if now < self._next_lookup_at:
            return
        if self._must_look_for_strangers:
            self._next_lookup_at = now + _LOOK_EVERY_S
            self._look_for_strangers()
        if not self._incremental or self.membership.is_member:
            return
        self._next_lookup_at = now + _LOOK_EVERY_S
        own = consumer.memberid()
        with suppress(KafkaException):
            described = self._descriptions.describe(_LOOK_TIMEOUT_S)
            members = {member.member_id: member for member in described.members}
            target = members[own].target_assignment if own in members else None
            self.membership.is_member = target is not None and not target.topic_partitions

    def _look_for_strangers(self) -> None:
        """Look, after partitions have come or gone, whether others than processes of this service have the rest."""
        service, strangers = self._plan.service, list[str]()
        if len(self._places_held) < len(self._plan.inputs) * service.partitions:
            try:
                strangers = strangers_among(self._descriptions.describe(_GLANCE_S).members, service.name)
            except KafkaException:
                return  # asked again
        self._must_look_for_strangers = False
        self.strangers = _STRANGERS.format(", ".join(strangers), service.name) if strangers else ""
        if strangers:
            log.warning("group.shared", reason=self.strangers)

    def rewind(self) -> None:
        """Forget the batch: every task goes back to its last commit. The consumer follows with `seek_back`."""
        for task in self.running.values():
            task.abort()
            task.rewind()
        self.must_seek = True

    def seek_back(self, consumer: Consumer) -> None:
        """Have the consumer read on from where the tasks stand."""
        self.must_seek = False
        for task in self.running.values():
            for topic, offset in task.positions.items():
                consumer.seek(TopicPartition(topic, task.partition, offset))

    def seek_in_range(self, consumer: Consumer, topic: str, partition: int) -> None:
        """Read on at the log's start if nothing but a commit marker is gone at the task's position.

        Raises LostState if records are gone.
        """
        task, place = self.running.get(partition) or self.restoring.get(partition), (topic, partition)
        if task is None:
            return  # the partition has gone meanwhile
        start = self._committed.read_after_error(place, task.positions[topic])
        task.positions[topic] = start
        consumer.seek(TopicPartition(topic, partition, start))

    def restore_again(self, consumer: Consumer) -> None:
        """Begin as after an assignment, because state and offsets of all tasks are in doubt."""
        self.abandon()
        self._offsets, self.must_seek = {}, True
        consumer.pause([TopicPartition(*place) for place in self._places_held])
        self._open_tasks(consumer, {partition for _, partition in self._places_held})

    def abandon(self) -> None:
        """Forget all tasks and whatever they have not committed."""
        tasks = [*self.running.values(), *self.restoring.values()]
        self.running, self.restoring = {}, {}  # first: what is left here when the loop ends is committed
        _close(tasks)

    def raise_failure(self) -> None:
        """Raise FatalError if a callback has failed."""
        match self._failure:
            case None:
                return
            case FatalError():
                raise self._failure
            case KafkaException():
                raise FatalError(f"rebalance failed: {self._failure.args[0].str()}") from self._failure

    def _places(self, tasks: list[PartitionTask]) -> list[TopicPartition]:
        return [TopicPartition(topic, task.partition) for task in tasks for topic in self._plan.inputs]

    def _check_offsets_exist(self, task: PartitionTask) -> None:
        if task.holds_state and not self._had_offsets.get(task.partition, False):
            group, inputs = self._plan.service.name, [topic.name for topic in self._plan.service.inputs]
            commands = [command(f"consumers set-offsets {group} --topic {name} --to state") for name in inputs]
            raise LostState(
                f"partition {task.partition} has state in its changelogs, but group {group!r} has no committed "
                "offsets: they were deleted, or expired while it had no members. Starting from the beginning would do "
                "everything twice; read again from shortly before the state was last written, then start again: "
                f"{'; '.join(commands)}"
            )


def _close(tasks: Iterable[PartitionTask]) -> None:
    """Close each task. One that fails to is logged, so that it keeps no other open."""
    for task in tasks:
        try:
            task.close()
        except Exception as error:  # noqa: BLE001  whatever it is, the tasks behind it are closed
            log.warning("task.close_failed", partition=task.partition, reason=describe_error(error))


def _at_any_offset(place: TopicPartition) -> TopicPartition:
    """Return the place with an offset that stands for none: it is paused until the group's offset is known."""
    return TopicPartition(place.topic, place.partition, 0)
