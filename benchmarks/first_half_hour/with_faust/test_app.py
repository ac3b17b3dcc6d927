import asyncio
from unittest.mock import AsyncMock, patch

from app import CoffeeOrdered, app, count, free, serve, served

ORDER = CoffeeOrdered(guest="ada", drink="espresso")


async def order(cups: int) -> None:
    app.conf.store = "memory://"
    with patch.object(served, "send", AsyncMock()) as send_served, patch.object(free, "send", AsyncMock()) as send_free:
        async with serve.test_context() as serving, count.test_context() as counting:
            for _ in range(cups):
                await serving.put(ORDER)
                await counting.put(ORDER)
        assert send_served.await_count == cups
        assert send_free.await_count == cups // 10


def test_the_tenth_coffee_is_free() -> None:
    asyncio.run(order(cups=10))
