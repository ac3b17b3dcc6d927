"""An event-sourced aggregate: what a hopper holds is the fold of its ledger, and nothing else is the truth."""

from __future__ import annotations

from dataclasses import dataclass

from ensemble import Catalogue, EventBus, EventSourced, Service, Topic, event_sourced, handles
from ensemble.messages import Int32
from ensemble.testing import ServiceTestDriver
from examples.cafe import AddBeans, BeansAdded, BeansGround, GrindBeans, HopperTooLow, State


class Hopper(State):
    """Pure: events in, grams out. The runtime folds the ledger, numbers its events, and keeps snapshots."""

    grams: Int32 = 0

    def apply(self, event: BeansAdded | BeansGround) -> Hopper:
        change = event.grams if isinstance(event, BeansAdded) else -event.grams
        return Hopper(grams=self.grams + change)


@dataclass(frozen=True)
class Grinder:
    hoppers: EventSourced[Hopper]
    events: EventBus[HopperTooLow]

    @handles(AddBeans)
    def add(self, command: AddBeans) -> None:
        self.hoppers.append(BeansAdded(hopper=command.hopper, grams=command.grams))

    @handles(GrindBeans)
    def grind(self, command: GrindBeans) -> None:
        missing = command.grams - self.hoppers.get(command.hopper).grams
        if missing > 0:
            self.events.emit(HopperTooLow(hopper=command.hopper, missing=missing))
        else:
            self.hoppers.append(BeansGround(hopper=command.hopper, grams=command.grams))


ORDERS = (AddBeans, GrindBeans)
COMMANDS = Topic("cafe-grinder.commands", "grinder", "hopper", ORDERS, from_outside=ORDERS)
EVENTS = Topic(
    "cafe-grinder.events", "grinder", "hopper", (HopperTooLow,), to_outside={HopperTooLow: "for the barista"}
)
LEDGER = Topic("cafe-grinder.ledger", "grinder", "hopper", (BeansAdded, BeansGround), retention=None)
CATALOGUE = Catalogue((COMMANDS, EVENTS, LEDGER))
SERVICE = Service("grinder", CATALOGUE, roles=[Grinder], stores=[event_sourced(Hopper, LEDGER)])
INPUTS = (AddBeans(hopper="dark", grams=40), *(GrindBeans(hopper="dark", grams=18),) * 3)

if __name__ == "__main__":
    driver = ServiceTestDriver(SERVICE)
    driver.receive(*INPUTS)
    driver.restart()  # forget everything; the ledger brings it back
    print(*map(repr, driver.emitted), f"left: {driver.aggregate(Hopper, 'dark').grams} g", sep="\n")
