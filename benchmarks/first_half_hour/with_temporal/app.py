import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker


# -- reaction
@dataclass
class CoffeeOrdered:
    guest: str
    drink: str


@activity.defn
async def serve(order: CoffeeOrdered) -> str:
    return f"{order.drink} for {order.guest}"


# -- state
@workflow.defn
class Guest:
    def __init__(self) -> None:
        self.orders: list[CoffeeOrdered] = []
        self.cups = 0
        self.free_cups = 0

    @workflow.run
    async def run(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self.orders))
            order = self.orders.pop(0)
            await workflow.execute_activity(serve, order, start_to_close_timeout=timedelta(seconds=10))
            self.cups += 1
            self.free_cups += self.cups % 10 == 0

    @workflow.signal
    def order(self, order: CoffeeOrdered) -> None:
        self.orders.append(order)

    @workflow.query
    def counts(self) -> tuple[int, int]:
        return self.cups, self.free_cups


# -- run
async def main() -> None:
    client = await Client.connect("localhost:7233")
    await Worker(client, task_queue="coffee", workflows=[Guest], activities=[serve]).run()


if __name__ == "__main__":
    asyncio.run(main())
