"""Messages from the command line to their topics, as any well-behaved outsider would write them."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cli.connection import sources
from cli.errors import Mistake
from contracts.catalogue import CATALOGUE
from ensemble.clock import rfc3339
from ensemble.messages import Message, encoder_for, schema_name
from ensemble.service import MAX_RECORD_BYTES, Topic

if TYPE_CHECKING:
    from ensemble.kafka.client import ClusterClient
    from ensemble.state import Output


@dataclass(frozen=True)
class Receipt:
    """Where a published message lies."""

    type: str
    message_id: str
    key: str
    topic: str
    partition: int
    offset: int
    trace: str


def publish(access: ClusterClient, message: Message, topic: Topic | None = None) -> Receipt:
    """Write the message and return when it is safe. `topic` chooses where a type lives on several."""
    home = topic or CATALOGUE.homes(type(message))[0]
    encode = encoder_for(type(message), sources().source_for(home.name, message.__schemas__))
    key, value = str(getattr(message, home.key)), encode(message)
    if len(value) > MAX_RECORD_BYTES:
        raise Mistake(f"{type(message).__name__} has {len(value)} bytes, the limit is {MAX_RECORD_BYTES}; shorten it")
    message_id, trace = secrets.token_hex(16), secrets.token_hex(16)
    headers = cloud_event(message, message_id, trace)
    partition, offset = access.publish(home.name, key.encode(), value, headers)
    return Receipt(type(message).__name__, message_id, key, home.name, partition, offset, trace)


def record_of(message: Message, home: Topic, message_id: str) -> Output:
    """Return the message as a record that begins a trace under its own id (32 hexadecimal digits)."""
    encode = encoder_for(type(message), sources().source_for(home.name, message.__schemas__))
    headers: list[tuple[str, Any]] = list(cloud_event(message, message_id, message_id))
    return home.name, encode(message), str(getattr(message, home.key)).encode(), headers, -1


def cloud_event(message: Message, message_id: str, trace: str) -> list[tuple[str, bytes]]:
    """Return the headers of a message without a cause: it begins a trace and a correlation."""
    headers = {
        "ce_specversion": "1.0",
        "ce_type": schema_name(type(message)),
        "ce_source": "/cli",
        "content-type": "application/avro",
        "ce_id": message_id,
        "ce_time": rfc3339(now()),
        "ce_correlationid": message_id,
        "traceparent": f"00-{trace}-{message_id[:16]}-01",
    }
    return [(name, value.encode()) for name, value in headers.items()]


def now() -> int:
    """Return the time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def fresh_order_id() -> str:
    """Return a new random order id."""
    return f"order-{secrets.token_hex(4)}"
