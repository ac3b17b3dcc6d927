"""Samples are taken once a second, however fast the loop turns."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from ensemble.clock import ManualClock
from ensemble.engine import compile_service
from ensemble.kafka.worker.gauges import Gauges
from ensemble.observability.metrics import LoopMetrics
from tests.support.scripted_service.service import scripted_service
from tests.support.steady_clock import SteadyClock


def test_samples_are_due_at_once_and_then_each_second(tmp_path: Path) -> None:
    # given a service that has no partition yet, and an admin client that nobody needs then
    clock, metrics, nobody = SteadyClock(), LoopMetrics("shop"), object()
    assignment = SimpleNamespace(running={}, breakers=SimpleNamespace(lasting=[]))
    plan: Any = compile_service(scripted_service("shop", tmp_path), ManualClock(0))
    gauges = Gauges(metrics, plan, assignment, nobody, now=clock)  # type: ignore[arg-type]  # they have all that is called
    due = [gauges.are_due]

    # when samples were taken, then they are shown, and the next are due a second later
    gauges.sample(stopped=2, stuck_s=3.0, skew_s=0.5)
    assert metrics.registry.get_sample_value("ensemble_stuck_seconds", {"service": "shop"}) == 3.0
    for seconds in (0.9, 0.1):
        clock.now += seconds
        due.append(gauges.are_due)
    assert due == [True, False, True]
