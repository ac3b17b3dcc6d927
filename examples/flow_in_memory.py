"""Several services together, without a broker: the bar serves, a stamp follows, the tenth one earns a free coffee.

`python examples/flow_in_memory.py`. The loyalty desk crashes on the way, and nothing is stamped twice.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from ensemble import Catalogue, CommandBus, Service, reacts_to
from ensemble.testing import FlowTestDriver

bar: Any = import_module("examples.01_event")
loyalty: Any = import_module("examples.02_command_with_state")
CoffeeServed, StampCard = bar.CoffeeServed, loyalty.StampCard


@dataclass(frozen=True)
class Stamper:
    """Reacts to a served coffee with a command: one card for each cup."""

    commands: CommandBus[StampCard]  # type: ignore[valid-type]  # a class of a module whose name begins with a digit

    @reacts_to(CoffeeServed)
    def on_coffee_served(self, event: Any) -> None:
        self.commands.send(StampCard(card=event.cup))


CATALOGUE = Catalogue((*bar.CATALOGUE.topics, loyalty.COMMANDS))
SERVICES = (bar.SERVICE, loyalty.SERVICE, Service("stamper", CATALOGUE, roles=[Stamper]))

if __name__ == "__main__":
    flow = FlowTestDriver(SERVICES)
    flow.crash("loyalty", at="after-flush")
    flow.publish(*(bar.CoffeeOrdered(cup="ada", drink="espresso") for _ in range(12)))
    flow.run()
    print(*flow.deaths, *flow.messages(loyalty.FreeCoffeeEarned), flow.state(loyalty.Card, "ada"), sep="\n")
