"""The service as it was first released."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ensemble
from ensemble import EventBus, Service, StateStore, reacts_to, state_store
from ensemble.messages import Int64
from ensemble.messages.schema_set import SchemaSet
from tests.support.two_releases.topics import catalogue_of

SCHEMAS = SchemaSet(Path(__file__).parent / "schemas" / "v1", "till")


class Sold(ensemble.Event, schemas=SCHEMAS):
    till: str
    item: str


class Counted(ensemble.Event, schemas=SCHEMAS):
    till: str
    items: Int64


class Till(ensemble.State, schemas=SCHEMAS):
    till: str
    items: Int64


@dataclass(frozen=True)
class Counter:
    """Counts what each till sells."""

    tills: StateStore[Till]
    events: EventBus[Counted]

    @reacts_to(Sold)
    def count(self, event: Sold) -> None:
        before = self.tills.get(event.till)
        after = Till(till=event.till, items=(before.items if before else 0) + 1)
        self.tills.set(event.till, after)
        self.events.emit(Counted(till=event.till, items=after.items))


def service(name: str) -> Service:
    return Service(name, catalogue_of(name, Sold, Counted), roles=[Counter], stores=[state_store(Till)])
