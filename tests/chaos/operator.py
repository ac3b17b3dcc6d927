"""Somebody at the controls: pauses, resumes, redrives and discards, through the very messages of those who may."""

from __future__ import annotations

import random
import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from contracts import CompensateOrder, PauseOrder, ResumeOrder
from ensemble.codec import encoder_for
from ensemble.operations import DiscardRecord, Operation, PauseWork, RedriveRecord, ResumeWork
from ensemble.pauses import Scope
from ensemble.runtime_state import RecordHeader
from tests.chaos.held import REDRIVEN_FROM, Head, Held, Place
from tests.end_to_end.system import System

CONDUCTOR: Final = "orchestrator"
OWNERS: Final[Mapping[str, str]] = {
    "ProcessPayment": "payment",
    "AttemptCharge": "payment",
    "FulfilOrder": "inventory",
    "ReleaseStock": "inventory",
    "CancelShipment": "shipping",
}
"""Commands that are paused now and then, and who has to know besides the conductor."""
STEPS: Final = ("payment", "reservation", "shipment")
WHY: Final = {"requested_by": "chaos", "reason": "to see what happens"}


def now() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class WorkPause:
    """A wider pause: when its end was asked for, epoch milliseconds; None: not yet."""

    scope: Scope
    name: str
    operation_id: str
    resumed_at: int | None = None

    @property
    def services(self) -> tuple[str, ...]:
        """Who has to know."""
        owner = {"step": CONDUCTOR, "command": OWNERS.get(self.name, ""), "service": self.name}[self.scope]
        return tuple(dict.fromkeys((owner, CONDUCTOR)))


@dataclass
class Operator:
    """Acts by chance; all that it did can be asked for."""

    system: System
    held: Held
    dice: random.Random
    did: Counter[str] = field(default_factory=Counter)
    pauses: list[WorkPause] = field(default_factory=list)
    resumed_orders: dict[str, list[int]] = field(default_factory=dict)
    """For each order, when a resume was asked for."""

    # -- work -----------------------------------------------------------------------------------------------------

    def pause_work(self, scope: Scope, name: str) -> WorkPause:
        """In every partition of all who have to know."""
        pause = WorkPause(scope, name, secrets.token_hex(8))
        self.pauses.append(pause)
        self._tell_all(pause, PauseWork(scope=scope, name=name, operation_id=pause.operation_id, at=now(), **WHY))
        self.did[f"{scope} paused"] += 1
        return pause

    def resume_work(self, pause: WorkPause) -> None:
        """And the orders that were paused because of it go on."""
        pause.resumed_at = pause.resumed_at or now()
        resume = ResumeWork(scope=pause.scope, name=pause.name, operation_id=secrets.token_hex(8), at=now(), **WHY)
        self._tell_all(pause, resume)

    def _tell_all(self, pause: WorkPause, command: Operation) -> None:
        for service in pause.services:
            for partition in range(self.system.access.topics().get(f"{service}.control", 0)):
                self._tell(service, partition, b"chaos", command)
        self.system.flush()

    def _tell(self, service: str, partition: int, key: bytes, command: Operation) -> None:
        value = encoder_for(type(command))(command)
        self.system.outsider.produce(f"{service}.control", value, key, partition)
        self.system.outsider.poll(0)

    # -- orders ---------------------------------------------------------------------------------------------------

    def pause_order(self, order_id: str) -> None:
        self.system.publish_soon(PauseOrder(order_id=order_id, **WHY))
        self.did["order paused"] += 1

    def resume_order(self, order_id: str) -> None:
        self.resumed_orders.setdefault(order_id, []).append(now())
        self.system.publish_soon(ResumeOrder(order_id=order_id, **WHY))

    def resume_paused(self, orders: list[str]) -> int:
        """All of these that their state says are paused; returns how many."""
        paused = [order_id for order_id in orders if self.is_paused(order_id)]
        for order_id in paused:
            self.resume_order(order_id)
        self.system.flush()
        return len(paused)

    def is_paused(self, order_id: str) -> bool:
        state = self.system.watcher.state(order_id)
        return state is not None and state.fields["paused_since"] is not None

    def turn_back(self, order_id: str) -> None:
        self.system.publish_soon(CompensateOrder(order_id=order_id, **WHY))
        self.did["order turned back"] += 1

    # -- parked keys ----------------------------------------------------------------------------------------------

    def tend(self) -> None:
        """Look at what was given up: redrive most of it, sometimes twice, discard some, leave the rest."""
        self.held.look()
        for head in self.held.heads():
            chance = self.dice.random()
            if head.entry["status"] == "dead_lettered" and chance < 0.8:
                (self.discard if chance < 0.1 else self.redrive)(head)
        self.system.flush()

    def redrive(self, head: Head) -> None:
        """Asked for once or twice, which has to be the same; not before its dead letter is seen."""
        letter = self._letter(head)
        if not letter:
            return
        again = RedriveRecord(
            **self._named(head),
            key=head.record["key"],
            value=head.record["value"],
            headers=tuple(RecordHeader(**header) for header in head.record["headers"]),
            redriven_from=letter,
        )
        for _ in range(self.dice.choice((1, 1, 2))):
            self._tell(head.service, head.record["partition"], head.key.encode(), again)
        self.did["redriven"] += 1

    def discard(self, head: Head) -> None:
        command = DiscardRecord(**self._named(head), key=head.record["key"])
        self._tell(head.service, head.record["partition"], head.key.encode(), command)
        self.did["discarded"] += 1

    def _named(self, head: Head) -> dict[str, Any]:
        place = head.place._asdict()
        return {"parking_key": head.key, "operation_id": secrets.token_hex(8), "at": now(), **place, **WHY}

    def _letter(self, head: Head) -> str:
        letter = self.held.letters.get((head.service, head.place._replace(generation=min(head.place.generation, 1))))
        return f"{letter.topic}/{letter.partition}/{letter.offset}" if letter else ""

    def redrive_unreadable(self) -> None:
        """Bytes that nobody can read come again, and are put aside again."""
        fresh = [(service, place) for service, place in self.held.letters if not place.generation]
        unread = [found for found in fresh if b"Undecodable" in self._error(found)]
        if unread:
            self._redrive_letter(*self.dice.choice(unread))

    def _error(self, found: tuple[str, Place]) -> bytes:
        return self.held.letters[found].headers["__streams.errors.exception"]

    def _redrive_letter(self, service: str, place: Place) -> None:
        letter = self.held.letters[service, place]
        headers = tuple(RecordHeader(name=name, value=value) for name, value in original(letter.headers).items())
        again = RedriveRecord(
            **{"parking_key": "", "operation_id": secrets.token_hex(8), "at": now(), **place._asdict(), **WHY},
            key=letter.key,
            value=letter.value,
            headers=headers,
            redriven_from=f"{letter.topic}/{letter.partition}/{letter.offset}",
        )
        self._tell(service, letter.partition, letter.key or b"", again)
        self.system.flush()
        self.did["unreadable redriven"] += 1


def original(headers: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """Those that the record had before it was given up."""
    added = ("__streams.errors.", "ensemble.")
    return {name: value for name, value in headers.items() if not name.startswith(added) or name == REDRIVEN_FROM}
