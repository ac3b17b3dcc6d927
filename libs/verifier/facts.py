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
    correlation_id: str
    causation_id: str
    trace: str
    """The trace id alone, 32 hexadecimal digits."""
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


class StateRecord(NamedTuple):
    """One record of `orchestrator.order-state`."""

    offset: int
    time: int
    status: str
    """Empty: the state was deleted."""
    step: str | None
    begun: tuple[str, ...]
    done: tuple[str, ...]
    failed: tuple[str, ...]
    undone: tuple[str, ...]
    settled: tuple[str, ...]
    owed: tuple[str, ...]
    expected: tuple[str, ...]
    due_at: int | None
    paused: str
    """Who or what pauses the order, and why; empty: it is not paused."""
    seen: tuple[Seen, ...]


class Seen(NamedTuple):
    """A message that the orchestrator says it has received."""

    type: str
    message_id: str
    position: Position
    """Of a deadline: the topic `timer`, partition and offset -1."""
    at: int = 0
    """When it was taken in, epoch milliseconds."""
    decided: tuple[str, ...] = ()
    """Types of the commands that were sent upon it; `pause` or `resume`."""


class Raw(NamedTuple):
    """A record's bytes, untouched."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


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


class Asked(NamedTuple):
    """A command of an operator, on a service's control topic."""

    position: Position
    service: str
    operation: str
    operation_id: str
    at: int
    """When the operator asked, epoch milliseconds."""


class Waiting(NamedTuple):
    """A record that waits parked, or has waited."""

    service: str
    source: Position | None
    """None: it was parked and freed in one batch, and so was never seen to wait."""
    type: str
    message_id: str


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


class Level(NamedTuple):
    """Pieces of one sku in one warehouse."""

    on_hand: int = 0
    reserved: int = 0
    dispatched: int = 0

    def __str__(self) -> str:
        return f"{self.on_hand} on hand, {self.reserved} reserved, {self.dispatched} dispatched"


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
