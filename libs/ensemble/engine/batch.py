"""The batch in progress of one partition: what all that add to it share."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from ensemble.clock import rfc3339
from ensemble.engine.compiled import CompiledService
from ensemble.engine.failures.circuit_breaker import CircuitBreakers
from ensemble.messages.message import Event
from ensemble.state.unit_of_work import Output


@dataclass
class Counts:
    """What a batch did, for metrics: added up once a batch, never per message."""

    handled: int = 0
    skipped: int = 0
    duplicates: int = 0
    failures: int = 0
    parked: int = 0
    dead_lettered: int = 0
    timers: int = 0


class Batch:
    """Outputs and state changes so far, and the time that all of them carry."""

    def __init__(self, plan: CompiledService, partition: int, breakers: CircuitBreakers) -> None:
        self.plan, self.partition, self.breakers = plan, partition, breakers
        self.stores = plan.open_stores()
        self.outputs: list[Output] = []
        self.counts = Counts()
        self.now, self.time = 0, ""

    def begin(self, now: int) -> None:
        """Start at `now`, epoch milliseconds."""
        self.now, self.time = now, rfc3339(now)

    def tell(self, event: Event) -> None:
        """Put out an event of the runtime's own, for operators."""
        route = self.plan.operation_routes[type(event)]
        headers = [*route.headers, ("ce_id", _id_of(event)), ("ce_time", self.time)]
        self.outputs.append((route.topic, route.encode(event), route.key_of(event).encode(), headers, -1))

    def end(self) -> None:
        """Nothing is left of it."""
        self.outputs.clear()
        self.counts = Counts()


def _id_of(event: Event) -> str:
    return blake2b(f"{type(event).__name__}{event.model_dump_json()}".encode(), digest_size=16).hexdigest()
