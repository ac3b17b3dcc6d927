"""An event and a reaction: somebody orders a coffee, and whoever cares makes it. Nobody was told to.

`python examples/event.py` runs it in memory; `python examples/on_kafka.py event` on a real Kafka.
"""

from dataclasses import dataclass

from ensemble import OUTSIDE, Catalogue, Event, EventBus, Service, Topic, reacts_to
from ensemble.testing import ServiceTestDriver


class CoffeeOrdered(Event):
    cup: str
    drink: str


class CoffeeServed(Event):
    cup: str
    drink: str


@dataclass(frozen=True)
class Barista:
    """The typed bus is the declaration: a barista serves, and can put out nothing else."""

    events: EventBus[CoffeeServed]

    @reacts_to(CoffeeOrdered)
    def on_coffee_ordered(self, event: CoffeeOrdered) -> None:
        self.events.emit(CoffeeServed(cup=event.cup, drink=event.drink))


CATALOGUE = Catalogue(
    topics=(
        Topic("cafe-counter.events", OUTSIDE, key="cup", messages=(CoffeeOrdered,)),
        Topic(
            "cafe-bar.events",
            "barista",
            key="cup",
            messages=(CoffeeServed,),
            to_outside={CoffeeServed: "for the guest"},
        ),
    ),
)
SERVICE = Service("barista", CATALOGUE, roles=[Barista])
INPUTS = (CoffeeOrdered(cup="cup-1", drink="espresso"), CoffeeOrdered(cup="cup-2", drink="flat white"))


if __name__ == "__main__":
    driver = ServiceTestDriver(SERVICE)
    driver.receive(*INPUTS)
    for served in driver.emitted:
        print(repr(served))
