"""Rehearsals of plans: one at a time, looked at meanwhile, tried again once they have failed."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from ensemble.operations import NotPossible
from services.control_room.planner import MOST_REHEARSED
from services.control_room.rehearsals import Rehearsals


class Rehearser:
    """Rehearses like a planner: as a test says, and not before it says so."""

    def __init__(self, outcome: Callable[[], list[Any]] = list) -> None:
        self.outcome, self.may_end, self.calls = outcome, Event(), list[str]()
        self.at_once = self.most_at_once = 0

    def require_rehearsable(self, plan: Any) -> None:
        if plan.id == "of orders":
            raise NotPossible("it cannot be rehearsed")

    def rehearse(self, plan: Any) -> list[Any]:
        self.calls.append(plan.id)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            assert self.may_end.wait(60)
            return self.outcome()
        finally:
            self.at_once -= 1


def plan(name: str, items: int = 3) -> Any:
    return SimpleNamespace(id=name, items=(None,) * items)


def rehearsals(rehearser: Rehearser) -> Rehearsals:
    planner: Any = rehearser
    return Rehearsals(planner)


@pytest.mark.parametrize(
    ("items", "rehearsed"), [(0, 0), (MOST_REHEARSED, MOST_REHEARSED), (MOST_REHEARSED + 1, MOST_REHEARSED)]
)
def test_a_rehearsal_goes_on_by_itself_and_is_waited_for_as_long_as_one_likes(items: int, rehearsed: int) -> None:
    rehearser = Rehearser()
    kept = rehearsals(rehearser)

    began = kept.begin(plan("p-1", items))
    early = kept.wait("p-1", 0)
    rehearser.may_end.set()
    ended = kept.wait("p-1", 60)

    assert (began.plan, began.state, began.rehearsed, began.total) == ("p-1", "running", rehearsed, items)
    assert early == began
    assert ended == began.model_copy(update={"state": "done"})
    assert kept.wait("p-2", 0) is None


def test_a_plan_is_rehearsed_once_however_often_it_is_asked_for() -> None:
    rehearser = Rehearser()
    kept = rehearsals(rehearser)
    first, second = kept.begin(plan("p-1")), kept.begin(plan("p-1"))
    rehearser.may_end.set()
    ended = kept.wait("p-1", 60)
    assert (second, kept.begin(plan("p-1")), rehearser.calls) == (first, ended, ["p-1"])


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (NotPossible("the topic is gone"), "the topic is gone"),
        (KeyError("x"), "the control room made a mistake; its log says more"),
    ],
)
def test_a_rehearsal_that_failed_says_why_and_may_be_tried_again(error: Exception, problem: str) -> None:
    def fail() -> list[Any]:
        raise error

    rehearser = Rehearser(fail)
    kept = rehearsals(rehearser)
    rehearser.may_end.set()
    with capture_logs() as logs:
        kept.begin(plan("p-1"))
        failed = kept.wait("p-1", 60)
        kept.begin(plan("p-1"))
        assert kept.wait("p-1", 60)
    assert failed is not None
    assert (failed.state, failed.problem, failed.records) == ("failed", problem, ())
    assert len(rehearser.calls) == 2
    assert len(logs) == (2 if isinstance(error, KeyError) else 0)


def test_no_more_than_four_wait_for_their_turn_and_one_has_it() -> None:
    rehearser = Rehearser()
    kept = rehearsals(rehearser)
    for number in range(4):
        kept.begin(plan(f"p-{number}"))
    with pytest.raises(NotPossible, match=r"^4 rehearsals are running"):
        kept.begin(plan("p-4"))
    with pytest.raises(NotPossible, match="cannot be rehearsed"):
        kept.begin(plan("of orders"))
    rehearser.may_end.set()
    states = [kept.wait(f"p-{number}", 60) for number in range(4)]
    assert [each and each.state for each in states] == ["done"] * 4
    assert (rehearser.most_at_once, len(rehearser.calls)) == (1, 4)
    assert kept.begin(plan("p-4")).state == "running"
    assert kept.wait("p-4", 60)


def test_rehearsals_of_plans_that_are_gone_are_forgotten() -> None:
    rehearser = Rehearser()
    rehearser.may_end.set()
    kept = rehearsals(rehearser)
    for name in ("p-1", "p-2"):
        kept.begin(plan(name))
        kept.wait(name, 60)
    kept.keep_only({"p-2"})
    assert kept.wait("p-1", 0) is None
    assert kept.wait("p-2", 0) is not None
