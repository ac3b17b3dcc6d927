"""The hop with one key that always fails until a file says that it is mended; every other key as in `our_hop`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.meter import run_of_arguments
from benchmarks.our_hop import metered
from benchmarks.workload import HopOrchestrator, OrderPlaced, OrderState, ProcessPayment, input_topic, output_topic
from ensemble import (
    Catalogue,
    CommandBus,
    CurrentRecord,
    RetryableError,
    Service,
    StateStore,
    decides,
    reacts_to,
    role,
    state_store,
)

POISONED: Final = "key-007"
MENDED: Final = "BENCH_MENDED"
"""The variable that names the file."""


@dataclass(frozen=True)
class Mended:
    """Whether what the poisoned key needs is there."""

    path: Path

    def __call__(self) -> bool:
        return self.path.exists()


@decides("every order is to be paid")
@dataclass(frozen=True)
class FragileOrchestrator:
    """As the hop's, but for one key."""

    orders: StateStore[OrderState]
    commands: CommandBus[ProcessPayment]
    record: CurrentRecord
    mended: Mended

    @reacts_to(OrderPlaced)
    def on_order_placed(self, event: OrderPlaced) -> None:
        if event.order_id == POISONED and not self.mended():
            raise RetryableError("this key is poison")
        HopOrchestrator(self.orders, self.commands, self.record).on_order_placed(event)


def poisoned_service(run: str, topic_in: str, mended: Path) -> Service:
    """Declare the hop as a service of this role."""
    catalogue = Catalogue(topics=(input_topic(topic_in), output_topic(run)))
    fragile = role(FragileOrchestrator, mended=Mended(mended))
    return Service(f"hop-{run}", catalogue, roles=[fragile], stores=[state_store(OrderState)])


if __name__ == "__main__":
    run = run_of_arguments()
    metered(poisoned_service(run.run, run.topic_in, Path(os.environ[MENDED])), run)[0].run()
