"""A simulated operator: pauses, resumes, redrives and discards by the messages that operators send."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from contracts import CompensateOrder, PauseOrder, ResumeOrder
from ensemble.command_line.connection import session_on
from ensemble.kafka.errors import ClusterError
from ensemble.operations import CONTROL, Actor, Intent, Parked, WidePause, discard_of, record_of, redrive_of, wide_pause
from ensemble.state.unit_of_work import Output
from ensemble.system_messages.operations import PauseWork, RecordOperation, ResumeWork, Scope
from services.app import APP
from tests.chaos.parking_view import ParkingView
from tests.end_to_end.system import System

INTENT: Final = Intent(actor=Actor(name="chaos", via="cli"), reason="to see what happens")
REASON: Final = {"requested_by": INTENT.actor.name, "reason": INTENT.reason}
REDRIVEN: Final = 0.7
"""The share of what was given up that one round redrives."""
DISCARDED: Final = 0.1
_PATIENCE_S: Final = 60.0


def now() -> int:
    return time.time_ns() // 1_000_000


@dataclass
class WorkPause:
    """A wider pause: when it and its end were asked for, epoch milliseconds; None: not yet."""

    what: WidePause
    operation_id: str
    asked_at: int
    resumed_at: int | None = None


@dataclass
class Operator:
    """An operator who acts at random and counts all actions in `did`."""

    system: System
    parking: ParkingView
    dice: random.Random
    did: Counter[str] = field(default_factory=Counter)
    pauses: list[WorkPause] = field(default_factory=list)

    # -- work -----------------------------------------------------------------------------------------------------

    def pause_work(self, scope: Scope, name: str) -> WorkPause:
        """Pause work in every partition of the services that it concerns."""
        what, command = wide_pause(APP, scope, name), PauseWork(scope=scope, name=name, **INTENT.operation())
        self.pauses.append(pause := WorkPause(what, command.operation_id, now()))
        self._send_to_all(what, command)
        self.did[f"{scope} paused"] += 1
        return pause

    def resume_work(self, pause: WorkPause) -> None:
        pause.resumed_at = pause.resumed_at or now()
        self._send_to_all(pause.what, ResumeWork(scope=pause.what.scope, name=pause.what.name, **INTENT.operation()))

    def _send_to_all(self, what: WidePause, command: PauseWork | ResumeWork) -> None:
        """Write the command in one transaction, again when the broker is away: twice is the same as once."""
        limit, write = time.monotonic() + _PATIENCE_S, partial(self._write_together, what, command)
        while (refusal := write()) and time.monotonic() < limit:
            self.did["commands written again"] += 1
        assert not refusal, refusal

    def _write_together(self, what: WidePause, command: PauseWork | ResumeWork) -> str:
        try:
            session = session_on(self.system.access)
            places = self.system.access.places([service + CONTROL for service in what.services])
            self.system.access.write_together(
                [
                    record_of(session, (topic.removesuffix(CONTROL), number), command, b"chaos", via="cli")
                    for topic, number in places
                ]
            )
        except ClusterError as error:
            return str(error)
        return ""

    # -- orders ---------------------------------------------------------------------------------------------------

    def pause_order(self, order_id: str) -> None:
        self.system.publish_soon(PauseOrder(order_id=order_id, **REASON))
        self.did["order paused"] += 1

    def resume_order(self, order_id: str) -> None:
        self.system.publish_soon(ResumeOrder(order_id=order_id, **REASON))

    def resume_paused(self, orders: Iterable[str]) -> None:
        """Resume those of the orders that their state says are paused."""
        for order_id in orders:
            state = self.system.watcher.state(order_id)
            if state is not None and state.fields["paused_since"] is not None:
                self.resume_order(order_id)
        self.system.flush()

    def turn_back(self, order_id: str) -> None:
        self.system.publish_soon(CompensateOrder(order_id=order_id, **REASON))
        self.did["order turned back"] += 1

    # -- parked keys ----------------------------------------------------------------------------------------------

    def tend(self) -> None:
        """Look at what was given up: redrive most of it, sometimes twice, discard some, leave the rest."""
        self.parking.read_on()
        for parked in self.parking.parked():
            chance = self.dice.random()
            if parked.entry.status == "dead_lettered" and chance < DISCARDED + REDRIVEN:
                (self.discard if chance < DISCARDED else self.redrive)(parked)
        self.system.flush()

    def redrive(self, parked: Parked) -> None:
        """Redrive once or twice, which has to be the same, as soon as the dead letter is seen."""
        if (letter := self.parking.dead_letter_of(parked)) is not None:
            command = self._record_of((parked.service, parked.partition), redrive_of(letter, INTENT), parked.key)
            for _ in range(self.dice.choice((1, 1, 2))):
                self._send(command)
            self.did["redriven"] += 1

    def discard(self, parked: Parked) -> None:
        if (letter := self.parking.dead_letter_of(parked)) is not None:
            self._send(self._record_of((parked.service, parked.partition), discard_of(letter, INTENT), parked.key))
            self.did["discarded"] += 1

    def redrive_unreadable(self) -> None:
        """Redrive an unreadable record, which becomes a dead letter again."""
        if unreadable := self.parking.unreadable():
            letter = self.dice.choice(unreadable)
            key = letter.entry.record.key or b""
            self._send(self._record_of((letter.service, letter.partition), redrive_of(letter, INTENT), key))
            self.system.flush()
            self.did["unreadable redriven"] += 1

    def _record_of(self, place: tuple[str, int], operation: RecordOperation, key: bytes) -> Output:
        return record_of(session_on(self.system.access), place, operation, key, via="cli")

    def _send(self, record: Output) -> None:
        topic, value, key, headers, partition = record
        self.system.outsider.produce(topic, value, key, partition, headers=headers)
        self.system.outsider.poll(0)
