"""A flow of three services that has all four combinations and breaks no rule; tests bend it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ensemble import (
    Catalogue,
    Command,
    CommandBus,
    Event,
    EventBus,
    EventSourced,
    Service,
    State,
    Topic,
    decides,
    event_sourced,
    handles,
    reacts_to,
)
from ensemble.service.catalogue import CommandFailure


class Buy(Command):
    order_id: str


class Pack(Command):
    order_id: str


class Carry(Command):
    order_id: str


class Label(Command):
    order_id: str


class Bought(Event):
    order_id: str


class Packed(Event):
    order_id: str


class Carried(Event):
    order_id: str


class Broken(Event):
    order_id: str


class Counted(Event):
    order_id: str
    sequence: int


class Count(State):
    order_id: str


@dataclass(frozen=True)
class Shelf:
    key: str
    sequence: int

    def evolve(self, fact: Counted) -> dict[tuple[str, str], Count]:
        return {}


@dataclass(frozen=True)
class Desk:
    events: EventBus[Bought]

    @handles(Buy)
    def buy(self, command: Buy) -> None: ...


@decides("who packs, and who carries")
@dataclass(frozen=True)
class Clerk:
    commands: CommandBus[Pack]

    @reacts_to(Bought)
    def on_bought(self, event: Bought) -> None: ...
    @reacts_to(Packed)
    def on_packed(self, event: Packed) -> None: ...
    @reacts_to(Broken)
    def on_broken(self, event: Broken) -> None: ...


@dataclass(frozen=True)
class Packer:
    shelf: EventSourced[Shelf]
    events: EventBus[Packed]
    commands: CommandBus[Carry]

    @handles(Pack)
    def pack(self, command: Pack) -> None: ...


@dataclass(frozen=True)
class Carrier:
    events: EventBus[Carried]

    @handles(Carry)
    def carry(self, command: Carry) -> None: ...
    @handles(Label)
    def label(self, command: Label) -> None: ...


@dataclass(frozen=True)
class Watcher:
    commands: CommandBus[Label]

    @reacts_to(Bought)
    def on_bought(self, event: Bought) -> None: ...


def broken(failure: CommandFailure) -> Broken | None:
    return Broken(order_id=str(failure.message_id))


TOPICS = (
    Topic("till.commands", "till", "order_id", (Buy,), from_outside=(Buy,)),
    Topic("till.events", "till", "order_id", (Bought, Broken)),
    Topic("store.commands", "store", "order_id", (Pack,)),
    Topic("store.events", "store", "order_id", (Packed, Broken)),
    Topic("store.ledger", "store", "order_id", (Counted,), retention=None),
    Topic("courier.commands", "courier", "order_id", (Carry, Label)),
    Topic("courier.events", "courier", "order_id", (Carried, Broken), to_outside={Carried: "for customers"}),
)


def catalogue(*topics: Topic) -> Catalogue:
    """Return the shop's catalogue, with these topics in place of, or besides, its own."""
    mine = {topic.name: topic for topic in (*TOPICS, *topics)}
    return Catalogue(tuple(mine.values()), on_exhausted=broken)


def shop(shared: Catalogue, **instead: Sequence[type]) -> list[Service]:
    """Return the three services, some with other roles: `shop(catalogue(), till=[Desk])`."""
    roles: dict[str, Sequence[type]] = {"till": [Desk, Clerk], "store": [Packer], "courier": [Carrier, Watcher]}
    roles |= instead
    return [_service(name, roles[name], shared) for name in roles]


def _service(name: str, roles: Sequence[type], shared: Catalogue) -> Service:
    keeps = any(role is Packer for role in roles)
    shelf = event_sourced(Shelf, ledger=shared.topic("store.ledger"), entries={"counts": Count})
    return Service(name, shared, roles=[*roles], stores=[shelf] if keeps else [])
