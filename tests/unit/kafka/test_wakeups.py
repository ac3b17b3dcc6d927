"""How long a loop waits for a record: until something is due, without turning as fast as it can."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ensemble.clock import ManualClock
from ensemble.kafka.worker.wakeups import Wakeups

NOW, POLL_S = 1_000, 0.25


@dataclass
class Loop:
    """What the wakeups watch."""

    due: int | None = None
    gate_waits: bool = False
    flights: dict[bytes, Any] = field(default_factory=dict)
    has_finished: bool = False

    def wakeups(self) -> Wakeups:
        calls = SimpleNamespace(in_flight=self.flights, has_finished=self.has_finished)
        idle = SimpleNamespace(in_flight={}, has_finished=False)
        later = None if self.due is None else self.due + 50
        running = {
            0: SimpleNamespace(next_due=lambda: None, calls=idle),
            1: SimpleNamespace(next_due=lambda: self.due, calls=calls),
            2: SimpleNamespace(next_due=lambda: later, calls=idle),
        }
        gate = SimpleNamespace(waits_for=lambda _: self.gate_waits)
        return Wakeups(ManualClock(NOW), cast("Any", SimpleNamespace(running=running)), cast("Any", gate), POLL_S)


@pytest.mark.parametrize(
    ("due", "expected_s"),
    [(None, POLL_S), (NOW + 100, 0.1), (NOW + 9_000, POLL_S), (NOW, 0.001), (NOW - 9_000, 0.001)],
)
def test_waits_until_something_is_due(due: int | None, expected_s: float) -> None:
    assert Loop(due).wakeups().wait_s() == expected_s
    assert Loop(due).wakeups().has_something == (due is not None and due <= NOW)


def test_polls_without_waiting_while_calls_are_in_flight() -> None:
    assert Loop(NOW + 100, flights={b"a": object()}).wakeups().wait_s() == 0.0


def test_a_timer_that_may_not_be_judged_yet_is_looked_at_now_and_then() -> None:
    assert Loop(NOW - 5, gate_waits=True).wakeups().wait_s() == 0.02


def test_a_gate_that_waits_for_timers_that_are_due_no_more_keeps_nobody_awake() -> None:
    """As while the service is paused."""
    assert Loop(None, gate_waits=True).wakeups().wait_s() == POLL_S
    assert Loop(NOW + 100, gate_waits=True).wakeups().wait_s() == 0.1


def test_a_call_that_has_finished_is_something_to_do() -> None:
    assert Loop(has_finished=True).wakeups().has_something
    assert Loop(NOW + 1, has_finished=True).wakeups().has_something
    assert not Loop(NOW + 1).wakeups().has_something
