"""How a record's bytes read: by the schema that they were written with, and to the class that its reader has today."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

from pydantic import ValidationError

from ensemble import system_messages
from ensemble.errors import ConfigurationError, EnsembleError, UndecodableRecord
from ensemble.messages import Message, invalid_fields
from ensemble.messages.json_values import json_decoder_for
from ensemble.operations.dead_letter import DeadLetterEntry
from ensemble.operations.errors import Invalid
from ensemble.operations.session import Session
from ensemble.service.catalogue import Topic
from ensemble.service.codecs import codec_of


def describe_readability(session: Session, letter: DeadLetterEntry) -> dict[str, Any]:
    """Return `written_as` (schema name and version) and `reads_today` (yes, or why not)."""
    value = letter.entry.record.value
    if value is None:
        return {"written_as": None, "reads_today": "no: it has no value"}
    if letter.entry.is_json:
        return {
            "written_as": None if letter.entry.problem else f"{letter.type}, JSON",
            "reads_today": f"no: {why}" if (why := why_unreadable(session, letter)) else "yes",
        }
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
    codec = codec_of(_topic(session, topic), session.sources)
    label = codec.label_of(letter.origin_record) or b""
    for kind in types:
        if (decode := codec.decoders_for(kind).get(label)) is not None:
            return cast("Message", decode(value))
    late = codec.find_new(label)
    if late is None:
        raise UndecodableRecord(letter.entry.problem or f"{letter.entry.type} is none of the messages of {topic}")
    return cast("Message", late[1](value))


def encode_edited(session: Session, letter: DeadLetterEntry, fields: dict[str, Any]) -> bytes:
    """Encode the message with other fields, in the current schema. Raises Invalid naming invalid fields."""
    kind = next(
        (each for each in _types_on(session, letter.dead_letter.origin[0]) if each.__name__ == letter.type), None
    )
    if kind is None:
        raise Invalid(f"{letter.place} has no known message type, so its fields cannot be edited", field="edit")
    topic = _topic(session, letter.dead_letter.origin[0])
    try:
        message = kind.model_validate(fields)
        if topic.format == "json":  # where bytes are base64; the other way to read forbids unknown fields
            message = json_decoder_for(kind)(json.dumps(fields).encode())
        return codec_of(topic, session.sources).encoder_for(kind)(message)
    except UndecodableRecord as error:
        raise Invalid(str(error), field="edit") from None
    except ValidationError as error:
        raise Invalid(f"{kind.__name__} is not valid: {invalid_fields(error)}", field="edit") from None


def _types_on(session: Session, topic: str) -> Sequence[type[Message]]:
    """Return the message types of a topic, none of one that today's catalogue has not."""
    try:
        return _topic(session, topic).messages
    except ConfigurationError:
        return ()


def _topic(session: Session, name: str) -> Topic:
    """Return a topic of the catalogue; a failed timer was on its changelog."""
    if name.endswith(".timers-changelog"):
        return Topic(name, name.rpartition(".")[0], "", (system_messages.Timer,), cleanup="compact")
    return session.application.catalogue.topic(name)
