"""Runs of plans: waves, what stops them, and who may watch. A target with a clock that a test turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from ensemble.clock import ManualClock
from ensemble.operations import (
    RUN_EVENT,
    Actor,
    Finished,
    Intent,
    NotPossible,
    Plan,
    PlanItem,
    Resolved,
    Rollout,
    Run,
    RunEvent,
    RunSequence,
    RunState,
    Stopped,
    Submitted,
    Verdict,
    WaveFinished,
)

INTENT = Intent(actor=Actor(name="ann", via="tests"), reason="mended")


@dataclass
class Target:
    """Items are acknowledged after a second and resolved after two, but for those that are bad or silent."""

    bad: Sequence[str] = ()
    silent: Sequence[str] = ()
    clock: ManualClock = field(default_factory=lambda: ManualClock(0))
    submitted: dict[str, float] = field(default_factory=dict)
    together: list[int] = field(default_factory=list)
    is_open: bool = False
    fails: bool = False

    @contextmanager
    def opened(self) -> Iterator[Target]:
        self.is_open = True
        try:
            yield self
        finally:
            self.is_open = False

    def submit(self, items: Sequence[PlanItem]) -> None:
        if self.fails:
            raise NotPossible("the broker is away")
        self.together.append(len(items))
        self.submitted |= {item.name: self.now() for item in items}

    def look(self) -> None: ...

    def is_acknowledged(self, item: PlanItem) -> bool:
        return item.name not in self.silent and self.now() >= self.submitted[item.name] + 1

    def verdict(self, item: PlanItem) -> Verdict | None:
        if item.name in self.silent or self.now() < self.submitted[item.name] + 2:
            return None
        return Verdict("failed", is_good=False) if item.name in self.bad else Verdict("done", is_good=True)

    def verdict_when_late(self, item: PlanItem) -> Verdict:
        return Verdict("late", is_good=False, detail=item.name)

    def now(self) -> float:
        return self.clock.now() / 1000

    def sleep(self, seconds: float) -> None:
        self.clock.advance(seconds)


def plan_of(count: int, as_of: datetime | None = None) -> Plan[PlanItem]:
    items = tuple(PlanItem(name=f"o-{number}") for number in range(count))
    return Plan[PlanItem](items=items, as_of=as_of or datetime.now(UTC))


def run_of(target: Target, count: int = 25, **rollout: Any) -> Run[PlanItem]:
    return Run(plan_of(count), INTENT, Rollout(**rollout), target.opened, clock=target.now, sleep=target.sleep)


def waves_of(events: Sequence[RunEvent]) -> list[tuple[int, int]]:
    return [(event.wave, len(event.names)) for event in events if isinstance(event, WaveFinished)]


def test_a_probe_goes_first_and_the_next_wave_waits_for_the_last() -> None:
    target = Target()
    events = list(run_of(target).events())
    assert waves_of(events) == [(0, 1), (1, 10), (2, 10), (3, 4)]
    assert target.together == [1, 10, 10, 4]
    assert cast("Finished", events[-1]).succeeded == 25
    assert not target.is_open


def test_an_item_is_submitted_then_acknowledged_then_resolved() -> None:
    events = [event for event in run_of(Target(), 1).events() if not isinstance(event, WaveFinished | Finished)]
    assert [event.kind for event in events] == ["submitted", "acknowledged", "resolved"]


def test_a_probe_that_fails_leaves_all_others_as_they_are() -> None:
    target = Target(bad=["o-0"])
    last = list(run_of(target).events())[-1]
    assert target.together == [1]
    assert isinstance(last, Stopped)
    assert (last.why, last.remaining) == ("too_many_failed", 24)


@pytest.mark.parametrize(("bad", "waves"), [(["o-1", "o-2"], 4), (["o-1", "o-2", "o-3"], 2)])
def test_failures_stop_only_beyond_the_limit(bad: list[str], waves: int) -> None:
    assert len(waves_of(list(run_of(Target(bad=bad)).events()))) == waves


def test_one_at_a_time_ends_at_the_first_failure() -> None:
    target = Target(bad=["o-2"])
    list(run_of(target, stop_on_failure=True).events())
    assert target.together == [1, 1, 1]


def test_what_is_not_resolved_in_time_has_failed() -> None:
    target = Target(silent=["o-0"])
    (resolved,) = [event for event in run_of(target, timeout_s=60).events() if isinstance(event, Resolved)]
    assert (resolved.outcome, resolved.is_good, round(target.now())) == ("late", False, 60)


def test_an_acknowledgement_may_be_enough() -> None:
    target = Target()
    run = Run(plan_of(3), INTENT, Rollout.at_once(), target.opened, clock=target.now, sleep=target.sleep)
    assert [e.outcome for e in run.events() if isinstance(e, Resolved)] == ["acknowledged"] * 3
    assert round(target.now()) == 1


def test_a_rate_is_kept_and_a_stop_is_heard_between_two_items() -> None:
    target = Target()
    run = run_of(target, 10, probe=0, rate=2)
    for event in run.events():
        if isinstance(event, Submitted) and event.name == "o-3":
            run.stop()
    assert target.submitted == {"o-0": 0, "o-1": 0.5, "o-2": 1, "o-3": 1.5}
    assert run.summary.remaining == 6


def test_a_run_that_was_stopped_goes_on_with_the_rest() -> None:
    target = Target()
    run = run_of(target, 21)
    events = []
    for event in run.events():
        events.append(event)
        if isinstance(event, WaveFinished) and event.wave == 1:
            run.stop()
    assert (events[-1].kind, run.summary.state, run.summary.remaining) == ("stopped", RunState.STOPPED, 10)

    run.resume()
    assert [event.kind for event in run.events()][-1] == "finished"
    assert sum(target.together) == 21
    with pytest.raises(NotPossible, match="is finished"):
        run.resume()


def test_another_process_takes_a_run_up_with_what_it_has_resolved() -> None:
    first, target = run_of(Target(bad=["o-1"]), 4, probe=1, wave=1, max_failed=1), Target()
    for event in first.events():
        if isinstance(event, Submitted) and event.name == "o-2":
            break
    second = run_of(target, 4, probe=1, wave=1, max_failed=1)
    second.take_up(first.summary, first.history)

    events = list(second.events())

    assert (second.id, tuple(events[: len(first.history)])) == (first.id, first.history)
    assert sorted(target.submitted) == ["o-2", "o-3"]
    assert [event.wave for event in events if isinstance(event, WaveFinished)] == [0, 1, 3, 4]
    assert (second.summary.total, second.summary.succeeded, second.summary.failed) == (4, 3, 1)
    assert events[-1] == Finished(succeeded=3, failed=1, at=events[-1].at)


def test_a_run_that_is_taken_up_before_its_probe_begins_with_it() -> None:
    first, second = run_of(Target(), 2), run_of(Target(), 2)
    second.take_up(first.summary, first.history)
    assert waves_of(list(second.events())) == [(0, 1), (1, 1)]


def test_a_sequence_is_taken_up_with_what_its_stages_have_resolved() -> None:
    first = RunSequence(stages_of(Target(), Target()), plan_of(2), INTENT, Rollout(), total=2)
    past = list(zip(range(7), first.events(), strict=False))
    second = RunSequence(stages_of(Target()), plan_of(2), INTENT, Rollout(), total=2)
    second.take_up(first.summary, [event for _, event in past])
    assert cast("Finished", list(second.events())[-1]).succeeded == 4  # two of each stage
    assert (second.id, second.summary.succeeded) == (first.id, 2)


def test_an_error_stops_a_run_which_can_be_resumed() -> None:
    target = Target(fails=True)
    run = run_of(target, 2)
    with pytest.raises(NotPossible, match="the broker is away"):
        list(run.events())
    assert (run.summary.state, run.summary.remaining) == (RunState.STOPPED, 2)

    target.fails = False
    run.resume()
    assert [event.kind for event in run.events()][-1] == "finished"


def test_threads_that_watch_at_once_see_the_same_and_it_is_done_once() -> None:
    target = Target()
    run = run_of(target, 200)
    watched: list[list[RunEvent]] = [[] for _ in range(8)]
    threads = [threading.Thread(target=lambda seen=seen: seen.extend(run.events())) for seen in watched]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert sum(target.together) == 200
    assert all(seen == watched[0] for seen in watched)
    assert watched[0][-1].kind == "finished"


def test_an_expired_plan_is_not_run() -> None:
    plan = plan_of(1, as_of=datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(NotPossible, match=rf"plan {plan.id} has expired at .*; plan it anew"):
        Run(plan, INTENT, Rollout(), Target().opened)


def test_a_plan_of_the_future_is_not_run() -> None:
    """It was allowed for as long as the clock had been set back, and a quarter of an hour."""
    now = datetime.now(UTC)
    plan_of(1, as_of=now + timedelta(seconds=60)).require_current(now)
    with pytest.raises(NotPossible, match=r"which is to come: this machine's clock was set; plan it anew"):
        plan_of(1, as_of=now + timedelta(seconds=61)).require_current(now)


def test_events_and_plans_are_json_and_have_a_schema() -> None:
    events = list(run_of(Target(bad=["o-0"]), 3).events())
    assert [RUN_EVENT.validate_json(RUN_EVENT.dump_json(event)) for event in events] == events
    assert set(RUN_EVENT.json_schema()["discriminator"]["mapping"]) == {
        "submitted", "acknowledged", "resolved", "wave_finished", "stopped", "finished",
    }  # fmt: skip
    plan = plan_of(2)
    assert Plan[PlanItem].model_validate_json(plan.model_dump_json()) == plan


def stages_of(*targets: Target) -> Callable[[], Run[PlanItem] | None]:
    runs = (run_of(target, 2) for target in targets)
    return lambda: next(runs, None)


def first_end(events: Iterator[RunEvent]) -> RunEvent:
    """Read on to the first event that ends the run, as whoever keeps a run does, and not beyond."""
    return next(event for event in events if isinstance(event, Stopped | Finished))


@pytest.mark.parametrize("rollout", [{}, {"stop_on_failure": True}, {"rate": 100, "probe": 0, "wave": 1}])
def test_a_run_that_has_stopped_holds_nothing_open(rollout: dict[str, Any]) -> None:
    target = Target(bad=["o-0"])
    run = run_of(target, 3, **rollout)
    sequence = RunSequence(iter([run, None]).__next__, plan_of(3), INTENT, Rollout(), total=3)
    assert (first_end(sequence.events()).kind, target.is_open) == ("stopped", False)
    assert (run.state, sequence.state) == (RunState.STOPPED, RunState.STOPPED)


def test_a_run_that_was_asked_to_stop_holds_nothing_open() -> None:
    target = Target()
    run = run_of(target, 3)
    events = run.events()
    next(events)
    assert target.is_open
    run.stop()
    assert (first_end(events).kind, target.is_open) == ("stopped", False)


def test_a_sequence_that_is_closed_closes_its_run_and_can_go_on() -> None:
    target = Target()
    sequence = RunSequence(stages_of(target), plan_of(2), INTENT, Rollout(), total=2)
    next(sequence.events())
    sequence.close()
    assert (target.is_open, sequence.state) == (False, RunState.STOPPED)
    sequence.resume()
    assert first_end(sequence.events(1)).kind == "finished"


def test_a_sequence_that_is_stopped_stops_the_run_under_way_before_its_next_wave() -> None:
    first, second = Target(), Target()
    sequence = RunSequence(iter([run_of(first, 3), run_of(second, 3)]).__next__, plan_of(6), INTENT, Rollout(), total=6)
    sequence.stop()
    events = sequence.events()
    assert next(events).kind == "stopped"
    sequence.resume()
    for event in sequence.events(1):
        if isinstance(event, Submitted):
            sequence.stop()
    assert (first.together, second.together) == ([1], [])
    assert (sequence.state, sequence.summary.succeeded, sequence.summary.remaining) == (RunState.STOPPED, 1, 5)


@pytest.mark.parametrize(("succeeded", "failed", "remaining"), [(0, 0, 9), (4, 0, 5), (0, 3, 6), (4, 3, 2), (5, 4, 0)])
def test_what_is_neither_succeeded_nor_failed_remains(succeeded: int, failed: int, remaining: int) -> None:
    now = run_of(Target(), 9).summary.model_copy(update={"succeeded": succeeded, "failed": failed})
    assert (now.total, now.remaining) == (9, remaining)


def test_a_sequence_whose_next_run_cannot_be_made_is_stopped_and_makes_it_again_when_resumed() -> None:
    stages: list[Run[PlanItem] | Exception | None] = [run_of(Target(), 2), NotPossible("the broker is away"),
                                                      run_of(Target(), 2), None]  # fmt: skip

    def next_run() -> Run[PlanItem] | None:
        stage = stages.pop(0)
        if isinstance(stage, Exception):
            raise stage
        return stage

    sequence = RunSequence(next_run, plan_of(2), INTENT, Rollout(), total=4)
    with pytest.raises(NotPossible, match="the broker is away"):
        list(sequence.events())
    assert (sequence.state, cast("Stopped", sequence.history[-1]).why) == (RunState.STOPPED, "error")
    sequence.resume()
    assert cast("Finished", list(sequence.events())[-1]).succeeded == 4


def test_a_sequence_of_runs_is_one_run() -> None:
    sequence = RunSequence(stages_of(Target(), Target()), plan_of(2), INTENT, Rollout(), total=2)
    events = list(sequence.events())
    assert [event.kind for event in events].count("finished") == 1
    assert cast("Finished", events[-1]).succeeded == 4
    assert list(sequence.events(after=3)) == events[3:]
    assert (sequence.history, sequence.summary.total, sequence.summary.succeeded) == (tuple(events), 2, 2)


def test_an_item_that_a_later_stage_resolves_counts_as_that_stage_says() -> None:
    first, second = (run_of(Target(bad=[name]), 2, probe=0, max_failed=1) for name in ("o-0", "o-1"))
    sequence = RunSequence(iter([first, second, None]).__next__, plan_of(2), INTENT, Rollout(), total=2)
    counted = [
        (sequence.summary.succeeded, sequence.summary.failed)
        for event in sequence.events()
        if isinstance(event, Resolved)
    ]
    assert counted == [(0, 1), (1, 1), (2, 0), (1, 1)]


def test_a_sequence_stops_with_its_run_and_goes_on_from_there() -> None:
    first, second = Target(bad=["o-0"]), Target()
    sequence = RunSequence(stages_of(first, second), plan_of(2), INTENT, Rollout(), total=2)
    events = list(sequence.events())
    assert (cast("Stopped", events[-1]).why, second.together) == ("too_many_failed", [])

    sequence.resume()
    assert [event.kind for event in sequence.events()][-1] == "finished"
    assert (first.together, second.together) == ([1, 1], [1, 1])
