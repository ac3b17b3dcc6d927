import sqlite3

from faststream import FastStream
from faststream.kafka import KafkaBroker
from pydantic import BaseModel

# -- reaction
broker = KafkaBroker("localhost:9092")
app = FastStream(broker)


class CoffeeOrdered(BaseModel):
    guest: str
    drink: str


class CoffeeServed(BaseModel):
    guest: str
    drink: str


served = broker.publisher("coffee.served")


@broker.subscriber("coffee.ordered", group_id="barista", auto_offset_reset="earliest")
async def serve(order: CoffeeOrdered) -> None:
    await served.publish(CoffeeServed(guest=order.guest, drink=order.drink), key=order.guest.encode())


# -- state
class FreeCoffeeEarned(BaseModel):
    guest: str


free = broker.publisher("coffee.free")
database = sqlite3.connect("coffees.db", isolation_level=None)
database.execute("CREATE TABLE IF NOT EXISTS coffees (guest TEXT PRIMARY KEY, cups INTEGER NOT NULL)")


@broker.subscriber("coffee.ordered", group_id="loyalty", auto_offset_reset="earliest")
async def count(order: CoffeeOrdered) -> None:
    (cups,) = database.execute(
        "INSERT INTO coffees VALUES (?, 1) ON CONFLICT DO UPDATE SET cups = cups + 1 RETURNING cups", [order.guest]
    ).fetchone()
    if cups % 10 == 0:
        await free.publish(FreeCoffeeEarned(guest=order.guest), key=order.guest.encode())
