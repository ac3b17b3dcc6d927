"""Records as people read them: what it is, who sent it, because of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ensemble.clock import rfc3339
from ensemble.errors import UndecodableRecord
from ensemble.messages import Decoded, GenericDecoder, bounded_id, trace_in

if TYPE_CHECKING:
    from ensemble.kafka.client import ReceivedRecord

KINDS = {"commands": "command", "events": "event", "state": "state"}
OUTSIDE = "outside"


@dataclass(frozen=True)
class Entry:
    """One record, decoded as far as it goes. `problem` says why it cannot be read."""

    record: ReceivedRecord
    type: str
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""

    @property
    def id(self) -> str:
        """Return the message id, or the place of a record that carries none."""
        r = self.record
        return self._id("ce_id") or f"{r.topic}/{r.partition}/{r.offset}"

    @property
    def sender(self) -> str:
        """Return the service's name, `cli`, or `outside`."""
        return self._header("ce_source").rpartition("/")[2] or OUTSIDE

    @property
    def causation(self) -> str:
        return self._id("ce_causationid")

    @property
    def correlation(self) -> str:
        return self._id("ce_correlationid")

    @property
    def trace(self) -> str:
        """Return the trace id of `traceparent`, or an empty string."""
        return trace_in(self.record.headers)

    @property
    def key(self) -> str:
        return (self.record.key or b"").decode(errors="replace")

    @property
    def place(self) -> str:
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"

    @property
    def order_id(self) -> str:
        """Return the order that the record belongs to, or an empty string."""
        return str(self.fields.get("order_id", ""))

    def document(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        r = self.record
        return {
            "topic": r.topic,
            "partition": r.partition,
            "offset": r.offset,
            "time": rfc3339(r.timestamp),
            "key": self.key,
            "type": self.type,
            "kind": self.kind,
            "sender": self.sender,
            "id": self.id,
            "causation_id": self.causation or None,
            "correlation_id": self.correlation or None,
            "trace_id": self.trace or None,
            "fields": dict(self.fields),
            **({"problem": self.problem} if self.problem else {}),
        }

    def _id(self, name: str) -> str:
        """Return an id as the services read it, so that it is found again in what they caused by it."""
        value = self.record.headers.get(name)
        return bounded_id(value) if value else ""

    def _header(self, name: str) -> str:
        return self.record.headers.get(name, b"").decode(errors="replace")


def decode_entry(record: ReceivedRecord, decoder: GenericDecoder) -> Entry:
    """Decode a record. Never fails, whatever its bytes are."""
    if record.value is None:
        return Entry(record, "(tombstone)", "tombstone")
    try:
        decoded = decoder.decode(record.value)
    except UndecodableRecord as error:
        return Entry(record, "(unreadable)", "unreadable", problem=str(error))
    return _readable(record, decoded)


def _readable(record: ReceivedRecord, decoded: Decoded) -> Entry:
    namespace, _, name = decoded.name.rpartition(".")
    return Entry(record, name, KINDS.get(namespace.rpartition(".")[2], "message"), decoded.fields)
