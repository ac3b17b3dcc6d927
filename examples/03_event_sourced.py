"""An event-sourced aggregate: what a hopper holds is the fold of its ledger, and nothing else is the truth."""

from collections.abc import Mapping
from dataclasses import dataclass

from ensemble import Catalogue, EventBus, EventSourced, Service, Topic, event_sourced, handles
from ensemble.testing import ServiceTestDriver
from examples.cafe import AddBeans, BeansAdded, BeansGround, GrindBeans, HopperLevel, HopperTooLow


@dataclass(frozen=True)
class Hopper:
    """Pure: facts in, levels out. The runtime makes one for each read, from a snapshot and the facts after it."""

    key: str
    sequence: int
    levels: Mapping[str, HopperLevel]

    @property
    def grams(self) -> int:
        return self.levels["now"].grams if "now" in self.levels else 0

    def evolve(self, fact: BeansAdded | BeansGround) -> dict[tuple[str, str], HopperLevel]:
        change = fact.grams if isinstance(fact, BeansAdded) else -fact.grams
        return {("levels", "now"): HopperLevel(hopper=self.key, grams=self.grams + change)}


@dataclass(frozen=True)
class Grinder:
    hoppers: EventSourced[Hopper]
    events: EventBus[HopperTooLow]

    @handles(AddBeans)
    def add(self, command: AddBeans) -> None:
        sequence = self.hoppers.get(command.hopper).sequence + 1
        self.hoppers.append(command.hopper, [BeansAdded(hopper=command.hopper, sequence=sequence, grams=command.grams)])

    @handles(GrindBeans)
    def grind(self, command: GrindBeans) -> None:
        hopper = self.hoppers.get(command.hopper)
        if hopper.grams < command.grams:
            self.events.emit(HopperTooLow(hopper=command.hopper, missing=command.grams - hopper.grams))
        else:
            fact = BeansGround(hopper=command.hopper, sequence=hopper.sequence + 1, grams=command.grams)
            self.hoppers.append(command.hopper, [fact])


COMMANDS = Topic("cafe-grinder.commands", "grinder", key="hopper", messages=(AddBeans, GrindBeans), external=True)
EVENTS = Topic("cafe-grinder.events", "grinder", key="hopper", messages=(HopperTooLow,))
LEDGER = Topic("cafe-grinder.ledger", "grinder", "hopper", (BeansAdded, BeansGround), retention=None)
CATALOGUE = Catalogue((COMMANDS, EVENTS, LEDGER), frozenset(COMMANDS.messages), {HopperTooLow: "for the barista"})
HOPPERS = event_sourced(Hopper, LEDGER, entries={"levels": HopperLevel})
SERVICE = Service("grinder", CATALOGUE, roles=[Grinder], stores=[HOPPERS])
INPUTS = (AddBeans(hopper="dark", grams=40), *(GrindBeans(hopper="dark", grams=18),) * 3)

if __name__ == "__main__":
    driver = ServiceTestDriver(SERVICE)
    driver.receive(*INPUTS)
    driver.restart()  # forget everything; the ledger brings it back
    print(*map(repr, driver.emitted), f"left: {driver.aggregate(Hopper, 'dark').grams} g", sep="\n")
