"""One of five hand-written services: `PLAIN_SERVICE=payment python -m benchmarks.plain.service`.

JSON, at least once, state in a dict that a restart forgets; no schemas, no deduplication, no retries, no compensation.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from typing import Any, Final

from aiohttp import ClientSession
from confluent_kafka import Consumer, Producer

Order = dict[str, Any]
"""A message, which carries its order along."""
Outputs = Iterable[tuple[str, Order]]
Handle = Callable[[Sequence[Order]], Outputs]

TOPICS: Final = tuple(
    f"plain.{name}"
    for name in (
        "orders.events", "orders.commands", "payments.commands", "payments.events", "inventory.commands",
        "inventory.events", "shipping.commands", "shipping.events",
    )
)  # fmt: skip
_BATCH: Final = 500


def _to(name: str, message: Order, kind: str) -> tuple[str, Order]:
    return f"plain.{name}", {**message, "type": kind}


def one_by_one(handle: Callable[[Order], Outputs]) -> Handle:
    """Return what handles the messages of a batch one after another."""
    return lambda messages: chain.from_iterable(map(handle, messages))


def orchestrator() -> Handle:
    states: dict[str, Order] = {}

    def handle(message: Order) -> Iterator[tuple[str, Order]]:
        states[message["order_id"]] = message
        match message["type"]:
            case "OrderPlaced":
                yield _to("payments.commands", message, "ProcessPayment")
            case "PaymentConfirmed":
                yield _to("inventory.commands", message, "FulfilOrder")
            case "ShipmentScheduled":
                yield _to("orders.commands", message, "CompleteOrder")

    return one_by_one(handle)


def payment() -> Handle:
    url, charges, loop = os.environ["PAYMENT_PROVIDER_URL"] + "/v1/charges", dict[str, Any](), asyncio.new_event_loop()
    sessions: list[ClientSession] = []

    async def charge(session: ClientSession, message: Order) -> Order:
        order_id, amount = message["order_id"], sum(line["quantity"] * line["unit_price"] for line in message["lines"])
        document = {"amount": amount, "currency": message["currency"], "payment_token": message["payment_token"]}
        headers = {"Idempotency-Key": f'"{order_id}:charge"'}
        async with session.post(url, json={**document, "order_id": order_id}, headers=headers) as answer:
            answer.raise_for_status()
            charges[order_id] = await answer.json()
        return message

    async def charge_all(messages: Sequence[Order]) -> list[Order]:
        if not sessions:
            sessions.append(ClientSession())
        return await asyncio.gather(*(charge(sessions[0], message) for message in messages))

    return lambda messages: (
        _to("payments.events", message, "PaymentConfirmed") for message in loop.run_until_complete(charge_all(messages))
    )


def inventory() -> Handle:
    stock: dict[tuple[str, str], int] = {}

    def handle(message: Order) -> Iterator[tuple[str, Order]]:
        for line in message["lines"]:
            place = message["warehouse_id"], line["sku"]
            stock[place] = stock.get(place, 1_000_000) - line["quantity"]
        yield _to("inventory.events", message, "ReservationConfirmed")
        yield _to("shipping.commands", message, "ScheduleShipment")

    return one_by_one(handle)


def shipping() -> Handle:
    shipments: dict[str, str] = {}

    def handle(message: Order) -> Iterator[tuple[str, Order]]:
        shipments[message["order_id"]] = message["shipping_speed"]
        yield _to("shipping.events", message, "ShipmentScheduled")

    return one_by_one(handle)


def order() -> Handle:
    orders: dict[str, str] = {}

    def handle(message: Order) -> Iterator[tuple[str, Order]]:
        orders[message["order_id"]] = message["type"]
        if message["type"] == "CompleteOrder":
            yield _to("orders.events", message, "OrderCompleted")

    return one_by_one(handle)


SERVICES: Final[dict[str, tuple[Callable[[], Handle], list[str]]]] = {
    "order": (order, ["orders.events", "orders.commands"]),
    "payment": (payment, ["payments.commands"]),
    "inventory": (inventory, ["inventory.commands"]),
    "shipping": (shipping, ["shipping.commands"]),
    "orchestrator": (orchestrator, ["orders.events", "payments.events", "inventory.events", "shipping.events"]),
}


def main() -> None:
    """Run until SIGTERM. The port that the environment names says that the service is there."""
    name, stopping = os.environ["PLAIN_SERVICE"], threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    make, inputs = SERVICES[name]
    shared = {"bootstrap.servers": os.environ["KAFKA_BOOTSTRAP_SERVERS"]}
    consumer = Consumer(
        {**shared, "group.id": f"plain-{name}", "auto.offset.reset": "earliest", "enable.auto.commit": False}
    )
    producer = Producer({**shared, "linger.ms": 0, "enable.idempotence": True})
    consumer.subscribe([f"plain.{topic}" for topic in inputs], on_assign=lambda *_: _serve_health())
    handle = make()
    while not stopping.is_set():
        _turn(consumer, producer, handle)
    consumer.close()


def _turn(consumer: Consumer, producer: Producer, handle: Handle) -> None:
    """Handle what one poll finds, and commit once its outputs have reached the broker."""
    if (first := consumer.poll(0.1)) is None:
        return
    records = [record for record in (first, *consumer.consume(_BATCH, 0)) if record.error() is None]
    for topic, message in handle([json.loads(record.value() or b"{}") for record in records]):
        producer.produce(topic, json.dumps(message), message["order_id"])
    producer.flush()
    if records:
        consumer.commit(asynchronous=True)


def _serve_health() -> None:
    """Answer whoever asks whether the service is ready."""

    class Ready(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["ENSEMBLE_HTTP_PORT"])), Ready)
    threading.Thread(target=server.serve_forever, daemon=True).start()


if __name__ == "__main__":
    main()
