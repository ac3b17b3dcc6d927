"""A counter whose topics carry JSON: an outsider's, one of two commands, and events. There is no Avro schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from ensemble import OUTSIDE, Catalogue, Command, Event, EventBus, Service, Topic, handles, reacts_to, role
from ensemble.messages import Int64, NestedRecord

PARTITIONS = 2


class Item(NestedRecord):
    sku: str
    quantity: Int64 = 1


class Ordered(Event):
    """An order, as another system publishes it."""

    order_id: str
    speed: Literal["standard", "express"] = "standard"
    weight: float = 0.0
    total: int = 0
    items: tuple[Item, ...] = ()


class Confirm(Command):
    order_id: str
    note: str = ""


class Cancel(Command):
    order_id: str
    note: str = ""


class Answered(Event):
    order_id: str
    text: str
    digest: bytes = b""


@dataclass(frozen=True)
class Counter:
    events: EventBus[Answered]
    check: Callable[[str], None]
    """Raises for what a test wants to fail."""

    @reacts_to(Ordered)
    def on_ordered(self, event: Ordered) -> None:
        self.check(event.order_id)
        pieces = sum(item.quantity for item in event.items)
        self.events.emit(Answered(order_id=event.order_id, text=f"{event.speed} {pieces}", digest=b"\xff\x00"))

    @handles(Confirm)
    def confirm(self, command: Confirm) -> None:
        self.check(command.note)
        self.events.emit(Answered(order_id=command.order_id, text=f"confirmed {command.note}"))

    @handles(Cancel)
    def cancel(self, command: Cancel) -> None:
        self.check(command.note)
        self.events.emit(Answered(order_id=command.order_id, text=f"cancelled {command.note}"))


def json_catalogue(name: str = "counter") -> Catalogue:
    def topic(suffix: str, owner: str, *messages: type[Command | Event], **outside: Any) -> Topic:
        return Topic(f"{name}.{suffix}", owner, "order_id", messages, PARTITIONS, **outside, format="json")

    return Catalogue(
        topics=[
            topic("orders", OUTSIDE, Ordered),
            topic("commands", name, Confirm, Cancel, from_outside=(Confirm, Cancel)),
            topic("events", name, Answered, to_outside={Answered: "for the test"}),
        ],
    )


def json_service(name: str = "counter", check: Callable[[str], None] = lambda _: None) -> Service:
    return Service(name, json_catalogue(name), roles=[role(Counter, check=check)])
