"""The hop that is measured: OrderPlaced in; state, its changelog record and ProcessPayment out; one transaction."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from ensemble import (
    Catalogue,
    Command,
    CommandBus,
    CurrentRecord,
    Event,
    SchemaSet,
    Service,
    State,
    StateStore,
    Topic,
    decides,
    reacts_to,
    state_store,
)
from ensemble.messages import Int32, Int64, Millis

Engine = Literal["memory", "packed", "rocksdb"]
"""Where the states of the hop lie."""
SCHEMAS: Final = SchemaSet(Path(__file__).parent / "schemas", "benchmarks")
PARTITIONS: Final = 4
PLACED_AT: Final = 1_700_000_000_000

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class OrderPlaced(Event, schemas=SCHEMAS):
    order_id: Id
    customer_id: Id
    sku: Id
    quantity: Annotated[Int32, Field(ge=1)]
    amount_cents: Annotated[Int64, Field(ge=0)]
    currency: Currency
    placed_at: Millis


class ProcessPayment(Command, schemas=SCHEMAS):
    command_id: Id
    order_id: Id
    customer_id: Id
    amount_cents: Annotated[Int64, Field(ge=0)]
    currency: Currency
    requested_at: Millis


class OrderState(State, schemas=SCHEMAS):
    status: str
    version: Int32
    last_id: str
    amount_cents: Int64


@decides("every order is to be paid")
@dataclass(frozen=True)
class HopOrchestrator:
    """Reads state, writes state, sends a command: what the hand-written loop does, as a role."""

    orders: StateStore[OrderState]
    commands: CommandBus[ProcessPayment]
    record: CurrentRecord

    @reacts_to(OrderPlaced)
    def on_order_placed(self, event: OrderPlaced) -> None:
        current = self.orders.get(event.order_id)
        input_id = self.record.message_id
        if current is not None and current.last_id == input_id:
            return
        self.orders.set(event.order_id, _pending(event, current, input_id))
        self.commands.send(_payment_for(event, input_id))


def _pending(event: OrderPlaced, current: OrderState | None, input_id: str) -> OrderState:
    return OrderState(
        status="payment_pending",
        version=1 if current is None else current.version + 1,
        last_id=input_id,
        amount_cents=event.amount_cents,
    )


def _payment_for(event: OrderPlaced, input_id: str) -> ProcessPayment:
    return ProcessPayment(
        command_id=f"cmd-{input_id}",
        order_id=event.order_id,
        customer_id=event.customer_id,
        amount_cents=event.amount_cents,
        currency=event.currency,
        requested_at=event.placed_at,
    )


def input_topic(name: str) -> Topic:
    """Return the topic of placed orders. The topic is not external: no record needs the window of seen ids."""
    return Topic(name, "load", key="order_id", messages=(OrderPlaced,), partitions=PARTITIONS)


def output_topic(run: str) -> Topic:
    return Topic(f"payments-{run}", "payment", key="order_id", messages=(ProcessPayment,), partitions=PARTITIONS)


def service(run: str, topic_in: str, engine: Engine = "memory") -> Service:
    """Declare the hop as a service of one role, its topics named after `run`."""
    catalogue = Catalogue(topics=(input_topic(topic_in), output_topic(run)))
    return Service(f"hop-{run}", catalogue, roles=[HopOrchestrator], stores=[state_store(OrderState, engine=engine)])


def placed_orders(count: int, seed: int = 7) -> Iterator[OrderPlaced]:
    """Yield the same orders for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        yield OrderPlaced(
            order_id=f"{chance.getrandbits(128):032x}-{number % 1000:03d}",
            customer_id=f"cust-{chance.randrange(50_000):06d}",
            sku=f"SKU-{chance.randrange(2_000):05d}",
            quantity=chance.randrange(1, 9),
            amount_cents=chance.randrange(100, 500_000),
            currency="EUR",
            placed_at=PLACED_AT + number,
        )


def input_headers(number: int) -> list[tuple[str, str | bytes | None]]:
    """Return the nine headers that every record of the project carries."""
    message_id, parent_id = f"{number:032x}", f"{number + 1:016x}"
    return [
        ("ce_specversion", b"1.0"),
        ("ce_type", b"benchmarks.events.OrderPlaced"),
        ("ce_source", b"/services/order"),
        ("content-type", b"application/avro"),
        ("ce_id", message_id),
        ("ce_time", b"2026-11-23T11:35:00.123Z"),
        ("ce_correlationid", message_id),
        ("ce_causationid", message_id),
        ("traceparent", f"00-{number + 1:032x}-{parent_id}-01"),
    ]
