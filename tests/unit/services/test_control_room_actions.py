"""Which plans and runs are kept, and which runs can be gone on with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.operations import RunState
from services.control_room.actions import Actions
from services.control_room.work_actions import EndPause, PlaceOrders


class Outlines:
    """A history that has kept what these runs were about."""

    def __init__(self, *names: str) -> None:
        self._names = names

    def outline(self, run_id: str) -> object | None:
        return "what is left" if run_id in self._names else None


def actions(*outlines: str, ours: tuple[str, ...] = ()) -> Any:
    anything: Any = None
    history: Any = Outlines(*outlines)
    made: Any = Actions(anything, anything, history)
    made._runs = dict.fromkeys(ours)
    return made


def past(state: RunState, remaining: int, action: Any = None) -> Any:
    return SimpleNamespace(action=action, summary=SimpleNamespace(id="r-1", state=state, remaining=remaining))


STATES = (RunState.STOPPED, RunState.INTERRUPTED)


@pytest.mark.parametrize("state", list(RunState))
def test_a_run_is_gone_on_with_if_something_is_left_and_known(state: RunState) -> None:
    """One of this process that has nothing left is over; of one before it, that is known when it is planned anew."""
    of_this_process, kept, forgotten = actions(ours=("r-1",)), actions("r-1"), actions("r-2")
    assert of_this_process.can_resume(past(state, 1)) is (state in STATES)
    assert of_this_process.can_resume(past(state, 0)) is False
    assert [kept.can_resume(past(state, left)) for left in (0, 1)] == [state in STATES] * 2
    assert forgotten.can_resume(past(state, 1)) is False


def test_only_orders_of_a_process_before_are_placed_with_their_token_again() -> None:
    kind: Any = PlaceOrders
    place, end = kind.model_construct(), EndPause(scope="step", name="payment")
    ours, others = actions(ours=("r-1",)), actions()
    assert [each.needs_token(past(RunState.STOPPED, 1, place)) for each in (ours, others)] == [False, True]
    assert others.needs_token(past(RunState.STOPPED, 1, end)) is False


def keep(made: Any, name: str, *, items: int = 0, is_over: bool = False) -> None:
    expires_at = datetime.now(UTC) + timedelta(minutes=-1 if is_over else 15)
    made._keep(SimpleNamespace(plan=SimpleNamespace(id=name, expires_at=expires_at, items=range(items))))


def test_plans_are_kept_until_they_are_over_or_are_too_many() -> None:
    made = actions()
    for number in range(200):
        keep(made, str(number))
    assert len(made._plans) == 200
    keep(made, "another")
    assert (len(made._plans), next(iter(made._plans))) == (200, "1")
    keep(made, "over", is_over=True)
    assert (len(made._plans), next(iter(made._plans))) == (200, "1")


def test_the_oldest_plans_are_forgotten_when_all_together_name_too_much_and_the_latest_never_is() -> None:
    made = actions()
    for name, items, left in (
        ("a", 100_000, "a"), ("b", 100_000, "ab"), ("c", 0, "abc"), ("d", 1, "bcd"), ("e", 200_001, "e"), ("f", 1, "f"),
    ):  # fmt: skip
        keep(made, name, items=items)
        assert "".join(made._plans) == left


def run(number: int, state: RunState, closed: list[str]) -> Any:
    name = f"r-{number}"
    return SimpleNamespace(
        run=SimpleNamespace(id=name, state=state),
        summary=SimpleNamespace(plan_id=f"p-{number}"),
        events=SimpleNamespace(close=lambda: closed.append(name)),
    )


@pytest.mark.parametrize(("count", "forgotten"), [(200, []), (201, ["r-1"]), (203, ["r-1", "r-2", "r-4"])])
def test_the_oldest_runs_that_have_ended_are_forgotten_with_their_plans(count: int, forgotten: list[str]) -> None:
    made, closed = actions(), list[str]()
    for number in range(count):
        state = RunState.RUNNING if number in {0, 3} else STATES[0] if number % 2 else RunState.FINISHED
        made._runs[f"r-{number}"] = run(number, state, closed)
        made._plans[f"p-{number}"] = "a plan"
    made._forget_ended()
    assert closed == forgotten
    assert [name for name in (f"r-{number}" for number in range(count)) if name not in made._runs] == forgotten
    assert len(made._plans) == count - len(forgotten)


def test_rehearsals_are_those_of_the_plans_that_are_kept() -> None:
    made, kept = actions(), list[list[str]]()
    made._rehearsals = SimpleNamespace(keep_only=lambda plans: kept.append(list(plans)))
    keep(made, "a")
    keep(made, "over", is_over=True)
    assert kept == [["a"], ["a"]]


def test_at_the_end_each_run_stops_before_its_next_wave_and_its_streams_end() -> None:
    made, ended = actions(), list[str]()
    for name in ("r-1", "r-2"):
        made._runs[name] = SimpleNamespace(
            run=SimpleNamespace(stop=lambda name=name: ended.append(f"run {name}")),
            events=SimpleNamespace(close=lambda name=name: ended.append(f"streams of {name}")),
        )
    made.close()
    assert ended == ["run r-1", "streams of r-1", "run r-2", "streams of r-2"]
