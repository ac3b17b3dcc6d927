"""What the check works on: plain frozen values, as they were read, nothing concluded yet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

Place = tuple[str, int]
"""A topic and a partition."""


class Position(NamedTuple):
    """Where one record lies."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"

    @property
    def as_id(self) -> str:
        """Return the id of a message that has none of its own."""
        return f"{self.topic}/{self.partition}/{self.offset}"


class Message(NamedTuple):
    """One record of a message topic. Ids that its headers do not give are empty, its message id excepted."""

    topic: str
    partition: int
    offset: int
    time: int
    """When it was written, epoch milliseconds."""
    key: bytes | None
    type: str
    """Short type name; empty when its schema is not known."""
    message_id: str
    """From its header, else topic/partition/offset."""
    source: str
    """Who wrote it, as the header says: `/services/payment`, `/cli`."""
    service: str
    """The service that wrote it, empty for the outside."""
    causation_id: str
    order_id: str
    """Its order, empty if there is none."""
    fault: str
    """Why it cannot be read as a message of its topic; empty when it can."""
    fields: Mapping[str, Any]
    """Those that a rule looks at."""

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)

    def __str__(self) -> str:
        return f"{self.type or 'record'} {self.topic}[{self.partition}]@{self.offset}"


class State(NamedTuple):
    """One record of `orchestrator.order-state`."""

    offset: int
    time: int
    fields: Mapping[str, Any]
    """None of a state that was deleted, or cannot be read."""

    @property
    def status(self) -> str:
        """Return the order's status; empty: the state was deleted."""
        return str(self.fields.get("status", ""))

    def names(self, field: str) -> tuple[str, ...]:
        """Return what a field lists: the steps that were begun, done, failed, undone, settled, or are owed."""
        return tuple(self.fields.get(field, ()))

    @property
    def seen(self) -> tuple[Mapping[str, Any], ...]:
        """Return the messages that the orchestrator says it has received."""
        return tuple(self.fields.get("seen", ()))


class DeadLetter(NamedTuple):
    """A record that a service has given up, and the record that it says it was."""

    position: Position
    service: str
    source: Position | None
    """None: its headers do not say."""
    generation: int = 0
    """How often it had been redriven before."""
    message_id: str = ""
    """Of what it holds: the newest attempt at a command, where the record that it names is an older one."""
    disposition: str = "skip"
    """`dead_letter` and `compensate` hold its key back until somebody decides."""

    @property
    def holds_back(self) -> bool:
        return self.disposition in {"dead_letter", "compensate"}


class Parked(NamedTuple):
    """What a service's changelog of parked records says of one place in the queue of a key."""

    service: str
    number: tuple[int, str, int]
    """Its partition, its key, and its place in the queue."""
    source: tuple[str, int, int] | None
    """Where the record lies that waits there; None: no record waits there any more."""
    message_id: str = ""


class Booking(NamedTuple):
    """One entry of the payment provider's ledger."""

    kind: str
    key: str
    order_id: str
    amount: int
    currency: str | None
    status: str
    entry_id: str
    charge_key: str | None
    at: int = 0
    """When it was booked, epoch milliseconds; 0: not known."""


class OpenOrder(NamedTuple):
    """An accepted order that has neither ended nor been given up."""

    order_id: str
    status: str
    step: str | None
    waits_for: str
    due_at: int | None
    """Epoch milliseconds; None: nothing is due."""
    paused: str = ""
    """Who or what pauses it, and why; empty: it is not paused."""


Finding = str | tuple[object, str]
"""What a check says in words, of the order that it looks at, or of the subject before the words."""


class Violation(NamedTuple):
    """What a check has found; the fields are the keys of the JSON report."""

    check: str
    subject: str
    """The order, the warehouse and sku, or where the record lies."""
    words: str
