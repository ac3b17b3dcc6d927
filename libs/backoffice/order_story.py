"""An order's story: its messages in the order in which they happened, each with who sent it, to whom, and why."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from backoffice.message_text import details
from ensemble.operations import BOTH, ControlFlow, Entry

ENDS: Final = {"OrderCompleted": "completed", "OrderCancelled": "cancelled"}
"""The messages that end an order, and how."""
_WORDS: Final[Mapping[tuple[str, str], str]] = {
    ("orchestrated", "command"): "orchestration with commands",
    ("orchestrated", "event"): "orchestration with events",
    ("choreographed", "command"): "choreography with commands",
    ("choreographed", "event"): "choreography with events",
    (BOTH, "event"): "both, with events",
    ("ledger", "event"): "event sourcing",
    ("outside", "command"): "from outside",
    ("outside", "event"): "to anyone",
}


def order_of(entry: Entry) -> str:
    """Return the id of the order that a message belongs to, or an empty text."""
    return str(entry.fields.get("order_id", ""))


@dataclass(frozen=True)
class Line:
    """One message of a story."""

    entry: Entry
    after_ms: int
    cause: str
    """The type of the message that caused it; empty for the first one, and where the cause is not at hand."""
    control: str
    """Who decided on it, as `ControlFlow.control_of` says."""
    services: tuple[str, ...]
    """The services that receive it."""
    currency: str = ""
    """The order's currency, as far as an earlier message of the story has named it."""

    @property
    def meaning(self) -> str:
        """Return the combination as text."""
        return _WORDS.get((self.control, self.entry.kind), self.control)

    @property
    def receivers(self) -> str:
        """Return the receivers as text; `anyone` if there are none here."""
        return ", ".join(self.services) or ("itself" if self.control == "ledger" else "anyone")

    @property
    def says(self) -> str:
        """Return the message as text, or why it cannot be read."""
        return self.entry.problem or details(self.entry.fields, self.currency)

    def document(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        more = {"after_ms": self.after_ms, "caused_by": self.cause or None, "control": self.control}
        return {**self.entry.document(), **more}


class Story:
    """Entries told one after the other; it knows the time of the first, and each one's cause."""

    def __init__(self, control_flow: ControlFlow) -> None:
        """Take who decides on each message of the application."""
        self._control_flow = control_flow
        self._began: int | None = None
        self._types: dict[str, str] = {}
        self._currency = ""

    def tell(self, entry: Entry) -> Line:
        """Add an entry and return its line."""
        self._types[entry.id] = entry.type
        if self._began is None:
            self._began = entry.record.timestamp
        self._currency = entry.fields.get("currency") or self._currency
        services = [name for name in self._control_flow.receivers_of(entry.type) if name != "outside"]
        return Line(
            entry,
            after_ms=entry.record.timestamp - self._began,
            cause=self._types.get(entry.causation, ""),
            control=self._control_flow.control_of(entry.type, entry.sender),
            services=tuple(services),
            currency=self._currency,
        )


def in_order(entries: Iterable[Entry]) -> list[Entry]:
    """Sort entries by time; within one millisecond causes come before effects."""
    distinct = {_identity(entry): entry for entry in entries}
    depths = _depths(distinct.values())
    return sorted(
        distinct.values(), key=lambda e: (e.record.timestamp, depths[_identity(e)], e.record.topic, e.record.offset)
    )


def _identity(entry: Entry) -> tuple[str, str]:
    """Return what tells entries apart. Two senders may give one id, so an id alone does not."""
    return entry.place, entry.id


def _depths(entries: Collection[Entry]) -> dict[tuple[str, str], int]:
    """Return how many causes each entry has behind it. In a circle, which only forged ids make, that is bounded."""
    by_id, depths = {entry.id: entry for entry in entries}, dict[tuple[str, str], int]()
    for entry in entries:
        chain = list[Entry]()
        cause: Entry | None = entry
        for _ in entries:
            if cause is None or _identity(cause) in depths:
                break
            depths[_identity(cause)] = 0
            chain.append(cause)
            cause = by_id.get(cause.causation)
        behind = -1 if cause is None else depths[_identity(cause)]
        depths |= {_identity(each): behind + number for number, each in enumerate(reversed(chain), start=1)}
    return depths
