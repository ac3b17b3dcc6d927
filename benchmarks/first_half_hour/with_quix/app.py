from typing import Any

from quixstreams import Application, State

# -- reaction
app = Application(
    broker_address="localhost:9092",
    consumer_group="barista",
    auto_offset_reset="earliest",
    processing_guarantee="exactly-once",
)


def serve(order: dict[str, Any]) -> dict[str, Any]:
    return {"guest": order["guest"], "drink": order["drink"]}


def define_reaction() -> None:
    ordered = app.topic("coffee.ordered", key_deserializer="str")
    served = app.topic("coffee.served", key_serializer="str")
    orders = app.dataframe(ordered)
    orders.apply(serve).to_topic(served)
    # -- state
    free = app.topic("coffee.free", key_serializer="str")
    counts = orders.apply(count, stateful=True)
    tenth = counts[counts.apply(lambda cups: cups % 10 == 0)]
    tenth.apply(lambda _, key, *_rest: {"guest": key}, metadata=True).to_topic(free)


def count(_: dict[str, Any], state: State) -> int:
    cups = state.get("cups", 0) + 1
    state.set("cups", cups)
    return cups


# -- run
if __name__ == "__main__":
    define_reaction()
    app.run()
