"""Logs as events with fields: JSON lines for machines, pretty on a terminal.

The record in hand is added to each line.
"""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog

from ensemble.escaping import escape_controls
from ensemble.observability.log_stream import LogStream, open_stderr
from ensemble.settings import RuntimeSettings
from ensemble.state.unit_of_work import current_layer


def configure_logging(service: str, settings: RuntimeSettings) -> None:
    """Set up structlog and the standard logging for this process. No line that cannot be written ends anything."""
    stderr = open_stderr()
    stream: Any = LogStream(stderr)
    pretty = is_pretty(settings.log_format, is_terminal=stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    pretty_steps = (escape_texts, structlog.dev.ConsoleRenderer())  # JSON escapes by itself
    render: Any = pretty_steps if pretty else (structlog.processors.JSONRenderer(),)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.contextvars.merge_contextvars,  # several services of one process bind their names
            _service_adder(service),
            add_record,
            stream.add_lost,
            structlog.processors.format_exc_info,
            *render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Bridge()], level=logging.WARNING, force=True)


def is_pretty(log_format: str, *, is_terminal: bool) -> bool:
    """Return whether people read the log, rather than machines."""
    return log_format == "pretty" or (log_format == "auto" and is_terminal)


def add_record(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the record in hand to the line: key, message id, correlation id, trace id, topic, partition, offset."""
    layer = current_layer.get()
    if layer is not None and layer.topic:
        event.setdefault("key", layer.key.decode(errors="replace"))
        event.update(message_id=layer.message_id, correlation_id=layer.correlation_id, trace_id=layer.trace)
        event.update(topic=layer.topic, partition=layer.partition, offset=layer.offset)
    return event


def escape_texts(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write out the control characters of all texts: keys, errors and provider answers are written by others."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = escape_controls(value, keep="\n" if name == "exception" else "")
    return event


def _service_adder(service: str) -> Any:
    def add_service(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("service", service)
        return event

    return add_service


class _Bridge(logging.Handler):
    """Lines of libraries (the Kafka client's above all) in the same form as ours."""

    def emit(self, record: logging.LogRecord) -> None:
        structlog.get_logger().log(record.levelno, record.name, text=record.getMessage())
