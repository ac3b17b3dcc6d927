"""The same seed gives the same orders and the same plan of faults, and every service's turn comes."""

import random
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from cli.fleet import ALL, SANDBOX
from ensemble.settings import CRASH_POINTS
from tests.chaos.faults import EXCUSED_S, FaultInjector
from tests.chaos.generated_orders import generate_orders
from tests.chaos.settings import ChaosSettings, omissions

SERVICES = 5
SETTINGS = ChaosSettings(
    7, 100, 60.0, kills=5, crashes=SERVICES * len(CRASH_POINTS), freezes=2, pauses=8, tended_every_s=10
)


def fault_injector(seed: int = 7) -> FaultInjector:
    operator: Any = SimpleNamespace(did=Counter(), pause_order=print, resume_order=print, tend=print)
    operator.redrive_unreadable = print
    system: Any = SimpleNamespace(fleet=SimpleNamespace(members=dict.fromkeys(ALL)))
    return FaultInjector(system, operator, SETTINGS, random.Random(seed))


def moments(faults: FaultInjector) -> list[float]:
    return [act.at_s for act in faults.plan([f"o-{number}" for number in range(100)])]


def published(seed: int) -> list[object]:
    """All but the headers, which carry the time."""
    orders = generate_orders(seed, 100, 10)
    return [(order.order_id, order.garbage, [(p.at_s, p.message) for p in order.publications]) for order in orders]


def test_a_seed_makes_one_crowd_and_one_plan() -> None:
    assert published(7) == published(7)
    assert moments(fault_injector()) == moments(fault_injector())


def test_another_seed_makes_others() -> None:
    assert published(7) != published(8)
    assert moments(fault_injector()) != moments(fault_injector(8))


def test_every_service_meets_every_point() -> None:
    turns = [fault_injector()._service(turn) for turn in range(SETTINGS.crashes)]
    met = {(name, CRASH_POINTS[turn % len(CRASH_POINTS)]) for turn, name in enumerate(turns)}
    assert len(met) == SERVICES * len(CRASH_POINTS)


def test_amounts_can_be_set_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENSEMBLE_CHAOS_SEED", "51")
    monkeypatch.setenv("ENSEMBLE_CHAOS_KILLS", "25")
    settings = SETTINGS.seeded_from_environment()
    assert (settings.seed, settings.kills, settings.freezes) == (51, 25, 2)


def test_a_few_turns_meet_every_service_and_every_point() -> None:
    few = range(len(CRASH_POINTS))
    assert {fault_injector()._service(turn) for turn in few} == set(ALL) - {SANDBOX}


def test_a_member_is_excused_for_a_while_and_nobody_else_is() -> None:
    faults = fault_injector()
    faults.frozen.add("payment")
    faults.excused_until["order"] = time.monotonic() + EXCUSED_S
    faults.excused_until["inventory"] = time.monotonic() - 1
    assert [name for name in ALL if faults.is_excused(name)] == ["order", "payment"]


def test_a_run_in_which_nothing_broke_is_not_clean() -> None:
    planned = ChaosSettings(7, kills=2, crashes=8, freezes=2, broker_kills=1, outages=3, pauses=2)
    enough = {
        "kill -9": 10, "died at after-poll": 3, "died at after-fold": 1, "frozen": 2, "broker killed": 1,
        "provider hang": 1, "order paused": 1, "step paused": 1,
    }  # fmt: skip
    assert list(omissions(planned, enough)) == []
    assert list(omissions(planned, {**enough, "kill -9": 9, "died at after-poll": 2})) == [
        "kill -9: 9 of 10", "died at: 3 of 4",
    ]  # fmt: skip
    assert list(omissions(planned, {**enough, "provider hang": 0, "provider out of reach": 3})) == ["provider: 0 of 1"]
    assert len(list(omissions(planned, {}))) == 6
