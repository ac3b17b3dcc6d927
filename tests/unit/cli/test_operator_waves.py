"""Waves: a probe, then so many at a time, until too many fail. A world with a clock that a test turns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from cli.options import Waves
from cli.order_waves import fate_of, reason_of_stop
from cli.waves import Pace, Progress, waves
from ensemble.clock import ManualClock

ORDERS = [f"o-{number}" for number in range(25)]


@dataclass
class World:
    """Orders go on after two seconds, but for those that are bad or silent."""

    bad: Sequence[str] = ()
    silent: Sequence[str] = ()
    clock: ManualClock = field(default_factory=lambda: ManualClock(0))
    resumed: dict[str, float] = field(default_factory=dict)
    together: list[int] = field(default_factory=list)
    looks: int = 0

    def resume(self, names: Sequence[str]) -> None:
        self.together.append(len(names))
        self.resumed |= dict.fromkeys(names, self.now())

    def fates(self, names: Sequence[str]) -> Mapping[str, Progress]:
        self.looks += 1
        assert self.looks < 1_000, "it looks again and again without a pause"
        return {name: self._fate(name) for name in names}

    def _fate(self, name: str) -> Progress:
        if name in self.silent or self.now() < self.resumed[name] + 2:
            return Progress.WAITING
        return Progress.FAILED if name in self.bad else Progress.PROGRESSED

    def now(self) -> float:
        return self.clock.now() / 1000

    def pause(self) -> None:
        self.clock.advance(1)


def test_a_probe_goes_first_and_the_next_wave_waits_for_the_last() -> None:
    world = World()
    assert [len(wave.names) for wave in waves(ORDERS, Pace(probe=1, wave=10), world)] == [1, 10, 10, 4]
    assert world.together == [1, 10, 10, 4]
    assert world.now() == 8


def test_a_probe_that_fails_leaves_all_others_paused() -> None:
    world = World(bad=["o-0"])
    done = list(waves(ORDERS, Pace(), world))
    assert world.together == [1]
    assert done[-1].number == 0, "the probe"
    assert "24 remain paused" in reason_of_stop(done, Pace(), len(ORDERS))


def test_failures_within_the_limit_do_not_stop() -> None:
    world = World(bad=["o-1", "o-2"])
    assert len(list(waves(ORDERS, Pace(failure_limit=0.2), world))) == 4


def test_failures_beyond_the_limit_stop_behind_their_wave() -> None:
    world = World(bad=["o-1", "o-2", "o-3"])
    done = list(waves(ORDERS, Pace(failure_limit=0.2), world))
    assert world.together == [1, 10]
    assert done[-1].failed == ["o-1", "o-2", "o-3"]


def test_what_does_not_move_in_time_counts_as_failed() -> None:
    world = World(silent=["o-0"])
    (probe,) = waves(ORDERS, Pace(wait_s=60), world)
    assert (probe.failed, world.now()) == (["o-0"], 60)


def test_without_a_probe_waves_begin_at_once() -> None:
    world = World()
    done = waves(ORDERS[:3], Pace(probe=0, wave=2), world)
    assert [wave.number for wave in done] == [1, 2]
    assert world.together == [2, 1]


BEFORE: dict[str, Any] = {"status": "payment_pending", "step": "payment", "done": [], "paused_since": 5}


@pytest.mark.parametrize(
    ("after", "fate"),
    [
        ({"paused_since": None}, Progress.WAITING),
        ({"paused_since": None, "attempt": 2}, Progress.WAITING),
        ({"paused_since": None, "done": ["payment"], "step": "reservation"}, Progress.PROGRESSED),
        ({"paused_since": None, "status": "cancelled"}, Progress.PROGRESSED),
        ({"paused_since": 9}, Progress.FAILED),
        ({"paused_since": None, "failed": ["payment"]}, Progress.FAILED),
        ({"paused_since": None, "status": "compensating"}, Progress.FAILED),
    ],
    ids=["sent", "resent", "answered", "ended", "paused again", "refused", "turned back"],
)
def test_an_answer_moves_an_order_on(after: dict[str, Any], fate: Progress) -> None:
    assert fate_of(BEFORE, {**BEFORE, **after}) is fate


def test_flags_that_are_not_given_leave_the_pace_as_it_is() -> None:
    assert Waves().pace() == Pace()
