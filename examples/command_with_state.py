"""A command with state: the loyalty desk stamps a card, and the tenth stamp earns a free coffee.

The new state and the event reach Kafka in one transaction with the command's offset, or not at all.
"""

from dataclasses import dataclass
from pathlib import Path

from ensemble import (
    Catalogue,
    Command,
    Event,
    EventBus,
    SchemaSet,
    Service,
    State,
    StateStore,
    Topic,
    handles,
    state_store,
)
from ensemble.messages import Int32
from ensemble.testing import ServiceTestDriver

SCHEMAS = SchemaSet(Path(__file__).parent / "schemas", "cafe")
STAMPS_FOR_A_COFFEE = 10


class StampCard(Command, schemas=SCHEMAS):
    card: str


class FreeCoffeeEarned(Event, schemas=SCHEMAS):
    card: str
    cards_filled: Int32


class Card(State, schemas=SCHEMAS):
    card: str
    stamps: Int32 = 0
    filled: Int32 = 0


@dataclass(frozen=True)
class LoyaltyDesk:
    cards: StateStore[Card]
    events: EventBus[FreeCoffeeEarned]

    @handles(StampCard)
    def stamp(self, command: StampCard) -> None:
        card = self.cards.get(command.card) or Card(card=command.card)
        filled, stamps = divmod(card.stamps + 1, STAMPS_FOR_A_COFFEE)
        self.cards.set(command.card, Card(card=command.card, stamps=stamps, filled=card.filled + filled))
        if filled:
            self.events.emit(FreeCoffeeEarned(card=command.card, cards_filled=card.filled + filled))


COMMANDS = Topic("cafe-loyalty.commands", "loyalty", key="card", messages=(StampCard,), from_outside=(StampCard,))
EVENTS = Topic(
    "cafe-loyalty.events", "loyalty", "card", (FreeCoffeeEarned,), to_outside={FreeCoffeeEarned: "the guest"}
)
CATALOGUE = Catalogue((COMMANDS, EVENTS))
SERVICE = Service("loyalty", CATALOGUE, roles=[LoyaltyDesk], stores=[state_store(Card)])
INPUTS = (StampCard(card="ada"),) * 12

if __name__ == "__main__":
    driver = ServiceTestDriver(SERVICE)
    driver.receive(*INPUTS)
    driver.restart()  # forget everything; the changelog brings it back
    print(*map(repr, driver.emitted), repr(driver.state(Card, "ada")), sep="\n")
