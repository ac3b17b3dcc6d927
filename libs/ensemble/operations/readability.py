"""How a record's bytes read: by the schema that they were written with, and to the class that its reader has today."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError

from ensemble import system_messages
from ensemble.errors import ConfigurationError, EnsembleError, UndecodableRecord
from ensemble.messages import (
    PREFIX_LENGTH,
    Message,
    decoder_for_new_schema,
    decoders_for,
    encoder_for,
    invalid_fields,
    schemas_of,
)
from ensemble.operations.dead_letter import DeadLetterEntry
from ensemble.operations.errors import Invalid
from ensemble.operations.session import Session


def describe_readability(session: Session, letter: DeadLetterEntry) -> dict[str, Any]:
    """Return `written_as` (schema name and version) and `reads_today` (yes, or why not)."""
    value = letter.entry.record.value
    if value is None:
        return {"written_as": None, "reads_today": "no: it has no value"}
    try:
        written = session.decoder.describe(value).rpartition(".")[2]
    except UndecodableRecord:
        written = None
    return {"written_as": written, "reads_today": f"no: {why}" if (why := why_unreadable(session, letter)) else "yes"}


def why_unreadable(session: Session, letter: DeadLetterEntry) -> str:
    """Return why the current class cannot read the record, or an empty string."""
    value = letter.entry.record.value
    if value is None:
        return "it has no value"
    try:
        read(session, letter, value)
    except EnsembleError as error:
        return str(error)
    return ""


def read(session: Session, letter: DeadLetterEntry, value: bytes) -> Message:
    """Decode the message. Raises UndecodableRecord with the reason."""
    topic = letter.dead_letter.origin[0]
    types = _types_on(session, topic)
    if not types:
        raise UndecodableRecord(f"no topic {topic!r} in today's catalogue")
    for kind in types:
        decode = decoders_for(kind, session.sources.source_for(topic, schemas_of(kind))).get(value[:PREFIX_LENGTH])
        if decode is not None:
            return decode(value)
    late = decoder_for_new_schema(value[:PREFIX_LENGTH], types, session.sources)
    if late is None:
        raise UndecodableRecord(letter.entry.problem or f"{letter.entry.type} is none of the messages of {topic}")
    return late[1](value)


def encode_edited(session: Session, letter: DeadLetterEntry, fields: dict[str, Any]) -> bytes:
    """Encode the message with other fields, in the current schema. Raises Invalid naming invalid fields."""
    kind = next(
        (each for each in _types_on(session, letter.dead_letter.origin[0]) if each.__name__ == letter.type), None
    )
    if kind is None:
        raise Invalid(f"{letter.place} has no known message type, so its fields cannot be edited", field="edit")
    source = session.sources.source_for(letter.dead_letter.origin[0], schemas_of(kind))
    try:
        return encoder_for(kind, source)(kind.model_validate(fields))
    except ValidationError as error:
        raise Invalid(f"{kind.__name__} is not valid: {invalid_fields(error)}", field="edit") from None


def _types_on(session: Session, topic: str) -> Sequence[type[Message]]:
    """Return the message types of a topic; a failed timer was on its changelog."""
    if topic.endswith(".timers-changelog"):
        return (system_messages.Timer,)
    try:
        return session.application.catalogue.topic(topic).messages
    except ConfigurationError:
        return ()
