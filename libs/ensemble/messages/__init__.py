"""Commands, events and states: classes, Avro schemas, bytes."""

from ensemble.messages.message import (
    Command,
    Event,
    Int32,
    Int64,
    Message,
    Millis,
    Record,
    SchemaSet,
    State,
    schema_name,
)

__all__ = ["Command", "Event", "Int32", "Int64", "Message", "Millis", "Record", "SchemaSet", "State", "schema_name"]
