"""What operators have done with orders: which are meant, what is sent, and what is said of the outcome."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from backoffice.order_actions import Cancel, Compensate, OrderAction, Pause, Resume, Retry, Settle
from backoffice.order_filter import OrderFilter
from cli.order_commands import CommandOptions, Target, act
from cli.order_filter import parse_conditions
from ensemble.command_line.errors import Mistake
from ensemble.command_line.output_format import JSON
from ensemble.command_line.publishing import publish
from ensemble.operations import Intent, NotFound, NotPossible, Rollout
from tests.support.order_messages import place_order
from tests.support.order_states import all_states

RESUME, PAUSE, RETRY, COMPENSATE, CANCEL = Resume(), Pause(), Retry(), Compensate(), Cancel()
ONE = Target("o-1", OrderFilter())


@pytest.fixture
def under_way(flow: Any) -> Any:
    """Two orders whose reservation is awaited."""
    flow.stopped = {"inventory"}
    for name in ("o-1", "o-2"):
        publish(flow, place_order(order_id=name))
    flow.settle()
    return flow


def run(flow: Any, intent: Intent, action: OrderAction, target: Target = ONE, **options: Any) -> int:
    return act(flow, action, target, CommandOptions(intent, output=JSON, timeout_s=0.3, **options))


def where(*conditions: str) -> Target:
    return Target(None, parse_conditions(conditions))


def test_pauses_one_order_and_lets_it_go_on(under_way: Any, intent: Intent, printed: Callable[[], Any]) -> None:
    assert run(under_way, intent, PAUSE) == 0
    assert printed() == [
        {
            "order": "o-1",
            "was": "fulfilled, reservation",
            "is": "fulfilled, reservation, paused by operator ann",
            "taken": True,
        }
    ]
    assert all_states(under_way)["o-1"]["paused_reason"] == "mended"
    assert all_states(under_way)["o-2"].get("paused_since") is None

    assert run(under_way, intent, RESUME) == 0
    assert printed()[0]["is"] == "fulfilled, reservation"


def test_an_order_that_the_orchestrator_does_not_take_in_time_is_told(
    under_way: Any, intent: Intent, printed: Callable[[], Any]
) -> None:
    under_way.stopped |= {"orchestrator"}
    assert run(under_way, intent, PAUSE) == 1
    assert printed()[0]["taken"] is False


def test_a_command_that_would_change_nothing_is_a_mistake(under_way: Any, intent: Intent) -> None:
    for action, why in (
        (RESUME, "cannot resume o-1: it is not paused"),
        (Settle(), "cannot settle o-1: it owes nothing"),
    ):
        with pytest.raises(NotPossible, match=why):
            run(under_way, intent, action)
    with pytest.raises(NotFound, match="no order 'o-9'"):
        run(under_way, intent, PAUSE, Target("o-9", OrderFilter()))


def test_a_preview_changes_nothing_and_shows_what_would_follow(
    under_way: Any, intent: Intent, printed: Callable[[], Any]
) -> None:
    assert run(under_way, intent, COMPENSATE, where("status=fulfilled"), dry_run=True) == 0
    rows = printed()
    assert [row["order"] for row in rows] == ["o-1", "o-2"]
    assert rows[0]["would"].startswith("undo shipment: ")
    assert "payment: refund 5.00 EUR" in rows[0]["would"]
    assert all_states(under_way)["o-1"]["status"] == "fulfilled"


def test_several_orders_are_asked_about_and_without_an_answer_nothing_is_done(
    under_way: Any, intent: Intent, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Mistake, match=r"pause 2 orders on memory:9092\? No terminal to confirm on"):
        run(under_way, intent, PAUSE, where("status=fulfilled"))
    said = capsys.readouterr().err
    assert "o-1  fulfilled, reservation  send no command until it is resumed" in said
    assert all_states(under_way)["o-1"].get("paused_since") is None

    assert run(under_way, intent, PAUSE, where("status=fulfilled"), yes=True) == 0
    assert {state["paused_by"] for state in all_states(under_way).values()} == {"operator ann"}


def test_no_matching_order_is_no_failure(under_way: Any, intent: Intent, printed: Callable[[], Any]) -> None:
    assert run(under_way, intent, PAUSE, where("status=completed")) == 0
    assert printed() == []


def test_a_retry_is_the_next_attempt_and_a_second_one_has_no_effect(under_way: Any, intent: Intent) -> None:
    assert run(under_way, intent, RETRY) == 0
    assert all_states(under_way)["o-1"]["attempt"] == 2


def test_a_cancellation_undoes_what_was_done(under_way: Any, intent: Intent) -> None:
    assert run(under_way, intent, CANCEL) == 0
    under_way.stopped = set()
    under_way.settle()
    assert all_states(under_way)["o-1"]["status"] == "cancelled"
    assert under_way.gateway.captured == {"o-2:charge": 500}


def test_an_order_that_has_ended_cannot_be_cancelled(flow: Any, intent: Intent) -> None:
    publish(flow, place_order())
    flow.settle()
    with pytest.raises(NotPossible, match="cannot cancel o-1: it is already completed"):
        run(flow, intent, CANCEL)


def test_paused_orders_go_on_in_waves(under_way: Any, intent: Intent, printed: Callable[[], Any]) -> None:
    run(under_way, intent, PAUSE, where("status=fulfilled"), yes=True)
    printed()
    under_way.stopped = set()

    target = where("paused=true")
    assert run(under_way, intent, RESUME, target, yes=True, rollout=Rollout(probe=1, wave=1, timeout_s=1)) == 0

    assert [(row["order"], row["wave"], row["outcome"], row["is"]) for row in printed()] == [
        ("o-1", 0, "progressed", "completed"),
        ("o-2", 1, "progressed", "completed"),
    ]


def test_waves_end_with_a_probe_that_makes_no_progress(
    under_way: Any, intent: Intent, capsys: pytest.CaptureFixture[str]
) -> None:
    run(under_way, intent, PAUSE, where("status=fulfilled"), yes=True)

    target, rollout = where("paused=true"), Rollout(probe=1, wave=1, timeout_s=0.1)
    assert run(under_way, intent, RESUME, target, yes=True, rollout=rollout) == 1

    assert "1 of 1 failed or made no progress" in capsys.readouterr().err
    assert all_states(under_way)["o-2"]["paused_since"] is not None


def test_a_target_is_one_order_or_conditions() -> None:
    for target in (Target(None, OrderFilter()), Target("o-1", parse_conditions(["status=fulfilled"]))):
        with pytest.raises(Mistake, match="ORDER_ID"):
            target.check()
    ONE.check()
    where("status=fulfilled").check()
