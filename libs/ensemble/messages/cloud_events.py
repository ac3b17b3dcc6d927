"""Writes the headers that make a record a CloudEvent, by the Kafka protocol binding's binary mode."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ensemble.clock import rfc3339
from ensemble.messages.message import Message, json_type_name, schema_name
from ensemble.messages.records import MAX_ID_BYTES, Headers, header_size

JSON: Final = b"application/json"
"""The content type of records of JSON."""
_TRACEPARENT: Final = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_RESERVED: Final = re.compile(r"ce_.*|content-type|traceparent", re.IGNORECASE)


def type_headers(
    message: type[Message], source: bytes, content_type: bytes = b"application/avro"
) -> list[tuple[str, bytes]]:
    """Return the headers that all messages of this type from this source share."""
    name = json_type_name(message) if content_type == JSON else schema_name(message)
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", name.encode()),
        ("ce_source", source),
        ("content-type", content_type),
    ]


def is_structured(headers: Iterable[tuple[str, object]]) -> bool:
    """Return whether a record holds a whole CloudEvent in its value: the binding's structured mode, or a batch."""
    return any(
        name.lower() == "content-type" and isinstance(value, bytes) and value.startswith(b"application/cloudevents")
        for name, value in headers
    )


@dataclass(frozen=True)
class Envelope:
    """What an outsider says about one message beside its fields.

    `message_id`: the same id again is the same message again, so whoever may repeat itself chooses it; a random one
    otherwise. `correlation_id`: what all messages of one story share; the message id otherwise. `traceparent`: the W3C
    trace context to go on with, a new trace otherwise. `headers`: further ones, in bytes.

    Raises ValueError or TypeError that names the field: an id takes 1 to 128 bytes, the names of headers are text and
    their values bytes, and headers of the runtime cannot be set.
    """

    message_id: str = field(default_factory=lambda: secrets.token_hex(16))
    correlation_id: str = ""
    traceparent: str = ""
    headers: Mapping[str, bytes] = field(default_factory=dict)
    begins_trace: bool = field(init=False, default=False)
    """Whether no `traceparent` was passed: then it is the message's own, in a new trace."""

    def __post_init__(self) -> None:
        if self.traceparent == "":
            object.__setattr__(self, "begins_trace", True)
            object.__setattr__(self, "traceparent", f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
        texts = {"message_id": self.message_id, "correlation_id": self.correlation_id or "-"}
        for name, text in (*texts.items(), ("traceparent", self.traceparent)):
            if not isinstance(text, str):
                raise TypeError(f"{name} is a {type(text).__name__}; give a str")
        for name, text in texts.items():
            if not 1 <= len(text.encode()) <= MAX_ID_BYTES:
                raise ValueError(f"{name} takes {len(text.encode())} bytes; 1 to {MAX_ID_BYTES} are allowed")
        if not _TRACEPARENT.fullmatch(self.traceparent):
            raise ValueError(
                f"traceparent {self.traceparent!r} is not 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, "
                "neither of the first two all zeros"
            )
        for name, value in self.headers.items():
            require_free_header(name, value)

    @property
    def size(self) -> int:
        """How many bytes the further headers take at most."""
        return sum(header_size(name, value) for name, value in self.headers.items())

    @property
    def trace_id(self) -> str:
        """The trace that the message belongs to, 32 hexadecimal digits."""
        return self.traceparent[3:35]

    def headers_at(self, now: int) -> Headers:
        """Return the headers of a message that is written at `now`, epoch milliseconds."""
        values = {
            "ce_id": self.message_id,
            "ce_time": rfc3339(now),
            "ce_correlationid": self.correlation_id or self.message_id,
            "traceparent": self.traceparent,
        }
        return [*((name, value.encode()) for name, value in values.items()), *self.headers.items()]


def require_free_header(name: object, value: object) -> None:
    """Refuse a header of the runtime's, and what the client would only refuse in the midst of a batch, or not survive.

    Raises ValueError or TypeError, which names the header.
    """
    if not isinstance(name, str) or not isinstance(value, bytes):
        raise TypeError(f"headers: {name!r} is a {type(value).__name__}; names are str and values bytes")
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(f"headers: the name {name!r} is no text that UTF-8 can hold") from None
    if _RESERVED.fullmatch(name):
        raise ValueError(f"headers: {name} cannot be set; ids and the trace have fields of their own")
