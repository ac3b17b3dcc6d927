"""The faults that are injected, and when: a random plan that follows from the seed."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from cli.fleet import SANDBOX
from ensemble.settings import CRASH_POINTS
from ensemble.system_messages.operations import Scope
from tests.chaos.operator import Operator, WorkPause
from tests.chaos.settings import ChaosSettings
from tests.end_to_end.system import System

FROZEN_S: Final = (8.0, 14.0)
"""Longer than a session: the group gives the partitions to others. Longer than a transaction: it is aborted."""
EXCUSED_S: Final = 45.0
"""Longer than any limit of a member that waits for its broker; what ends later has another reason."""
PAUSED_S: Final = (3.0, 10.0)
OUTAGE_S: Final = (3.0, 8.0)
STEPS: Final = ("payment", "reservation", "shipment")
COMMANDS: Final = (
    "ProcessPayment",
    "AttemptCharge",
    "FulfilOrder",
    "ReleaseStock",
    "ScheduleShipment",
    "CancelShipment",
)
PAUSABLE: Final = ("payment", "inventory", "shipping")
OUTAGES: Final = ("down", "error", "hang")
ORDERS_AT_ONCE: Final = 5
_ASK_S: Final = 5.0


class PlannedAction(NamedTuple):
    """An action so many seconds after the beginning."""

    at_s: float
    do: Callable[[], None]


@dataclass
class FaultInjector:
    """Plans faults, injects them, and remembers those that explain how a member ended."""

    system: System
    operator: Operator
    settings: ChaosSettings
    dice: random.Random
    frozen: set[str] = field(default_factory=set)
    """Members that stand still now."""
    excused_until: dict[str, float] = field(default_factory=dict)
    """Until when (monotonic) a member that stood still, or lost its broker, may end itself because of that."""
    crashing: dict[str, str] = field(default_factory=dict)
    """Members that will die at a point, and which."""

    def plan(self, order_ids: list[str]) -> Iterator[PlannedAction]:
        """Yield all actions, in no order."""
        settings = self.settings
        for _ in range(settings.kills):
            yield self._at(partial(self.kill, self._any_member()))
        for turn in range(settings.crashes):
            yield self._at(partial(self.crash, self._service(turn), CRASH_POINTS[turn % len(CRASH_POINTS)]))
        for turn in range(settings.freezes):
            yield from self._freeze(turn)
        for _ in range(settings.broker_kills):
            yield self._at(self.kill_broker)
        for turn in range(settings.outages):
            yield self._at(partial(self.outage, OUTAGES[turn % len(OUTAGES)], self.dice.uniform(*OUTAGE_S)))
        for turn in range(settings.pauses):
            yield from self._pause(turn, order_ids)
        yield from self._operator_rounds()

    # -- plans ----------------------------------------------------------------------------------------------------

    def _at(self, do: Callable[[], None]) -> PlannedAction:
        return PlannedAction(self.dice.uniform(0, self.settings.seconds), do)

    def _any_member(self) -> str:
        return self.dice.choice(sorted(self.system.fleet.members))

    def _service(self, turn: int) -> str:
        """Return each service in turn, so that few turns meet all services and all points, and many every pair."""
        names = sorted(name for name in self.system.fleet.members if name != SANDBOX)
        return names[turn % len(names)]

    def _freeze(self, turn: int) -> Iterator[PlannedAction]:
        name = self._any_member()
        act = self._at(partial(self.freeze, name))
        yield act
        yield PlannedAction(act.at_s + FROZEN_S[turn % len(FROZEN_S)], partial(self.thaw, name))

    def _pause(self, turn: int, order_ids: list[str]) -> Iterator[PlannedAction]:
        act, lasts = self._at(lambda: None), self.dice.uniform(*PAUSED_S)
        match turn % 4:
            case 0:
                yield from self._pause_orders(act.at_s, lasts, order_ids)
            case 1:
                yield from self._pause_work(act.at_s, lasts, "step", self.dice.choice(STEPS))
            case 2:
                yield from self._pause_work(act.at_s, lasts, "command", self.dice.choice(COMMANDS))
            case _:
                yield from self._pause_work(act.at_s, lasts, "service", self.dice.choice(PAUSABLE))

    def _pause_orders(self, at_s: float, lasts: float, order_ids: list[str]) -> Iterator[PlannedAction]:
        """Pause some of the orders that are placed about then."""
        here = int(at_s * self.settings.per_second)
        near = order_ids[max(0, here - 20) : here + 20] or order_ids[:20]
        for order_id in self.dice.sample(near, min(ORDERS_AT_ONCE, len(near))):
            yield PlannedAction(at_s, partial(self.operator.pause_order, order_id))
            yield PlannedAction(at_s + lasts, partial(self.operator.resume_order, order_id))

    def _pause_work(self, at_s: float, lasts: float, scope: Scope, name: str) -> Iterator[PlannedAction]:
        pauses: list[WorkPause] = []
        yield PlannedAction(at_s, lambda: pauses.append(self.operator.pause_work(scope, name)))
        yield PlannedAction(at_s + lasts, lambda: self.operator.resume_work(pauses[0]))

    def _operator_rounds(self) -> Iterator[PlannedAction]:
        every = self.settings.tended_every_s
        for number in range(int(self.settings.seconds / every) if every else 0):
            yield PlannedAction((number + 1) * every, self.operator.tend)
            yield PlannedAction((number + 0.5) * every, self.operator.redrive_unreadable)

    # -- acts -----------------------------------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        self.system.fleet.kill(name)
        self._start(name)
        self.operator.did["kill -9"] += 1

    def crash(self, name: str, point: str) -> None:
        """Start the member so that it dies at the point, sooner or later; the campaign then starts it once more."""
        self.system.fleet.kill(name)
        self._start(name, {"ENSEMBLE_CRASH_AT": f"{point}:{self.dice.randint(2, 12)}"})
        self.crashing[name] = point
        self.operator.did["kill -9"] += 1

    def freeze(self, name: str) -> None:
        self.system.fleet.pause(name)
        self.frozen.add(name)
        self.operator.did["frozen"] += 1

    def thaw(self, name: str) -> None:
        self.system.fleet.resume(name)
        self.frozen.discard(name)
        self._excuse([name])

    def kill_broker(self) -> None:
        with self.operator.parking.reading.put_away(), self.system.disconnected():
            self.system.broker.kill()
            self.system.broker.restart()
        self._excuse(self.system.fleet.members)
        self.operator.did["broker killed"] += 1

    def outage(self, mode: str, lasts_s: float) -> None:
        is_ordered = self.order_provider({"mode": mode, "for_s": lasts_s})
        self.operator.did[f"provider {mode}" if is_ordered else "provider out of reach"] += 1

    def order_provider(self, outage: dict[str, object]) -> bool:
        """Have the provider behave so. Return whether it could be told: it may just have been killed."""
        request = urllib.request.Request(
            f"{self.system.fleet.provider_url}/admin/outage", json.dumps(outage).encode(), method="POST"
        )
        try:
            urllib.request.urlopen(request, timeout=_ASK_S).close()
        except OSError:
            return False
        return True

    def is_excused(self, name: str) -> bool:
        """Return whether the member may end itself now, if it says why."""
        return name in self.frozen or time.monotonic() < self.excused_until.get(name, 0.0)

    def _excuse(self, names: Iterable[str]) -> None:
        self.excused_until.update(dict.fromkeys(names, time.monotonic() + EXCUSED_S))

    def _start(self, name: str, environment: dict[str, str] | None = None) -> None:
        self.crashing.pop(name, None)
        self.frozen.discard(name)
        self.system.fleet.restart(name, environment)
