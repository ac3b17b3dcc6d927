"""CloudEvents as other programs write and read them: with the official SDK, by its binding for Kafka."""

from __future__ import annotations

from typing import Any

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary_event, to_binary_event
from cloudevents.core.formats.base import Format
from cloudevents.core.v1.event import CloudEvent

from ensemble.messages import Message
from ensemble.messages.codec import encoder_for


class AvroBytes(Format):
    """The data as it is: what is in it is no business of the envelope's."""

    def read(self, *_: object) -> Any:
        raise NotImplementedError

    def write(self, *_: object) -> bytes:
        raise NotImplementedError

    def write_data(self, data: Any, _: str | None) -> bytes:
        return bytes(data)

    def read_data(self, body: bytes, _: str | None) -> bytes:
        return body

    def get_content_type(self) -> str:
        return "application/avro"


def event_of(message: Message, **attributes: object) -> CloudEvent:
    """Return a message as an event of another system, of which `attributes` tell more or others."""
    own = {"id": "e-1", "source": "/elsewhere", "type": f"elsewhere.{type(message).__name__}"}
    content = {"specversion": "1.0", "datacontenttype": "application/avro"}
    return CloudEvent({**content, **own, **attributes}, encoder_for(type(message))(message))


def in_binary_mode(message: Message, **attributes: object) -> KafkaMessage:
    """Return the record that the SDK makes of a message."""
    return to_binary_event(event_of(message, **attributes), AvroBytes())


def read_binary(headers: dict[str, bytes], key: bytes | None, value: bytes) -> Any:
    """Return the event that the SDK reads from a record."""
    return from_binary_event(KafkaMessage(headers, key, value), AvroBytes())
