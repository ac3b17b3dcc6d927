"""Stages what follows from giving an input up: its dead letter, and CommandFailed for a command's sender."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Final

import structlog

from ensemble.engine.compiled import CompiledService
from ensemble.engine.items import Item
from ensemble.messages.message import Command
from ensemble.messages.records import place_of
from ensemble.policies.retry import OnExhaustion
from ensemble.service.catalogue import CommandFailure
from ensemble.state.unit_of_work import RecordLayer
from ensemble.system_messages.dead_letters import FailureReport, dead_letter_of, generation_of

log = structlog.get_logger()

REASON_LIMIT: Final = 1000
"""Characters of an error's text that a parked key keeps, and that a command's sender is told."""


@dataclass(frozen=True)
class Exhaustion:
    """Why an input is given up."""

    error: str
    """The error's class."""
    reason: str
    """What the error says, printable."""
    attempts: int
    disposition: OnExhaustion


class DeadLetters:
    """Stages dead letters, and CommandFailed for a command's sender, on the input's own layer."""

    def __init__(self, compiled: CompiledService, partition: int) -> None:
        self._service, self._partition = compiled.service, partition
        self._failure_routes = compiled.failure_routes

    def stage(self, item: Item, layer: RecordLayer, exhaustion: Exhaustion, *, error: Exception, now: int) -> None:
        """Stage everything that follows from giving `item` up."""
        key, value, headers = dead_letter_of(item.record, self._report(item, error, exhaustion, now))
        layer.outputs.append((self._service.dead_letter.name, value, key, headers, self._partition))
        self.notify_sender(item, layer, exhaustion)

    def _report(self, item: Item, error: Exception, exhaustion: Exhaustion, now: int) -> FailureReport:
        return FailureReport(
            source=place_of(item.record),
            exception=type(error).__qualname__,
            message=exhaustion.reason,
            stacktrace="".join(traceback.format_exception(error)),
            service=self._service.name,
            handler=item.rule.handler,
            stage=item.stage,
            attempts=exhaustion.attempts,
            policy=item.rule.policy.origin,
            disposition=exhaustion.disposition.value,
            parking_key=item.key,
            failed_at=now,
        )

    def notify_sender(self, item: Item, layer: RecordLayer, exhaustion: Exhaustion) -> None:
        """Stage CommandFailed, if the input is a readable command and the catalogue has an event for that."""
        make_event, command = self._service.catalogue.on_exhausted, item.message_if_readable
        if make_event is None or not isinstance(command, Command):
            return
        try:
            event = make_event(self._command_failure(command, layer.message_id, exhaustion))
            route = self._failure_routes.get(type(event))
            if event is not None and route is not None:
                layer.seed = f"{self._service.name}/failed/{layer.origin}/{generation_of(item.record) or ''}"
                layer.stage_report(route, event)
        except Exception as error:  # noqa: BLE001  the record is given up already: nothing may fail from here on
            log.warning("command.failure_unreported", command=type(command).__name__, reason=repr(error))

    def _command_failure(self, command: Command, message_id: str, exhaustion: Exhaustion) -> CommandFailure:
        return CommandFailure(
            command=command,
            message_id=message_id,
            service=self._service.name,
            error=exhaustion.error,
            reason=exhaustion.reason[:REASON_LIMIT],
            attempts=exhaustion.attempts,
            disposition=exhaustion.disposition.value,
        )
