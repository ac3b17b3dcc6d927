"""Records as Kafka would hand them over, without Kafka."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastavro import parse_schema, schemaless_writer

from contracts import SCHEMAS
from ensemble.messages.codec import prefix_of
from ensemble.messages.schema_set import SchemaSet, without_logical_types
from ensemble.system_messages import state as runtime_state
from tests.chaos.audit.recording import OPERATIONS
from verifier.flow import MESSAGE_TOPICS, ORDER_STATE, SERVICES
from verifier.runtime_formats import CONTROL, DEAD_LETTER, PARKED

PARTITIONS = 4
STATE_TOPICS = (ORDER_STATE, "order.order-changelog", "shipping.shipment-changelog", "inventory.warehouse-changelog")
DEAD_LETTERS = tuple(f"{service}{DEAD_LETTER}" for service in SERVICES)
RUNTIMES_OWN = tuple(f"{service}{suffix}" for service in SERVICES for suffix in (PARKED, CONTROL, OPERATIONS))
TOPICS = (*MESSAGE_TOPICS, *STATE_TOPICS, *DEAD_LETTERS, *RUNTIMES_OWN)


@dataclass
class WrittenRecord:
    """One record; tests may change anything about it before the snapshot is taken."""

    at: tuple[str, int, int]
    type: str
    fields: dict[str, Any]
    raw_key: bytes | None
    headers_now: dict[str, bytes]
    raw_value: bytes | None = None
    """Instead of the encoded fields."""
    is_tombstone: bool = False
    time: int = 0

    def topic(self) -> str:
        return self.at[0]

    def partition(self) -> int:
        return self.at[1]

    def offset(self) -> int:
        return self.at[2]

    def timestamp(self) -> tuple[int, int]:
        return 1, self.time

    def key(self) -> bytes | None:
        return self.raw_key

    def value(self) -> bytes | None:
        if self.is_tombstone:
            return None
        return encoded(self.type, self.fields) if self.raw_value is None else self.raw_value

    def headers(self) -> list[tuple[str, bytes]]:
        return list(self.headers_now.items())

    def header_texts(self) -> dict[str, str]:
        return {name: value.decode() for name, value in self.headers_now.items()}

    @property
    def message_id(self) -> str:
        return self.headers_now["ce_id"].decode()

    def set_header(self, name: str, value: str) -> None:
        self.headers_now[name] = value.encode()


def encoded(kind: str, fields: dict[str, Any]) -> bytes:
    """Return the record value, with fields that are not given at their defaults."""
    prefix, schema = _prefix_and_schema(kind)
    out = io.BytesIO()
    out.write(prefix)
    schemaless_writer(out, schema, fields)
    return out.getvalue()


@cache
def _prefix_and_schema(kind: str) -> tuple[bytes, Any]:
    source, name = _home_of(kind)
    schema = parse_schema(without_logical_types(source.working[name]), named_schemas={})
    return prefix_of(source.id_of(name)), schema


def _home_of(kind: str) -> tuple[SchemaSet, str]:
    for source in (SCHEMAS, runtime_state.SCHEMAS):
        for name in source.names():
            if name.endswith(f".{kind}"):
                return source, name
    raise KeyError(kind)


def traceparent(trace: str, message_id: str) -> str:
    return f"00-{trace}-{message_id[:16]}-01"


def as_seen(record: WrittenRecord) -> dict[str, Any]:
    topic, partition, offset = record.at
    return {
        "type": record.type,
        "message_id": record.message_id,
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "at": record.time,
    }


def as_deadline(order_id: str) -> dict[str, Any]:
    """Return what an order's state remembers of a timer."""
    seen = {"type": "Deadline", "message_id": f"timer/{order_id}/deadline/5", "topic": "timer"}
    return {**seen, "partition": -1, "offset": -1, "at": 1}
