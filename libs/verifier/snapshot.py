"""Everything that was read, with the lookups that the checks share. Nothing in here judges."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from verifier.facts import (
    Booking,
    DeadLetter,
    Message,
    Place,
    Position,
    Raw,
    Seen,
    StateRecord,
    StockSnapshot,
    Waiting,
)
from verifier.flow import LEDGER, ORDER_EVENTS, SENT_AGAIN
from verifier.parked import Parked

Messages = tuple[Message, ...]
ByType = Mapping[str, list[Message]]
NONE: ByType = {}


@dataclass(frozen=True)
class Snapshot:
    """All committed records up to a cut, and a little more, so that whatever the cut refers to is there as well.

    The groups' positions were taken first, then the cut, then the provider's ledger, then the ends to read to. So the
    effects of every input that a group has read are here, and the causes of every record before the cut.
    """

    read_at: int
    """Epoch milliseconds."""
    partitions: Mapping[str, int]
    messages: Mapping[Place, Messages]
    """The message topics, each partition in order."""
    cut: Mapping[Place, int] = field(default_factory=dict)
    firsts: Mapping[Place, int] = field(default_factory=dict)
    """The first offset that each partition still had."""
    committed: Mapping[str, Mapping[Place, int]] = field(default_factory=dict)
    """For each consumer group, the next offset that it will read."""
    states: Mapping[str, tuple[StateRecord, ...]] = field(default_factory=dict)
    """For each order, what is left of its history in the compacted order state, up to the cut."""
    noted: Mapping[str, Mapping[str, Seen]] = field(default_factory=dict)
    """For each order, what the orchestrator says it has received, by message id."""
    kept: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    """For each changelog, the latest state of each key."""
    stock: Mapping[str, StockSnapshot] = field(default_factory=dict)
    """For each warehouse, inventory's own latest snapshot."""
    dead_letters: tuple[DeadLetter, ...] = ()
    originals: Mapping[Position, Raw] = field(default_factory=dict)
    """The records that the dead letters name."""
    parked: Parked = field(default_factory=Parked)
    """What the services hold back, up to the cut."""
    bookings: tuple[Booking, ...] | None = ()
    """The payment provider's ledger; None: it could not be read."""

    def all_messages(self) -> Iterator[Message]:
        for messages in self.messages.values():
            yield from messages

    def on(self, topic: str) -> Iterator[Message]:
        """Return the messages of one topic, each partition in order."""
        for place, messages in self.messages.items():
            if place[0] == topic:
                yield from messages

    def in_cut(self, message: Message) -> bool:
        """Return whether everything that this message refers to is known."""
        place = (message.topic, message.partition)
        return message.offset < self.cut.get(place, 0)

    def was_read(self, group: str, message: Message) -> bool:
        """Return whether the group has committed beyond this message."""
        return self.committed.get(group, {}).get((message.topic, message.partition), 0) > message.offset

    def was_given_up(self, service: str, message: Message) -> bool:
        """Return whether the message is a dead letter of the service."""
        return (service, message.position) in self._given_up

    def has_settled(self, letter: DeadLetter) -> bool:
        """Return whether everything written with this dead letter is known."""
        position = letter.position
        return position.offset < self.cut.get((position.topic, position.partition), 0)

    def waits(self, service: str, message: Message) -> bool:
        """Return whether the message waits parked at the service."""
        return self.parked.holds(service, message)

    def latest_letter(self, service: str, message: Message) -> DeadLetter | None:
        """Return the service's dead letter of the message, the most often redriven one of several."""
        return self._latest_letters.get((service, message.position))

    @cached_property
    def skipped(self) -> frozenset[tuple[str, Position]]:
        """Return the dead letters that block no key."""
        letters = (letter for letter in self.dead_letters if letter.source and not letter.holds_back)
        return frozenset((letter.service, letter.source) for letter in letters if letter.source)

    @cached_property
    def _latest_letters(self) -> Mapping[tuple[str, Position], DeadLetter]:
        by_generation = sorted(self.dead_letters, key=lambda letter: letter.generation)
        return {(letter.service, place): letter for letter in by_generation for place in self._meant(letter)}

    def holds_newer(self, letter: DeadLetter) -> bool:
        """Return whether the dead letter contains a newer attempt at the command than the record that it names."""
        return len(self._meant(letter)) > 1

    def _meant(self, letter: DeadLetter) -> list[Position]:
        """Return the record that it names, and the newer attempt that has replaced it."""
        inside = next(iter(self.by_id.get(letter.message_id, ())), None) if letter.message_id else None
        is_newer = inside is not None and inside.type in SENT_AGAIN and inside.position != letter.source
        return [place for place in (letter.source, inside.position if inside and is_newer else None) if place]

    @cached_property
    def _given_up(self) -> frozenset[tuple[str, Position]]:
        return frozenset((letter.service, place) for letter in self.dead_letters for place in self._meant(letter))

    @cached_property
    def parked_heads(self) -> Mapping[str, list[Waiting]]:
        """Return the first record of each parked key."""
        heads: dict[str, list[Waiting]] = defaultdict(list)
        for head in self.parked.heads():
            heads[head.key].append(head)
        return dict(heads)

    @cached_property
    def is_whole(self) -> bool:
        """Return whether no message topic has lost its beginning to retention."""
        return not any(first for place, first in self.firsts.items() if place in self.messages)

    @cached_property
    def by_id(self) -> Mapping[str, list[Message]]:
        """Return the messages with each id. Outsiders may number theirs alike: an id is unique within a source only."""
        messages: dict[str, list[Message]] = defaultdict(list)
        for message in self.all_messages():
            messages[message.message_id].append(message)
        return dict(messages)

    def cause_of(self, effect: Message) -> Message | None:
        """Return the message that has caused this one: among those with the id, one of its order and of its trace."""
        causes = self.by_id.get(effect.causation_id, ())
        return max(
            causes,
            key=lambda cause: (cause.order_id == effect.order_id, cause.trace == effect.trace),
            default=None,
        )

    def effects_of(self, cause: Message) -> list[Message]:
        """Return the messages that this one has caused, or a copy of it; not those of another with its id."""
        effects = self.caused.get(cause.message_id, ())
        return [effect for effect in effects if (each := self.cause_of(effect)) and each.order_id == cause.order_id]

    @cached_property
    def caused(self) -> Mapping[str, list[Message]]:
        """Return the messages that each message id has caused."""
        effects: dict[str, list[Message]] = defaultdict(list)
        for message in self.all_messages():
            if message.causation_id:
                effects[message.causation_id].append(message)
        return dict(effects)

    @cached_property
    def orders(self) -> Mapping[str, ByType]:
        """Return for each order its messages by type, in the order of their topic."""
        by_order: dict[str, dict[str, list[Message]]] = {}
        for message in self.all_messages():
            order_id = message.order_id
            if order_id and not message.fault:
                by_order.setdefault(order_id, {}).setdefault(message.type, []).append(message)
        return by_order

    def of_order(self, order_id: str, kind: str) -> list[Message]:
        """Return the order's messages of one type."""
        return list(self.orders.get(order_id, NONE).get(kind, ()))

    @cached_property
    def accepted(self) -> Mapping[str, Message]:
        """Return for each order the OrderPlaced that counts: the first that the orchestrator has not dead-lettered."""
        first: dict[str, Message] = {}
        for message in self.on(ORDER_EVENTS):
            if message.type == "OrderPlaced" and message.order_id not in first and self._may_count(message):
                first[message.order_id] = message
        return first

    def _may_count(self, message: Message) -> bool:
        return not message.fault and not self.was_given_up("orchestrator", message)

    @cached_property
    def completed(self) -> Mapping[str, Message]:
        """Return the first OrderCompleted of each order, before the cut."""
        return self._first("OrderCompleted")

    @cached_property
    def cancelled(self) -> Mapping[str, Message]:
        """Return the first OrderCancelled of each order, before the cut."""
        return self._first("OrderCancelled")

    def _first(self, kind: str) -> Mapping[str, Message]:
        first: dict[str, Message] = {}
        for message in self.on(ORDER_EVENTS):
            if message.type == kind and not message.fault and self.in_cut(message):
                first.setdefault(message.order_id, message)
        return first

    @cached_property
    def facts(self) -> Mapping[str, list[Message]]:
        """Return the ledger's facts by warehouse, in order."""
        by_warehouse: dict[str, list[Message]] = defaultdict(list)
        for message in self.on(LEDGER):
            if not message.fault:
                by_warehouse[message.fields["warehouse_id"]].append(message)
        return dict(by_warehouse)

    def was_settled(self, order_id: str, step: str) -> bool:
        """Return whether the step's debt was settled manually; without a state its commands are believed."""
        state = self.state_of(order_id)
        if state is not None:
            return step in state.settled
        return any(step in command.fields["steps"] for command in self.of_order(order_id, "SettleOrder"))

    def state_of(self, order_id: str) -> StateRecord | None:
        """Return the latest state of the order, None if there is none or it was deleted."""
        history = self.states.get(order_id)
        return history[-1] if history and history[-1].status else None
