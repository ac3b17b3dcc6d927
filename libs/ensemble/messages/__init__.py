"""Commands, events and states: classes, Avro schemas, bytes."""

from ensemble.messages.fields import Int32, Int64, Millis
from ensemble.messages.message import Command, Event, Message, NestedRecord, State, schema_name
from ensemble.messages.schema_set import SchemaSet

__all__ = [
    "Command",
    "Event",
    "Int32",
    "Int64",
    "Message",
    "Millis",
    "NestedRecord",
    "SchemaSet",
    "State",
    "schema_name",
]
