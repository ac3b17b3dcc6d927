"""The batch in progress of one partition: its time, its outputs, its counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b

from ensemble.clock import rfc3339
from ensemble.messages.message import Event
from ensemble.state.unit_of_work import Output, OutputRoute


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

    def clear(self) -> None:
        """Begin at zero again."""
        vars(self).update(dict.fromkeys(vars(self), 0))


class Batch:
    """Outputs so far, and the time that all of them carry."""

    def __init__(self, operation_routes: Mapping[type, OutputRoute]) -> None:
        self._operation_routes = operation_routes
        self.outputs: list[Output] = []
        self.counts = Counts()
        """What the batch did so far; the same object for all batches."""
        self.now, self.time = 0, ""

    def begin(self, now: int) -> None:
        """Start at `now`, epoch milliseconds."""
        self.now, self.time = now, rfc3339(now)

    def emit_operation_event(self, event: Event) -> None:
        """Put out an event of the runtime's own, for operators."""
        route = self._operation_routes[type(event)]
        headers = [*route.headers, ("ce_id", _id_of(event)), ("ce_time", self.time)]
        self.outputs.append((route.topic, route.encode(event), route.key_of(event).encode(), headers, -1))

    def end(self) -> None:
        """Forget outputs and counts."""
        self.outputs.clear()
        self.counts.clear()


def _id_of(event: Event) -> str:
    return blake2b(f"{type(event).__name__}{event.model_dump_json()}".encode(), digest_size=16).hexdigest()
