import faust

# -- reaction
app = faust.App("barista", broker="kafka://localhost:9092", topic_partitions=4, processing_guarantee="exactly_once")


class CoffeeOrdered(faust.Record):
    guest: str
    drink: str


class CoffeeServed(faust.Record):
    guest: str
    drink: str


ordered = app.topic("coffee.ordered", key_type=str, value_type=CoffeeOrdered)
served = app.topic("coffee.served", key_type=str, value_type=CoffeeServed)


@app.agent(ordered)
async def serve(orders: faust.Stream[CoffeeOrdered]) -> None:
    async for order in orders:
        await served.send(key=order.guest, value=CoffeeServed(guest=order.guest, drink=order.drink))


# -- state
class FreeCoffeeEarned(faust.Record):
    guest: str


free = app.topic("coffee.free", key_type=str, value_type=FreeCoffeeEarned)
coffees = app.Table("coffees", default=int)


@app.agent(ordered)
async def count(orders: faust.Stream[CoffeeOrdered]) -> None:
    async for order in orders:
        coffees[order.guest] += 1
        if coffees[order.guest] % 10 == 0:
            await free.send(key=order.guest, value=FreeCoffeeEarned(guest=order.guest))
