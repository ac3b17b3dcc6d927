"""Several services together, without a broker: the bar serves, a stamp follows, the tenth one earns a free coffee.

`python examples/flow_in_memory.py`. The loyalty desk crashes on the way, and nothing is stamped twice.
"""

from dataclasses import dataclass

from ensemble import Catalogue, CommandBus, Service, reacts_to
from ensemble.testing import FlowTestDriver
from examples import command_with_state as loyalty
from examples import event as bar
from examples.command_with_state import Card, FreeCoffeeEarned, StampCard
from examples.event import CoffeeOrdered, CoffeeServed


@dataclass(frozen=True)
class Stamper:
    """Reacts to a served coffee with a command: a cup is a guest's own, and the guest's card has its name."""

    commands: CommandBus[StampCard]

    @reacts_to(CoffeeServed)
    def on_coffee_served(self, event: CoffeeServed) -> None:
        self.commands.send(StampCard(card=event.cup))


CATALOGUE = Catalogue((*bar.CATALOGUE.topics, loyalty.COMMANDS))
SERVICES = (bar.SERVICE, loyalty.SERVICE, Service("stamper", CATALOGUE, roles=[Stamper]))

if __name__ == "__main__":
    flow = FlowTestDriver(SERVICES)
    flow.crash("loyalty", at="after-flush")
    flow.publish(*(CoffeeOrdered(cup="ada", drink="espresso") for _ in range(12)))
    flow.run()
    for service, point in flow.deaths:
        print(f"{service} died {point} and went on")
    print(*map(repr, flow.messages(FreeCoffeeEarned)), repr(flow.state(Card, "ada")), sep="\n")
