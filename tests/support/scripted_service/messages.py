"""The messages of a service that tests drive: most of them are scripts, see scripted_role.py."""

from __future__ import annotations

from pathlib import Path

import ensemble
from ensemble.messages import Int64
from ensemble.messages.schema_set import SchemaSet

SCHEMAS = SchemaSet(Path(__file__).parent / "schemas", "workshop")


class Script(ensemble.Command, schemas=SCHEMAS):
    account_id: str
    steps: tuple[str, ...]


class SlowScript(ensemble.Command, schemas=SCHEMAS):
    account_id: str
    steps: tuple[str, ...]


class Forwarded(ensemble.Command, schemas=SCHEMAS):
    account_id: str
    text: str


class Announced(ensemble.Event, schemas=SCHEMAS):
    account_id: str
    text: str


class Told(ensemble.Event, schemas=SCHEMAS):
    account_id: str
    text: str


class Refused(ensemble.Event, schemas=SCHEMAS):
    account_id: str
    command_id: str
    reason: str


class Booked(ensemble.Event, schemas=SCHEMAS):
    account_id: str
    sequence: Int64
    label: str
    amount: Int64


class Stamped(ensemble.Event, schemas=SCHEMAS):
    account_id: str
    amount: Int64


class Jotted(ensemble.Event, schemas=SCHEMAS):
    account_id: str
    text: str


class Account(ensemble.State, schemas=SCHEMAS):
    value: Int64
    text: str


class Line(ensemble.State, schemas=SCHEMAS):
    amount: Int64


class Tally(ensemble.State, schemas=SCHEMAS):
    """An event-sourced aggregate that is a state: how much was stamped."""

    total: Int64 = 0
    stamps: Int64 = 0

    def apply(self, event: Stamped) -> Tally:
        return Tally(total=self.total + event.amount, stamps=self.stamps + 1)
