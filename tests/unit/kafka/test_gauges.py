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


def test_each_sample_has_its_gauge(tmp_path: Path) -> None:
    # given a service with two handlers that are out, and records that are about to be lost
    metrics, clock = LoopMetrics("shop"), SteadyClock()
    plan: Any = compile_service(scripted_service("shop", tmp_path), ManualClock(0))
    task = PartitionTask(plan, 0)
    task.start_at(dict.fromkeys((topic.name for topic in plan.service.inputs), 5), {})
    out = [SimpleNamespace(handler=name) for name in ("Till.sell", "Till.buy")]
    assignment: Any = SimpleNamespace(running={0: task}, breakers=SimpleNamespace(lasting=out))
    admin: Any = Ends()
    gauges = Gauges(metrics, plan, assignment, admin, now=clock)
    gauges._expiring.places = frozenset({("shop.commands", 0)})

    # when
    gauges.sample(stopped=2, stuck_s=3.0, skew_s=0.5)

    # then
    samples = [sample for family in metrics.registry.collect() if family.type == "gauge" for sample in family.samples]
    shown = {(each.name.removeprefix("ensemble_"), each.labels.get("handler", "")): each.value for each in samples}
    assert {each: value for each, value in shown.items() if value} == {
        ("partitions_stopped", ""): 2.0,
        ("stuck_seconds", ""): 3.0,
        ("clock_skew_seconds", ""): 0.5,
        ("partitions_expiring", ""): 1.0,
        ("outages", "Till.sell"): 1.0,
        ("outages", "Till.buy"): 1.0,
    }


def test_an_operator_hears_of_a_transaction_that_hides_inputs_for_long(tmp_path: Path) -> None:
    metrics, clock = LoopMetrics("shop"), SteadyClock()
    plan: Any = compile_service(scripted_service("shop", tmp_path), ManualClock(0))
    task = PartitionTask(plan, 0)
    task.start_at(dict.fromkeys((topic.name for topic in plan.service.inputs), 5), {})
    assignment: Any = SimpleNamespace(running={0: task}, breakers=SimpleNamespace(lasting=[]))
    admin: Any = Ends()
    gauges = Gauges(metrics, plan, assignment, admin, now=clock)
    for seconds in (0, 0, 16):
        clock.now += seconds
        gauges.sample(stopped=0, stuck_s=0.0, skew_s=0.0)
    assert gauges.note.endswith("is hidden from offset 5 on by a transaction that somebody has left open for 16 s")
