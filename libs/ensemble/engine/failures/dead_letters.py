"""Stages what follows from giving a record up: its dead letter, and CommandFailed for a command's sender."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any

import structlog

from ensemble.engine.routes import FailureRule
from ensemble.errors import TerminalError
from ensemble.messages.message import Command, Message
from ensemble.messages.records import ConsumedRecord, place_of
from ensemble.policies.retry import OnExhaustion
from ensemble.service.catalogue import CommandFailure
from ensemble.state.unit_of_work import RecordLayer
from ensemble.system_messages.dead_letters import FailureReport, printable, redrives_of

log = structlog.get_logger()


@dataclass(frozen=True)
class Failure:
    """Why a record was given up."""

    error: BaseException
    stage: str
    """`decode`, `handle` or `timer`."""
    rule: FailureRule
    attempts: int
    message: Message | None
    """The decoded message, when it could be decoded."""
    disposition: OnExhaustion = OnExhaustion.SKIP
    parking_key: bytes = b""


class DeadLetters:
    """Stages dead letters, and CommandFailed for a command's sender, on the record's own layer."""

    def __init__(self, plan: Any, partition: int) -> None:
        self._plan, self._partition = plan, partition
        self._service: str = plan.service.name
        self._topic: str = plan.service.dead_letter.name

    def stage(self, record: ConsumedRecord, layer: RecordLayer, failure: Failure, now: int) -> None:
        """Stage everything that follows from giving `record` up."""
        headers = [*(record.headers() or ()), *self._report(record, failure, now).headers()]
        layer.outputs.append((self._topic, record.value(), record.key(), headers, self._partition))
        self.tell_sender(record, layer, failure)

    def _report(self, record: ConsumedRecord, failure: Failure, now: int) -> FailureReport:
        return FailureReport(
            source=place_of(record),
            exception=type(failure.error).__qualname__,
            message=str(failure.error),
            stacktrace="".join(traceback.format_exception(failure.error)),
            service=self._service,
            handler=failure.rule.handler,
            stage=failure.stage,
            attempts=failure.attempts,
            policy=failure.rule.policy.origin,
            disposition=failure.disposition.value,
            parking_key=failure.parking_key,
            failed_at=now,
        )

    def tell_sender(self, record: ConsumedRecord, layer: RecordLayer, failure: Failure) -> None:
        """Stage CommandFailed, when it was a command and somebody can be told."""
        tell = self._plan.service.catalogue.on_exhausted
        if tell is None or not isinstance(failure.message, Command):
            return
        try:
            event = tell(self._command_failure(failure.message, layer.input_id, failure))
            route = self._plan.failure_routes.get(type(event))
            if event is not None and route is not None:
                layer.seed = f"{self._service}/failed/{layer.input_id}/{redrives_of(record) or ''}"
                layer.stage(route, event)
        except Exception as unsaid:  # noqa: BLE001  the record is given up already: nothing may fail from here on
            log.warning("command.failure_untold", command=type(failure.message).__name__, reason=repr(unsaid))

    def _command_failure(self, command: Command, message_id: str, failure: Failure) -> CommandFailure:
        error = _with_printable_words(failure.error)
        return CommandFailure(command, message_id, self._service, error, failure.attempts, failure.disposition.value)


def _with_printable_words(error: BaseException) -> BaseException:
    words = str(error)
    return error if printable(words) == words else TerminalError(printable(words))
