from dataclasses import dataclass
from pathlib import Path

from ensemble import (
    OUTSIDE,
    Application,
    Catalogue,
    Event,
    EventBus,
    SchemaSet,
    Service,
    State,
    StateStore,
    Topic,
    reacts_to,
    state_store,
)
from ensemble.messages import Int32

# -- reaction
SCHEMAS = SchemaSet(Path(__file__).parent / "schemas", "coffee")


class CoffeeOrdered(Event, schemas=SCHEMAS):
    guest: str
    drink: str


class CoffeeServed(Event, schemas=SCHEMAS):
    guest: str
    drink: str


@dataclass(frozen=True)
class Barista:
    events: EventBus[CoffeeServed]

    @reacts_to(CoffeeOrdered)
    def serve(self, order: CoffeeOrdered) -> None:
        self.events.emit(CoffeeServed(guest=order.guest, drink=order.drink))


# -- state
class FreeCoffeeEarned(Event, schemas=SCHEMAS):
    guest: str


class Coffees(State, schemas=SCHEMAS):
    cups: Int32 = 0


@dataclass(frozen=True)
class Loyalty:
    coffees: StateStore[Coffees]
    events: EventBus[FreeCoffeeEarned]

    @reacts_to(CoffeeOrdered)
    def count(self, order: CoffeeOrdered) -> None:
        cups = self.coffees.get(order.guest, Coffees()).cups + 1
        self.coffees.set(order.guest, Coffees(cups=cups))
        if cups % 10 == 0:
            self.events.emit(FreeCoffeeEarned(guest=order.guest))


# -- run
ORDERS = Topic("coffee.orders", OUTSIDE, key="guest", messages=(CoffeeOrdered,))
EVENTS = (CoffeeServed, FreeCoffeeEarned)
COFFEE = Topic("coffee.events", "coffee", "guest", EVENTS, to_outside=dict.fromkeys(EVENTS, "for the guest"))
CATALOGUE = Catalogue((ORDERS, COFFEE))
SERVICE = Service("coffee", CATALOGUE, roles=[Barista, Loyalty], stores=[state_store(Coffees)])
APP = Application.of(SERVICE)
