"""The messages of a service that tests drive: most of them are scripts, see scripted_role.py."""

from __future__ import annotations

from pathlib import Path

from ensemble import messages
from ensemble.messages import Int64
from ensemble.messages.schema_set import SchemaSet

SCHEMAS = SchemaSet(Path(__file__).parent / "schemas")


class Script(messages.Command, schemas=SCHEMAS):
    account_id: str
    steps: tuple[str, ...]


class SlowScript(messages.Command, schemas=SCHEMAS):
    account_id: str
    steps: tuple[str, ...]


class Forwarded(messages.Command, schemas=SCHEMAS):
    account_id: str
    text: str


class Announced(messages.Event, schemas=SCHEMAS):
    account_id: str
    text: str


class Told(messages.Event, schemas=SCHEMAS):
    account_id: str
    text: str


class Refused(messages.Event, schemas=SCHEMAS):
    account_id: str
    command_id: str
    reason: str


class Booked(messages.Event, schemas=SCHEMAS):
    account_id: str
    sequence: Int64
    label: str
    amount: Int64


class Stamped(messages.Event, schemas=SCHEMAS):
    account_id: str
    amount: Int64


class Jotted(messages.Event, schemas=SCHEMAS):
    account_id: str
    text: str


class Account(messages.State, schemas=SCHEMAS):
    value: Int64
    text: str


class Line(messages.State, schemas=SCHEMAS):
    amount: Int64


class Tally(messages.State, schemas=SCHEMAS):
    """An event-sourced aggregate that is a state: how much was stamped."""

    total: Int64 = 0
    stamps: Int64 = 0

    def apply(self, event: Stamped) -> Tally:
        return Tally(total=self.total + event.amount, stamps=self.stamps + 1)
