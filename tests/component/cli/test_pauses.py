"""Pauses of a step, a command type or a service: who knows of them, what they hold, and how it goes on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cli.pause_commands import ResumeOptions, resume
from ensemble.command_line.connection import session_on
from ensemble.command_line.output_format import JSON
from ensemble.command_line.pause_commands import carry_out
from ensemble.command_line.publishing import publish
from ensemble.operations import Intent, NotFound, Rollout, WorkPauses, list_pauses, wide_pause
from ensemble.system_messages import Scope
from services.app import APP
from tests.support.order_messages import place_order
from tests.support.order_states import all_states

Pausable = tuple[Scope, str]
STEP: Pausable = ("step", "reservation")


def pause(flow: Any, what: Pausable, options: ResumeOptions) -> int:
    session = session_on(flow)
    return carry_out(session, WorkPauses(session).plan_start(*what), options)


@pytest.fixture
def options(intent: Intent) -> ResumeOptions:
    return ResumeOptions(intent, timeout_s=0.5, yes=True, rollout=Rollout(probe=1, wave=5, timeout_s=0.5), output=JSON)


def test_a_pause_is_acknowledged_by_every_partition_and_listed(
    flow: Any, options: ResumeOptions, printed: Callable[[], Any]
) -> None:
    assert pause(flow, STEP, options) == 0

    (service,) = printed()["services"]
    assert (service["service"], service["acknowledged"], service["missing"]) == (
        "orchestrator",
        service["partitions"],
        [],
    )
    [listed] = list_pauses(session_on(flow))
    assert (listed.scope, listed.name, listed.requested_by, listed.reason) == ("step", "reservation", "ann", "mended")
    assert listed.everywhere


def test_a_pause_that_a_service_has_not_read_says_where(
    flow: Any, options: ResumeOptions, printed: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    flow.stopped = {"payment"}

    assert pause(flow, ("command", "ProcessPayment"), options) == 1

    captured = capsys.readouterr()
    assert "payment[0], payment[1]" in captured.err
    assert "did not acknowledge within 0.5 s (--timeout)" in captured.err
    [listed] = list_pauses(session_on(flow))
    assert not listed.everywhere
    known = {each.service: (each.acknowledged, each.partitions) for each in listed.services}
    assert known == {"orchestrator": (4, 4), "payment": (0, 4)}


def test_orders_that_a_step_holds_go_on_in_waves_before_the_pause_ends(
    flow: Any, options: ResumeOptions, printed: Callable[[], Any]
) -> None:
    pause(flow, STEP, options)
    for name in ("o-1", "o-2", "o-3"):
        publish(flow, place_order(order_id=name))
    assert {state["paused_by"] for state in all_states(flow).values()} == {"step reservation"}
    printed()

    assert resume(flow, *STEP, options) == 0

    document = printed()
    assert [len(wave["orders"]) for wave in document["waves"]] == [1, 2]
    assert (document["lifted"], document["left_paused"]) == (True, [])
    assert list_pauses(session_on(flow)) == ()
    assert {state["status"] for state in all_states(flow).values()} == {"completed"}


def test_a_probe_that_fails_leaves_the_step_paused(
    flow: Any, options: ResumeOptions, printed: Callable[[], Any], capsys: pytest.CaptureFixture[str]
) -> None:
    pause(flow, STEP, options)
    for name in ("o-1", "o-2"):
        publish(flow, place_order(order_id=name))
    flow.settle()
    printed()
    flow.stopped = {"inventory"}

    assert resume(flow, *STEP, options) == 1

    captured = capsys.readouterr()
    assert '"lifted": false' in captured.out
    assert "stopped: 1 of 1 failed or made no progress" in captured.err
    assert list_pauses(session_on(flow))[0].name == "reservation"


def test_a_paused_service_is_told_together_with_those_that_send_to_it() -> None:
    assert wide_pause(APP, "service", "shipping").services == ("shipping", "orchestrator")
    assert wide_pause(APP, "command", "FulfilOrder").services == ("inventory", "orchestrator")
    assert wide_pause(APP, *STEP).services == ("orchestrator",)


@pytest.mark.parametrize(
    ("scope", "message"),
    [
        ("step", "no step 'x'; steps are payment, reservation, shipment"),
        ("command", "no command type 'x'"),
        ("service", "no service 'x'; services are order, payment"),
    ],
)
def test_a_name_that_nothing_has_is_a_mistake(scope: Any, message: str) -> None:
    with pytest.raises(NotFound, match=message):
        wide_pause(APP, scope, "x")


def test_commands_that_a_service_holds_go_on_once_its_pause_ends(
    flow: Any, options: ResumeOptions, printed: Callable[[], Any]
) -> None:
    shipping: Pausable = ("service", "shipping")
    pause(flow, shipping, options)
    publish(flow, place_order(shipping_speed="express"))
    flow.settle()
    assert all_states(flow)["o-1"]["status"] != "completed"
    printed()

    assert resume(flow, *shipping, options) == 0

    assert printed()["lifted"] is True
    assert all_states(flow)["o-1"]["status"] == "completed"
