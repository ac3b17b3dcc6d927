"""An order's history as a document for programs: each message with its place, who decided it, and nothing secret."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final

from backoffice.order_history import OrderHistory
from backoffice.order_story import Line
from ensemble.clock import epoch_ms, moment_of
from ensemble.operations import Position, Result

SECRET_FIELDS: Final = frozenset({"payment_token"})
"""Fields of messages that a document shows to nobody."""
HIDDEN: Final = "(hidden)"


class StoryMessage(Result):
    """One message of an order."""

    position: Position
    at: datetime | None
    after_ms: int
    """Milliseconds since the order's first message."""
    key: str
    type: str
    kind: str
    """`command`, `event`, `state`, or `unreadable`."""
    sender: str
    receivers: tuple[str, ...]
    control: str
    """Who decided that it follows: `orchestrated`, `choreographed`, `both`, `ledger` or `outside`."""
    text: str
    """What it says, in a few words."""
    id: str
    causation_id: str | None
    correlation_id: str | None
    trace_id: str | None
    caused_by: str | None
    """The type of the message that caused it."""
    fields: dict[str, Any]
    headers: dict[str, str]
    problem: str | None
    """Why it cannot be read."""


class OrderStory(Result):
    """The messages of an order in the order in which they happened."""

    order_id: str
    messages: tuple[StoryMessage, ...]
    unread: int
    """How many records that may be the order's were not read, because it lived on for so long."""


def document_of(history: OrderHistory) -> OrderStory:
    """Return the messages of a history."""
    messages = tuple(map(_message, history.lines))
    return OrderStory(order_id=history.order_id, messages=messages, unread=history.unread)


def hide_secrets(value: Any) -> Any:
    """Return fields as JSON has them, without what is shown to nobody, at any depth."""
    if isinstance(value, Mapping):
        return {str(name): HIDDEN if name in SECRET_FIELDS else hide_secrets(each) for name, each in value.items()}
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [hide_secrets(each) for each in value]
    return epoch_ms(value) if isinstance(value, datetime) else value


def restore_secrets(fields: Any, original: Any) -> Any:
    """Return edited fields, with what the original has wherever a secret was left as it was shown: hidden."""
    if isinstance(fields, Mapping) and isinstance(original, Mapping):
        return {
            name: original[name]
            if name in SECRET_FIELDS and each == HIDDEN and name in original
            else restore_secrets(each, original.get(name))
            for name, each in fields.items()
        }
    if isinstance(fields, list) and isinstance(original, Sequence):
        pairs = zip_longest(fields, original[: len(fields)])
        return [restore_secrets(each, before) for each, before in pairs]
    return fields


def _message(line: Line) -> StoryMessage:
    entry, record = line.entry, line.entry.record
    return StoryMessage(
        position=Position(topic=record.topic, partition=record.partition, offset=record.offset),
        at=moment_of(record.timestamp),
        after_ms=line.after_ms,
        key=entry.key,
        type=entry.type,
        kind=entry.kind,
        sender=entry.sender,
        receivers=line.services,
        control=line.control,
        text=line.says,
        id=entry.id,
        causation_id=entry.causation or None,
        correlation_id=entry.correlation or None,
        trace_id=entry.trace or None,
        caused_by=line.cause or None,
        fields=hide_secrets(entry.fields),
        headers={name: value.decode(errors="backslashreplace") for name, value in record.headers.items()},
        problem=entry.problem or None,
    )
