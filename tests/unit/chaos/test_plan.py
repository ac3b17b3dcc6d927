"""The same seed gives the same orders and the same plan of faults, and every service's turn comes."""

import random
from collections import Counter
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.settings import CRASH_POINTS
from launcher import ALL, Member
from services.app import SERVICES
from tests.chaos.faults import FaultInjector, PointFault
from tests.chaos.generated_orders import generate_order, generate_orders
from tests.chaos.settings import ChaosSettings, crash_of, omissions

EVERY_POINT = len(SERVICES) * len(CRASH_POINTS)
SETTINGS = ChaosSettings(
    7, 100, 60.0, kills=5, crashes=EVERY_POINT, zombies=2, freezes=2, pauses=8, outages=3, tended_every_s=10
)
MEMBERS = [*(Member(name, 1) for name in ALL), Member("payment", 2, 1)]


class RecordingFleet:
    """Notes which members were started and with what, kills nobody, and suspends whom it is told to."""

    def __init__(self) -> None:
        self.members = {member.name: member for member in MEMBERS}
        self.starts: list[tuple[str, Mapping[str, str] | None]] = []
        self.replaced: list[str] = []
        self.paused: set[str] = set()

    def kill(self, name: str) -> None:
        self.paused.discard(name)

    def restart(self, name: str, environment: Mapping[str, str] | None = None) -> None:
        self.starts.append((name, environment))

    def is_paused(self, name: str) -> bool:
        return name in self.paused

    def replace(self, member: Member) -> Any:
        self.paused.discard(member.name)
        self.replaced.append(member.name)
        return SimpleNamespace(send=print, wait=print)

    def state_of(self, _: str) -> str:
        return "starting"


def fault_injector(seed: int = 7) -> FaultInjector:
    operator: Any = SimpleNamespace(did=Counter(), pause_order=print, resume_order=print, tend=print)
    operator.redrive_unreadable = print
    system: Any = SimpleNamespace(fleet=RecordingFleet())
    return FaultInjector(system, operator, SETTINGS, random.Random(seed))


def plan(seed: int = 7) -> list[tuple[float, str]]:
    return [(act.at_s, act.name) for act in fault_injector(seed).plan([f"o-{number}" for number in range(100)])]


def published(seed: int) -> list[object]:
    """All but the headers, which carry the time."""
    orders = [*generate_orders(seed, 100, 10), generate_order(seed, 100)]
    return [(order.order_id, order.garbage, [(p.at_s, p.message) for p in order.publications]) for order in orders]


def test_a_seed_makes_one_crowd_and_one_plan() -> None:
    assert published(7) == published(7)
    assert plan() == plan()


def test_another_seed_makes_others() -> None:
    assert published(7) != published(8)
    assert plan() != plan(8)


def test_every_service_meets_every_point() -> None:
    pairs = {crash_of(turn) for turn in range(EVERY_POINT)}
    planned = [name.split() for _, name in plan() if name.startswith("crash")]
    services = {name: member.service for name, member in RecordingFleet().members.items()}
    assert len(pairs) == len(planned) == EVERY_POINT
    assert {(services[name], point) for _, name, point in planned} == pairs
    assert {name for _, name, _ in planned} == services.keys() - {"payment-sandbox"}


def test_amounts_can_be_set_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_CHAOS_KILLS", "25")
    settings = SETTINGS.with_environment()
    assert (settings.seed, settings.kills, settings.freezes) == (7, 25, 2)
    monkeypatch.setenv("ENSEMBLE_CHAOS_SEED", "51")
    assert SETTINGS.with_environment().seed == 51


def arm(faults: FaultInjector, *points: PointFault) -> Any:
    for point in points:
        faults.arm("order", point)
    return faults.system.fleet


CRASH = PointFault("crash", "after-flush", 3)
LATER = PointFault("crash", "in-batch", 2)
FREEZE = PointFault("freeze", "after-offsets", 4)
SIGKILL = -9


def test_a_service_meets_one_point_after_the_other() -> None:
    faults = fault_injector()
    fleet = arm(faults, CRASH, LATER)
    assert fleet.starts == [("order", {"ENSEMBLE_CRASH_AT": "after-flush:3"})]
    assert faults.judge_exit("order", SIGKILL, []) == "died at after-flush (order)"
    faults.start("order")
    assert fleet.starts[-1] == ("order", {"ENSEMBLE_CRASH_AT": "in-batch:2"})
    assert faults.judge_exit("order", SIGKILL, []) == "died at in-batch (order)"
    faults.start("order")
    assert fleet.starts[-1] == ("order", None)
    assert not faults.has_points_left


def test_who_is_killed_before_its_point_meets_it_in_its_next_life() -> None:
    faults = fault_injector()
    fleet = arm(faults, CRASH)
    faults.kill("order")
    assert fleet.starts[-1] == ("order", {"ENSEMBLE_CRASH_AT": "after-flush:3"})
    assert faults.has_points_left


def test_who_stands_still_in_a_transaction_gets_a_successor_at_once() -> None:
    faults = fault_injector()
    fleet = arm(faults, FREEZE)
    assert fleet.starts == [("order", {"ENSEMBLE_FREEZE_AT": "after-offsets:4"})]
    assert list(faults.watch_zombies()) == []
    assert fleet.replaced == []
    fleet.paused.add("order")
    assert list(faults.watch_zombies()) == []
    assert (fleet.replaced, faults.zombies.are_left, faults.has_points_left) == (["order"], True, False)


def test_a_successor_meets_what_is_left_once_its_zombie_is_gone() -> None:
    faults = fault_injector()
    fleet = arm(faults, FREEZE, CRASH)
    fleet.paused.add("order")
    assert list(faults.watch_zombies()) == []
    assert fleet.starts[-1] == ("order", {"ENSEMBLE_FREEZE_AT": "after-offsets:4"})
    faults.zombies.end_all()
    assert list(faults.watch_zombies()) == []
    assert fleet.starts[-1] == ("order", {"ENSEMBLE_CRASH_AT": "after-flush:3"})


def test_who_is_suspended_from_outside_gets_no_successor() -> None:
    faults = fault_injector()
    fleet = arm(faults, FREEZE)
    faults.exits.freeze("order")
    fleet.paused.add("order")
    assert list(faults.watch_zombies()) == []
    assert fleet.replaced == []


def test_a_run_in_which_nothing_broke_is_not_clean() -> None:
    planned = ChaosSettings(7, kills=2, crashes=6, zombies=1, freezes=2, broker_kills=1, outages=1, pauses=2)
    enough = {
        **{f"died at {point} ({service})": 1 for service, point in map(crash_of, range(6))},
        "kill -9": 2, "frozen": 2, "broker killed": 1, "provider hang": 1, "order paused": 1, "step paused": 1,
        "stood still in a transaction": 1, "zombie fenced, and said so": 1,
    }  # fmt: skip
    assert list(omissions(planned, enough)) == []
    for what, count in enough.items():
        fault = "provider" if "provider" in what else "paused" if "paused" in what else what
        planned_count = 2 if fault == "paused" else count
        assert list(omissions(planned, {**enough, what: count - 1})) == [
            f"{fault}: {planned_count - 1} of {planned_count}"
        ]
    assert list(omissions(planned, {**enough, "fenced, and said so": 9, "zombie fenced, and said so": 0})) == [
        "zombie fenced, and said so: 0 of 1"
    ]
