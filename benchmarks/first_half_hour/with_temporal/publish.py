import asyncio

from app import CoffeeOrdered, Guest
from temporalio.client import Client


async def main() -> None:
    client = await Client.connect("localhost:7233")
    await client.start_workflow(
        Guest.run,
        id="guest-ada",
        task_queue="coffee",
        start_signal="order",
        start_signal_args=[CoffeeOrdered("ada", "espresso")],
    )


asyncio.run(main())
