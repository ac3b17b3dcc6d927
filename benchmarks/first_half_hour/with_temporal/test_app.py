import asyncio

from app import CoffeeOrdered, Guest, serve
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker


async def order(cups: int) -> None:
    async with (
        await WorkflowEnvironment.start_time_skipping() as env,
        Worker(env.client, task_queue="coffee", workflows=[Guest], activities=[serve]),
    ):
        guest = await env.client.start_workflow(Guest.run, id="guest-ada", task_queue="coffee")
        for _ in range(cups):
            await guest.signal(Guest.order, CoffeeOrdered("ada", "espresso"))
        while (await guest.query(Guest.counts))[0] < cups:
            await asyncio.sleep(0.05)
        assert await guest.query(Guest.counts) == (cups, cups // 10)
        await guest.terminate()


def test_the_tenth_coffee_is_free() -> None:
    asyncio.run(order(cups=10))
