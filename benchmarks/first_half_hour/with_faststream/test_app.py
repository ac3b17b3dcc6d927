import asyncio

from app import CoffeeOrdered, broker, database, free, served
from faststream.kafka import TestKafkaBroker


async def order(cups: int) -> None:
    database.execute("DELETE FROM coffees")
    async with TestKafkaBroker(broker):
        for _ in range(cups):
            await broker.publish(CoffeeOrdered(guest="ada", drink="espresso"), "coffee.ordered")
        assert served.mock.call_count == cups
        assert free.mock.call_count == cups // 10


def test_the_tenth_coffee_is_free() -> None:
    asyncio.run(order(cups=10))
