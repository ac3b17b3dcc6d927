"""Dead letters: the record's own bytes and headers, untouched, and behind them where it came from and why."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from typing import Any, Final

import structlog

from ensemble.effects import Layer, Record
from ensemble.errors import TerminalError
from ensemble.messages import Command, Message
from ensemble.stamps import rfc3339
from ensemble.topology import CommandFailure

log = structlog.get_logger()

TEXT_LIMIT: Final = 4_000
"""Characters of a message or stack trace that are kept."""


@dataclass(frozen=True)
class Failure:
    """Why a record was given up."""

    error: BaseException
    stage: str
    """`decode`, `handle` or `timer`."""
    handler: str
    attempts: int
    message: Message | None
    """The decoded message, when it could be decoded."""


class DeadLetters:
    """Stages dead letters, and CommandFailed for a command's sender, on the record's own layer."""

    def __init__(self, plan: Any, partition: int) -> None:
        self._plan, self._partition = plan, partition
        self._service: str = plan.service.name
        self._topic: str = plan.service.dead_letter.name

    def stage(self, record: Record, layer: Layer, failure: Failure, now: int) -> None:
        """Stage everything that follows from giving `record` up."""
        headers = [*(record.headers() or ()), *self._origin(record, failure), *self._own(failure, now)]
        layer.outputs.append((self._topic, record.value(), record.key(), headers, self._partition))
        self._tell_sender(layer, failure)

    def _origin(self, record: Record, failure: Failure) -> list[tuple[str, Any]]:
        """The names that Kafka Streams (KIP-1034) gives them, so that its tools read ours."""
        trace = "".join(traceback.format_exception(failure.error))
        return [
            ("__streams.errors.exception", type(failure.error).__qualname__),
            ("__streams.errors.message", _printable(str(failure.error)[:TEXT_LIMIT])),
            ("__streams.errors.stacktrace", _printable(trace[-TEXT_LIMIT:])),
            ("__streams.errors.topic", record.topic()),
            ("__streams.errors.partition", str(record.partition())),
            ("__streams.errors.offset", str(record.offset())),
        ]

    def _own(self, failure: Failure, now: int) -> list[tuple[str, Any]]:
        return [
            ("ensemble.service", self._service),
            ("ensemble.handler", failure.handler),
            ("ensemble.stage", failure.stage),
            ("ensemble.attempts", str(failure.attempts)),
            ("ensemble.failed-at", rfc3339(now)),
        ]

    def _tell_sender(self, layer: Layer, failure: Failure) -> None:
        tell = self._plan.service.catalogue.on_exhausted
        if tell is None or not isinstance(failure.message, Command):
            return
        error = _with_printable_words(failure.error)
        try:
            event = tell(CommandFailure(failure.message, layer.input_id, self._service, error, failure.attempts))
            route = self._plan.failures.get(type(event))
            if event is not None and route is not None:
                layer.seed = f"{self._service}/failed/{layer.input_id}/"
                layer.stage(route, event)
        except Exception as unsaid:  # noqa: BLE001  the record is given up already: nothing may fail from here on
            log.warning("command.failure_untold", command=type(failure.message).__name__, reason=repr(unsaid))


def _printable(text: str) -> str:
    """Without the half characters that UTF-8 has no room for."""
    return text.encode(errors="backslashreplace").decode()


def _with_printable_words(error: BaseException) -> BaseException:
    words = str(error)
    return error if _printable(words) == words else TerminalError(_printable(words))
