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

    def wakeups(self) -> Wakeups:
        calls = SimpleNamespace(in_flight=self.flights, has_finished=False)
        running = {0: SimpleNamespace(next_due=lambda: self.due, calls=calls)}
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
