"""Samples are taken once a second, however fast the loop turns."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from confluent_kafka import IsolationLevel

from ensemble.clock import ManualClock
from ensemble.engine import compile_service
from ensemble.engine.task import PartitionTask
from ensemble.kafka.worker.gauges import Gauges
from ensemble.observability.metrics import LoopMetrics
from tests.support.client_answers import answer
from tests.support.scripted_service.service import scripted_service
from tests.support.steady_clock import SteadyClock


class Ends:
    """An admin client of inputs whose last three records readers do not see yet, since always."""

    def list_offsets(self, specs: dict[Any, Any], isolation_level: Any, **_: Any) -> dict[Any, Any]:
        end = 5 if isolation_level is IsolationLevel.READ_COMMITTED else 8
        return {place: answer(offset=end, timestamp=1) for place in specs}


def test_records_behind_open_transactions_are_counted_and_their_age_is_told(tmp_path: Path) -> None:
    # given a service with one partition of each of its inputs
    metrics, admin, clock = LoopMetrics("shop"), Ends(), SteadyClock()
    plan: Any = compile_service(scripted_service("shop", tmp_path), ManualClock(0))
    positions = dict.fromkeys((topic.name for topic in plan.service.inputs), 5)
    task = PartitionTask(plan, 0)
    task.start_at(positions, {})
    assignment = SimpleNamespace(running={0: task}, breakers=SimpleNamespace(lasting=[]))
    gauges = Gauges(metrics, plan, assignment, admin, now=clock)  # type: ignore[arg-type]  # they have all that is called

    # when it has asked, and been answered, and two seconds have passed
    for seconds in (0, 0, 2):
        clock.now += seconds
        gauges.sample(stopped=0, stuck_s=0.0, skew_s=0.0)

    # then
    def value(name: str) -> float | None:
        return metrics.registry.get_sample_value(f"ensemble_{name}", {"service": "shop"})

    assert value("open_transaction_records") == 3 * len(positions)
    assert value("open_transaction_seconds") == 2.0


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
