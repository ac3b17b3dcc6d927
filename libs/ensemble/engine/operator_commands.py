"""Operators' commands to one partition: pause, resume, redrive, discard, set offsets. Each is answered by an event."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

import structlog

from ensemble.engine.batch import Batch
from ensemble.engine.compiled import CompiledService
from ensemble.engine.failures.parked_keys import ParkedKeys
from ensemble.errors import UndecodableRecord
from ensemble.messages.records import ConsumedRecord, StoredRecord
from ensemble.partitioning import home_of
from ensemble.state.parking import ParkingStore
from ensemble.system_messages.dead_letters import REDRIVEN_FROM, TEXT_LIMIT, printable
from ensemble.system_messages.operations import (
    IN_FLIGHT,
    DiscardRecord,
    Operation,
    OperationDone,
    PauseWork,
    RecordOperation,
    RedriveRecord,
    ResumeWork,
    SetOffset,
)
from ensemble.system_messages.state import ParkedRecord, Pause, RecordHeader, Resolution

log = structlog.get_logger()


class CommandOutcome(NamedTuple):
    """What became of an operator's command, and why."""

    result: Literal["done", "nothing_to_do", "refused"]
    reason: str = ""


DONE: Final = CommandOutcome("done")


@dataclass(frozen=True)
class Reprocess:
    """What is left to do: a record that had been skipped is to be handled as if it came now."""

    command: RedriveRecord
    record: StoredRecord


@dataclass(frozen=True)
class DiscardHead:
    """What is left to do: the head of a parked key is to end without its handlers."""

    command: DiscardRecord
    key: bytes


class OperatorCommands:
    """Executes and answers what `<service>.control` brings.

    A command that needs handlers or timers leaves a step to its caller; `complete` follows that step. The same
    command again changes nothing.
    """

    def __init__(
        self, compiled: CompiledService, partition: int, batch: Batch, *, parking: ParkingStore, parked: ParkedKeys
    ) -> None:
        self._service, self._operations, self._partition = compiled.service.name, compiled.operations, partition
        self._partitions = compiled.service.partitions
        self._batch, self._parking, self._parked = batch, parking, parked
        self._by_type: dict[type, Callable[..., CommandOutcome | Reprocess | DiscardHead]] = {
            PauseWork: self._pause,
            ResumeWork: self._resume,
            RedriveRecord: self._redrive,
            DiscardRecord: self._discard,
            SetOffset: self._acknowledge_offset,
        }

    def read(self, record: ConsumedRecord) -> Operation | None:
        """Return the command in `record`, or None if it cannot be read, which is logged: its sender is not known."""
        value = record.value() or b""
        read = self._operations.get(value[:5])
        try:
            operation = read(value) if read else None
        except UndecodableRecord as error:
            log.warning("operation.skipped", offset=record.offset(), reason=str(error))
            return None
        if not isinstance(operation, Operation):
            log.warning("operation.skipped", offset=record.offset(), reason="schema is not an operator command")
            return None
        return operation

    def execute(self, operation: Operation) -> CommandOutcome | Reprocess | DiscardHead:
        """Do what changes parked keys and pauses alone, or return the step that is left.

        Raises OversizedOutput if the state that it leads to is too large.
        """
        name = _name_of(operation)
        if self._parking.was_done(name):
            return CommandOutcome("nothing_to_do", "it was carried out before")
        if isinstance(operation, RedriveRecord | DiscardRecord) and self._partition not in self._homes_of(operation):
            return CommandOutcome("refused", f"the record lies in partition {operation.partition}; send it there")
        step = self._by_type[type(operation)](operation)
        return step if isinstance(step, Reprocess | DiscardHead) else self._remember(operation, step)

    def _homes_of(self, operation: RedriveRecord | DiscardRecord) -> tuple[int, int]:
        """Return where its record lay, and where its key belongs: its topic may have had more partitions."""
        return operation.partition, home_of(operation.key, operation.partition, self._partitions)

    def complete(self, step: Reprocess | DiscardHead, refusal: str) -> CommandOutcome:
        """Return the outcome of a command whose `step` was done, or could not be done because of `refusal`."""
        if refusal:
            return CommandOutcome("refused", refusal)
        how = "redriven" if isinstance(step, Reprocess) else "discarded"
        self._resolve(step.command, how)
        return self._remember(step.command, DONE)

    def answer(self, operation: Operation, outcome: CommandOutcome) -> None:
        """Tell operators how a command went."""
        name = type(operation).__name__
        reason = printable(outcome.reason)[:TEXT_LIMIT]
        log.info("operation.answered", operation=name, outcome=outcome.result, reason=reason, by=operation.requested_by)
        answer = {"operation_id": operation.operation_id, "operation": name, "outcome": outcome.result, "words": reason}
        place = {"service": self._service, "partition": self._partition, "at": self._batch.now}
        self._batch.emit_operation_event(OperationDone.model_validate(place | answer))

    def _remember(self, operation: Operation, outcome: CommandOutcome) -> CommandOutcome:
        """Remember a command that was not refused, and return its outcome."""
        if outcome.result != "refused":
            self._parking.mark_done(_name_of(operation), self._batch.now)
        return outcome

    # -- work -----------------------------------------------------------------------------------------------------

    def _pause(self, command: PauseWork) -> CommandOutcome:
        if (command.scope, command.name) in self._parking.pauses:
            return CommandOutcome("nothing_to_do", "it is paused already")
        who = {"operation_id": command.operation_id, "requested_by": command.requested_by}
        self._parking.set_pause(command.scope, command.name, Pause(**who, reason=command.reason, at=command.at))
        return DONE

    def _resume(self, command: ResumeWork) -> CommandOutcome:
        if (command.scope, command.name) not in self._parking.pauses:
            return CommandOutcome("nothing_to_do", "it is not paused")
        self._parking.set_pause(command.scope, command.name, None)
        count = self._parked.release(f"{command.scope}/{command.name}")
        return CommandOutcome("done", f"{count} parked keys go on" if count else "")

    def _acknowledge_offset(self, command: SetOffset) -> CommandOutcome:
        before = "no offset" if command.before is None else str(command.before)
        return CommandOutcome(
            "done", f"{command.topic}[{command.partition}] is read from {command.offset} on, instead of {before}"
        )

    # -- records --------------------------------------------------------------------------------------------------

    def _redrive(self, command: RedriveRecord) -> CommandOutcome | Reprocess:
        key = command.parking_key.encode()
        earlier = self._parking.resolution(key, command.place, command.generation) if command.redriven_from else None
        if earlier is not None:
            return CommandOutcome("nothing_to_do", f"it was {earlier.how} already")
        number = self._parking.number_of(key, command.place)
        if number is not None:
            return self._redrive_parked(key, number, command)
        if not command.redriven_from:
            return CommandOutcome("nothing_to_do", "it is not held any more")
        return Reprocess(command, _record_of(command, self._batch.now).as_record())

    def _redrive_parked(self, key: bytes, number: int, command: RedriveRecord) -> CommandOutcome:
        entry, parked = self._parking.entry(key), dict(self._parking.records(key))[number]
        assert entry is not None, "the record is parked there"
        if number == entry.first and entry.status == "in_flight":
            return CommandOutcome("refused", IN_FLIGHT)
        if number != entry.first and command.edited is None:
            return CommandOutcome("nothing_to_do", "it waits behind another record of its key")
        self._parking.replace(key, number, _apply_redrive(parked, command))
        if command.redriven_from:
            self._resolve(command, "redriven")
        if number == entry.first:
            self._parked.redrive_head(key)
        return DONE

    def _discard(self, command: DiscardRecord) -> CommandOutcome | DiscardHead:
        key = command.parking_key.encode()
        if (earlier := self._parking.resolution(key, command.place, command.generation)) is not None:
            return CommandOutcome("nothing_to_do", f"it was {earlier.how} already")
        number, entry = self._parking.number_of(key, command.place), self._parking.entry(key)
        if number is not None and entry is not None:
            if number != entry.first:
                return CommandOutcome(
                    "refused", "other records of its key wait before it; redrive or discard the first one"
                )
            return DiscardHead(command, key)
        self._resolve(command, "discarded")
        return DONE

    def _resolve(self, command: RecordOperation, how: str) -> None:
        key = command.parking_key.encode()
        who = {"operation_id": command.operation_id, "requested_by": command.requested_by, "reason": command.reason}
        resolution = Resolution.model_validate({"how": how, "at": self._batch.now, **who})
        self._parking.set_resolution(key, command.place, command.generation, resolution)


def _name_of(operation: Operation) -> str:
    """Return what makes two commands the same; one operation may name several records."""
    match operation:
        case RecordOperation():
            target = f"{operation.place}/{operation.generation}/{operation.parking_key}"
        case PauseWork() | ResumeWork():
            target = f"{operation.scope}/{operation.name}"
        case SetOffset():
            target = f"{operation.topic}/{operation.partition}"
        case _:
            target = ""
    name = f"{operation.operation_id}/{type(operation).__name__}/{target}"
    return blake2b(name.encode(), digest_size=16).hexdigest()


def _apply_redrive(parked: ParkedRecord, command: RedriveRecord) -> ParkedRecord:
    """Return the parked record with its lineage, and with the edited value if there is one."""
    changes: dict[str, object] = {}
    if command.redriven_from:
        changes["headers"] = (*parked.headers, _lineage(command))
    if command.edited is not None:
        changes |= {"value": command.edited, "original": parked.original or parked.value}
    return parked.model_copy(update=changes)


def _record_of(command: RedriveRecord, now: int) -> ParkedRecord:
    edited = command.edited is not None
    return ParkedRecord(
        topic=command.topic,
        partition=command.partition,
        offset=command.offset,
        key=command.key,
        value=command.edited if edited else command.value,
        headers=(*command.headers, _lineage(command)),
        message="",
        message_id="",
        parked_at=now,
        original=command.value if edited else None,
    )


def _lineage(command: RedriveRecord) -> RecordHeader:
    return RecordHeader(name=REDRIVEN_FROM, value=command.redriven_from.encode())
