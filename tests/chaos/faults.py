"""The faults that are injected, and when: a random plan that follows from the seed."""

from __future__ import annotations

import json
import random
import urllib.request
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple

from ensemble.clock import until
from ensemble.system_messages.operations import Scope
from services.app import SERVICES
from tests.chaos.exits import Finding, MemberExits
from tests.chaos.operator import Operator, WorkPause
from tests.chaos.settings import ChaosSettings, crash_of
from tests.chaos.zombies import Zombies
from tests.end_to_end.system import System

FROZEN_S: Final = (8.0, 14.0)
"""Longer than a session: the group gives the partitions to others. Longer than a transaction: it is aborted."""
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
OPEN_TRANSACTION: Final = ("after-produce", "after-flush", "after-offsets")
"""Points at which a batch's transaction is open."""
ORDERS_AT_ONCE: Final = 5
TURNS: Final = (2, 6)
"""The turn at which a member dies at a point: not at its first batch always, and soon."""
POINTS_UNTIL: Final = 0.7
"""Crash points begin within this share of the run: a service meets one after the other, and needs time for each."""
_ASK_S: Final = 5.0
_PROVIDER_S: Final = 15.0
"""A provider that was killed a moment ago is up again within that."""


class PlannedAction(NamedTuple):
    """An action so many seconds after the beginning; the name is empty for what is no fault."""

    at_s: float
    name: str
    do: Callable[[], object]


class PointFault(NamedTuple):
    """What happens to a process at a named point of a batch, the `turn`th time it gets there."""

    kind: str
    """`crash` or `freeze`."""
    point: str
    turn: int

    @property
    def environment(self) -> dict[str, str]:
        return {f"ENSEMBLE_{self.kind.upper()}_AT": f"{self.point}:{self.turn}"}


@dataclass
class FaultInjector:
    """Plans faults, injects them, and judges by them how a member ended."""

    system: System
    operator: Operator
    settings: ChaosSettings
    dice: random.Random
    exits: MemberExits = field(default_factory=MemberExits)
    _due: dict[str, deque[PointFault]] = field(default_factory=lambda: defaultdict(deque))
    """What each member is to meet when it starts the next time, one after the other."""
    _armed: dict[str, PointFault] = field(default_factory=dict)
    """What a member that runs has not met yet."""

    def __post_init__(self) -> None:
        self.zombies = Zombies(self.system.fleet)

    def plan(self, order_ids: list[str]) -> Iterator[PlannedAction]:
        """Yield all actions, in no order."""
        settings = self.settings
        for _ in range(settings.kills):
            name = self._any_member()
            yield self._at(f"kill {name}", partial(self.kill, name))
        for turn in range(settings.crashes):
            yield self._crash(turn)
        for turn in range(settings.zombies):
            yield self._zombie(turn)
        for turn in range(settings.freezes):
            yield from self._freeze(turn)
        for _ in range(settings.broker_kills):
            yield self._at("kill the broker", self.kill_broker)
        for turn in range(settings.outages):
            mode, lasts_s = OUTAGES[turn % len(OUTAGES)], self.dice.uniform(*OUTAGE_S)
            yield self._at(f"provider {mode} for {lasts_s:.1f} s", partial(self.outage, mode, lasts_s))
        for turn in range(settings.pauses):
            yield from self._pause(turn, order_ids)
        yield from self._operator_rounds()

    # -- plans ----------------------------------------------------------------------------------------------------

    def _at(self, name: str, do: Callable[[], object], share: float = 1.0) -> PlannedAction:
        return PlannedAction(self.dice.uniform(0, share * self.settings.seconds), name, do)

    def _any_member(self) -> str:
        return self.dice.choice(sorted(self.system.fleet.members))

    def _crash(self, turn: int) -> PlannedAction:
        """Have each service meet each point in turn, its instances one after the other."""
        service, point = crash_of(turn)
        fault = PointFault("crash", point, self.dice.randint(*TURNS))
        name = self._instance(service, turn // len(SERVICES))
        return self._at(f"crash {name} {point}", partial(self.arm, name, fault), POINTS_UNTIL)

    def _zombie(self, turn: int) -> PlannedAction:
        name = self._instance(list(SERVICES)[-1 - turn % len(SERVICES)], turn // len(SERVICES))
        fault = PointFault("freeze", OPEN_TRANSACTION[turn % len(OPEN_TRANSACTION)], self.dice.randint(*TURNS))
        return self._at(f"zombie {name} {fault.point}", partial(self.arm, name, fault), POINTS_UNTIL)

    def _instance(self, service: str, number: int) -> str:
        members = self.system.fleet.members
        names = sorted(name for name, member in members.items() if member.service == service)
        return names[number % len(names)]

    def _freeze(self, turn: int) -> Iterator[PlannedAction]:
        name, lasts_s = self._any_member(), FROZEN_S[turn % len(FROZEN_S)]
        act = self._at(f"freeze {name} for {lasts_s:g} s", partial(self.freeze, name))
        yield act
        yield PlannedAction(act.at_s + lasts_s, "", partial(self.thaw, name))

    def _pause(self, turn: int, order_ids: list[str]) -> Iterator[PlannedAction]:
        at_s, lasts_s = self.dice.uniform(0, self.settings.seconds), self.dice.uniform(*PAUSED_S)
        match turn % 4:
            case 0:
                yield from self._pause_orders(at_s, lasts_s, order_ids)
            case 1:
                yield from self._pause_work(at_s, lasts_s, "step", self.dice.choice(STEPS))
            case 2:
                yield from self._pause_work(at_s, lasts_s, "command", self.dice.choice(COMMANDS))
            case _:
                yield from self._pause_work(at_s, lasts_s, "service", self.dice.choice(PAUSABLE))

    def _pause_orders(self, at_s: float, lasts_s: float, order_ids: list[str]) -> Iterator[PlannedAction]:
        """Pause some of the orders that are placed about then."""
        here = int(at_s * self.settings.per_second)
        near = order_ids[max(0, here - 20) : here + 20] or order_ids[:20]
        for order_id in self.dice.sample(near, min(ORDERS_AT_ONCE, len(near))):
            yield PlannedAction(at_s, f"pause order {order_id}", partial(self.operator.pause_order, order_id))
            yield PlannedAction(at_s + lasts_s, "", partial(self.operator.resume_order, order_id))

    def _pause_work(self, at_s: float, lasts_s: float, scope: Scope, name: str) -> Iterator[PlannedAction]:
        pauses: list[WorkPause] = []
        fault = f"pause {scope} {name} for {lasts_s:.1f} s"
        yield PlannedAction(at_s, fault, lambda: pauses.append(self.operator.pause_work(scope, name)))
        yield PlannedAction(at_s + lasts_s, "", lambda: self.operator.resume_work(pauses[0]))

    def _operator_rounds(self) -> Iterator[PlannedAction]:
        every = self.settings.tended_every_s
        for number in range(int(self.settings.seconds / every) if every else 0):
            yield PlannedAction((number + 1) * every, "", self.operator.tend)
            yield PlannedAction((number + 0.5) * every, "", self.operator.redrive_unreadable)

    # -- acts -----------------------------------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """Kill the member and start it again; a point that it has not met yet it meets in its next life."""
        self.system.fleet.kill(name)
        self.start(name)
        self.operator.did["kill -9"] += 1

    def arm(self, name: str, fault: PointFault) -> None:
        """Have the member meet the point: now, by a kill and a start, or once it has met an earlier one."""
        self._due[name].append(fault)
        if name not in self._armed:
            self.kill(name)

    def start(self, name: str) -> None:
        """Start a member that has ended, with the point that is its turn to meet."""
        if missed := self._armed.pop(name, None):
            self._due[name].appendleft(missed)
        self.exits.begin_anew(name)
        fault = self._due[name].popleft() if self._due[name] else None
        if fault:
            self._armed[name] = fault
        if fault and fault.kind == "crash":
            self.exits.expect_crash(name, f"{fault.point} ({self.system.fleet.members[name].service})")
        self.system.fleet.restart(name, fault.environment if fault else None)

    def judge_exit(self, name: str, code: int, lines: list[str]) -> str | Finding:
        """Return in words how the member ended, or a finding."""
        result = self.exits.judge(name, code, lines)
        if isinstance(result, str) and result.startswith("died at"):
            del self._armed[name]
        return result

    def watch_zombies(self) -> Iterator[str | Finding]:
        """Start a successor for each member that stands still at its point, and judge those that were resumed."""
        freezing = [name for name, fault in self._armed.items() if fault.kind == "freeze"]
        for name in freezing:
            if name not in self.exits.frozen and self.system.fleet.is_paused(name):
                del self._armed[name]
                self.exits.begin_anew(name)
                self.zombies.replace(name)
                self.operator.did["stood still in a transaction"] += 1
        yield from self.zombies.watch()
        for name, due in self._due.items():
            if due and name not in self._armed and not self.zombies.has(name):
                self.kill(name)

    @property
    def has_points_left(self) -> bool:
        """Return whether some member has not met its points yet."""
        return bool(self._armed) or any(self._due.values())

    def end_all(self) -> None:
        """End what explains that a member does not work: it runs, and has no more points to meet."""
        for name in list(self.exits.frozen):
            self.thaw(name)
        self._due.clear()
        for name in list(self._armed):
            del self._armed[name]
            self.kill(name)
        self.order_provider({"mode": "up"})

    def freeze(self, name: str) -> None:
        self.system.fleet.pause(name)
        self.exits.freeze(name)
        self.operator.did["frozen"] += 1

    def thaw(self, name: str) -> None:
        """Resume the member, unless it was killed or replaced meanwhile."""
        if name in self.exits.frozen:
            self.system.fleet.resume(name)
            self.exits.thaw(name)

    def kill_broker(self) -> None:
        self.exits.lose_broker()
        with self.operator.parking.reading.put_away(), self.system.disconnected():
            self.system.broker.kill()
            self.system.broker.restart()
        self.exits.get_broker_back()
        self.operator.did["broker killed"] += 1

    def outage(self, mode: str, lasts_s: float) -> None:
        """Have the provider fail, once it is there: it may just have been killed."""
        for _ in until(_PROVIDER_S, 0.2):
            if self.order_provider({"mode": mode, "for_s": lasts_s}):
                self.operator.did[f"provider {mode}"] += 1
                return

    def order_provider(self, outage: dict[str, object]) -> bool:
        """Have the provider behave so. Return whether it could be told."""
        request = urllib.request.Request(
            f"{self.system.fleet.provider_url}/admin/outage", json.dumps(outage).encode(), method="POST"
        )
        try:
            urllib.request.urlopen(request, timeout=_ASK_S).close()
        except OSError:
            return False
        return True
