"""Records as people read them: what it is, who sent it, because of what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ensemble.clock import rfc3339
from ensemble.errors import UndecodableRecord
from ensemble.messages import Decoded, GenericDecoder, bounded_id, json_type_name, read_json, trace_in
from ensemble.messages.message import Command, Message
from ensemble.service.catalogue import Catalogue, Topic
from ensemble.system_messages import TOPIC

if TYPE_CHECKING:
    from ensemble.kafka.client import ReceivedRecord

KINDS = {"commands": "command", "events": "event", "state": "state"}
OUTSIDE_SENDER = "outside"


@dataclass(frozen=True)
class Entry:
    """One record, decoded as far as it goes. `problem` says why it cannot be read."""

    record: ReceivedRecord
    type: str
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    problem: str = ""
    is_json: bool = False

    @property
    def id(self) -> str:
        """Return the message id, or the place of a record that carries none."""
        return self._id("ce_id") or bounded_id(self.place.encode())

    @property
    def sender(self) -> str:
        """Return the service's name, `cli`, or `outside`."""
        return self._header("ce_source").rpartition("/")[2] or OUTSIDE_SENDER

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


def decode_entry(record: ReceivedRecord, decoder: GenericDecoder, catalogue: Catalogue) -> Entry:
    """Decode a record. Never fails, whatever its bytes are."""
    if record.value is None:
        return Entry(record, "(tombstone)", "tombstone")
    if (topic := _json_topic(record, catalogue)) is not None:
        return _json_entry(record, topic)
    try:
        decoded = decoder.decode(record.value)
    except UndecodableRecord as error:
        return Entry(record, "(unreadable)", "unreadable", problem=str(error))
    return _readable(record, decoded)


def _json_topic(record: ReceivedRecord, catalogue: Catalogue) -> Topic | None:
    """Return the topic of JSON that a record, or the record behind a dead letter, was written to."""
    origin = record.headers.get(TOPIC, b"").decode(errors="replace") or record.topic
    return next((topic for topic in catalogue.topics if topic.format == "json" and topic.name == origin), None)


def _json_entry(record: ReceivedRecord, topic: Topic) -> Entry:
    """Return the entry of a record of JSON; of one that is none its type, as far as it is known."""
    name = record.headers.get("ce_type", b"").decode(errors="replace")
    if not name and len(topic.messages) == 1:
        name = json_type_name(topic.messages[0])
    kind = next((each for each in topic.messages if json_type_name(each) == name), None)
    try:
        fields = read_json(record.value or b"")
    except UndecodableRecord as error:
        return _unreadable_json(record, kind, str(error))
    if kind is None or not isinstance(fields, dict):
        problem = f"ce_type {name!r} with a JSON {type(fields).__name__} is no message of {topic.name}"
        return _unreadable_json(record, kind, problem)
    return Entry(record, kind.__name__, "command" if issubclass(kind, Command) else "event", fields, is_json=True)


def _unreadable_json(record: ReceivedRecord, kind: type[Message] | None, problem: str) -> Entry:
    return Entry(record, kind.__name__ if kind else "(unreadable)", "unreadable", problem=problem, is_json=True)


def _readable(record: ReceivedRecord, decoded: Decoded) -> Entry:
    namespace, _, name = decoded.name.rpartition(".")
    return Entry(record, name, KINDS.get(namespace.rpartition(".")[2], "message"), decoded.fields)
