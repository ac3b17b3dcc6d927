from dataclasses import dataclass

from ensemble import OUTSIDE, Catalogue, Event, EventBus, Service, State, StateStore, Topic, reacts_to, state_store
from ensemble.messages import Int32


# -- reaction
class CoffeeOrdered(Event):
    guest: str
    drink: str


class CoffeeServed(Event):
    guest: str
    drink: str


# -- state
class FreeCoffeeEarned(Event):
    guest: str


class Coffees(State):
    cups: Int32 = 0


# -- reaction
@dataclass(frozen=True)
class Barista:
    events: EventBus[CoffeeServed | FreeCoffeeEarned]
    # -- state
    coffees: StateStore[Coffees]

    # -- reaction
    @reacts_to(CoffeeOrdered)
    def serve(self, order: CoffeeOrdered) -> None:
        self.events.emit(CoffeeServed(guest=order.guest, drink=order.drink))

    # -- state
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
SERVICE = Service("coffee", Catalogue((ORDERS, COFFEE)), roles=[Barista], stores=[state_store(Coffees)])
