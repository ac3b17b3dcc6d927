"""Operators' commands, carried out in one partition: pause, resume, redrive, discard. Each is answered in words."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final, Literal, Protocol

import structlog

from ensemble.engine.batch import Batch
from ensemble.engine.failures.attempt_gate import AttemptGate
from ensemble.errors import OversizedOutput, UndecodableRecord
from ensemble.messages.records import ConsumedRecord, StoredRecord
from ensemble.system_messages.dead_letters import REDRIVEN_FROM
from ensemble.system_messages.operations import (
    IN_FLIGHT,
    DiscardRecord,
    Operation,
    OperationDone,
    PauseWork,
    RecordOperation,
    RedriveRecord,
    ResumeWork,
)
from ensemble.system_messages.state import ParkedRecord, Pause, RecordHeader, Resolution

log = structlog.get_logger()

Outcome = tuple[Literal["done", "nothing_to_do", "refused"], str]
DONE: Final[Outcome] = ("done", "")


class Owner(Protocol):
    """What operators' commands ask of the parked keys."""

    blocks: AttemptGate

    def redrive_head(self, key: bytes) -> None:
        """Try the head of a parked key now, as if it had never failed."""

    def discard_head(self, key: bytes) -> None:
        """Do without the head of a parked key; what waits behind it goes on."""


class OperatorCommands:
    """Carries out what `<service>.control` brings."""

    def __init__(self, batch: Batch, owner: Owner, reprocess: Callable[[StoredRecord], str]) -> None:
        self._batch, self._parking, self._owner = batch, batch.stores.parking, owner
        self._take_again = reprocess
        self._carry_out: dict[type, Callable[..., Outcome]] = {
            PauseWork: self._pause,
            ResumeWork: self._resume,
            RedriveRecord: self._redrive,
            DiscardRecord: self._discard,
        }

    def take(self, record: ConsumedRecord) -> None:
        """Carry one command out and say how it went. What cannot be read is logged; there is nobody to answer."""
        value = record.value() or b""
        read = self._batch.plan.operations.get(value[:5])
        try:
            operation = read(value) if read else None
        except UndecodableRecord as error:
            log.warning("operation.unreadable", offset=record.offset(), reason=str(error))
            return
        if not isinstance(operation, Operation):
            log.warning("operation.unreadable", offset=record.offset(), reason="its schema is none of an operation")
            return
        self._answer(operation, self._outcome(operation))

    def _outcome(self, operation: Operation) -> Outcome:
        """Carry out a command; the same command again changes nothing, unless it was refused."""
        name = _name_of(operation)
        if self._parking.was_done(name):
            return "nothing_to_do", "it was carried out before"
        if isinstance(operation, RecordOperation) and operation.partition != self._batch.partition:
            return "refused", f"the record lies in partition {operation.partition}; send it there"
        try:
            outcome, words = self._carry_out[type(operation)](operation)
        except OversizedOutput as error:
            return "refused", str(error)
        if outcome != "refused":
            self._parking.mark_done(name, self._batch.now)
        return outcome, words

    def _answer(self, operation: Operation, outcome: Outcome) -> None:
        batch, name = self._batch, type(operation).__name__
        log.info("operation", operation=name, outcome=outcome[0], words=outcome[1], by=operation.requested_by)
        done = {"operation_id": operation.operation_id, "operation": name, "outcome": outcome[0], "words": outcome[1]}
        batch.tell(OperationDone(service=batch.plan.service.name, partition=batch.partition, at=batch.now, **done))

    # -- work -----------------------------------------------------------------------------------------------------

    def _pause(self, command: PauseWork) -> Outcome:
        if (command.scope, command.name) in self._batch.stores.pauses.paused:
            return "nothing_to_do", "it is paused already"
        who = {"operation_id": command.operation_id, "requested_by": command.requested_by}
        self._parking.set_pause(command.scope, command.name, Pause(**who, reason=command.reason, at=command.at))
        return DONE

    def _resume(self, command: ResumeWork) -> Outcome:
        if (command.scope, command.name) not in self._batch.stores.pauses.paused:
            return "nothing_to_do", "it is not paused"
        self._parking.set_pause(command.scope, command.name, None)
        count = self._owner.blocks.release(f"{command.scope}/{command.name}")
        return "done", f"{count} parked keys go on" if count else ""

    # -- records --------------------------------------------------------------------------------------------------

    def _redrive(self, command: RedriveRecord) -> Outcome:
        key = command.parking_key.encode()
        known = self._parking.resolution(key, command.place, command.generation) if command.redriven_from else None
        if known is not None:
            return "nothing_to_do", f"it was {known.how} already"
        number = self._parking.find(key, command.place)
        if number is not None:
            return self._redrive_parked(key, number, command)
        if not command.redriven_from:
            return "nothing_to_do", "it is not held any more"
        if refusal := self._take_again(_record_of(command, self._batch.now).as_record()):
            return "refused", refusal
        self._resolve(key, command, "redriven")
        return DONE

    def _redrive_parked(self, key: bytes, number: int, command: RedriveRecord) -> Outcome:
        entry, held = self._parking.entry(key), dict(self._parking.waiting(key))[number]
        assert entry is not None, "it was found there"
        if number == entry.first and entry.status == "in_flight":
            return "refused", IN_FLIGHT
        if number != entry.first and command.edited is None:
            return "nothing_to_do", "it waits behind another record of its key"
        self._parking.replace(key, number, _redriven(held, command))
        if command.redriven_from:
            self._resolve(key, command, "redriven")
        if number == entry.first:
            self._owner.redrive_head(key)
        return DONE

    def _discard(self, command: DiscardRecord) -> Outcome:
        key = command.parking_key.encode()
        if (known := self._parking.resolution(key, command.place, command.generation)) is not None:
            return "nothing_to_do", f"it was {known.how} already"
        number, entry = self._parking.find(key, command.place), self._parking.entry(key)
        if number is not None and entry is not None:
            if number != entry.first:
                return "refused", "other records of its key wait before it; redrive or discard the first one"
            self._owner.discard_head(key)
        self._resolve(key, command, "discarded")
        return DONE

    def _resolve(self, key: bytes, command: RecordOperation, how: str) -> None:
        who = {"operation_id": command.operation_id, "requested_by": command.requested_by, "reason": command.reason}
        resolution = Resolution.model_validate({"how": how, "at": self._batch.now, **who})
        self._parking.resolve(key, command.place, command.generation, resolution)


def _name_of(operation: Operation) -> str:
    """Return the name that equal operations share; one operation id may name several records."""
    match operation:
        case RecordOperation():
            what = f"{operation.place}/{operation.generation}/{operation.parking_key}"
        case PauseWork() | ResumeWork():
            what = f"{operation.scope}/{operation.name}"
        case _:
            what = ""
    whole = f"{operation.operation_id}/{type(operation).__name__}/{what}"
    return blake2b(whole.encode(), digest_size=16).hexdigest()


def _redriven(held: ParkedRecord, command: RedriveRecord) -> ParkedRecord:
    """Return the parked record with its lineage, and with the edited value if there is one."""
    changes: dict[str, object] = {}
    if command.redriven_from:
        changes["headers"] = (*held.headers, _lineage(command))
    if command.edited is not None:
        changes |= {"value": command.edited, "original": held.original or held.value}
    return held.model_copy(update=changes)


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
