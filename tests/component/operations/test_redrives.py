"""Dead letters and parked keys, planned and run by programs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from ensemble.command_line.connection import sources
from ensemble.command_line.publishing import publish
from ensemble.operations import (
    Actor,
    DeadLetterFilter,
    DeadLetters,
    Intent,
    NotFound,
    ParkedKeys,
    Position,
    RedriveItem,
    RedrivePlan,
    Resolved,
    Rollout,
    Run,
    Session,
    find_dead_letter,
)
from services.app import APP
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order
from tests.support.order_states import all_states

OF_PAYMENT = DeadLetterFilter(service="payment")
SOON = Rollout(probe=0, wave=100, max_failed=1, timeout_s=0.3)


def intent(name: str = "ann") -> Intent:
    return Intent(actor=Actor(name=name, via="control-room"), reason="mended")


@pytest.fixture
def flow() -> Iterator[Any]:
    """Two charges that payment has given up while its provider was away; it is back."""
    with capture_logs():
        flow: Any = FlowInMemory()
        flow.gateway.available = False
        for name in ("o-1", "o-2"):
            publish(flow, place_order(order_id=name))
        flow.settle()
        flow.stopped = {"orchestrator"}
        flow.advance(60)
        flow.gateway.available = True
        flow.stopped = set()
        flow.settle()
        yield flow


@pytest.fixture
def session(flow: Any) -> Session:
    return Session(APP, flow, sources())


@pytest.fixture
def letters(session: Session) -> DeadLetters:
    return DeadLetters(session)


def outcomes(run: Run[RedriveItem]) -> list[tuple[str, bool]]:
    return [(event.outcome, event.is_good) for event in run.events() if isinstance(event, Resolved)]


def test_a_plan_lists_what_would_be_delivered_again_and_changes_nothing(flow: Any, letters: DeadLetters) -> None:
    calls = len(flow.gateway.calls)
    plan = letters.plan_redrive(OF_PAYMENT)

    assert {item.key for item in plan.items} == {"o-1", "o-2"}
    item = plan.items[0]
    assert (item.service, item.type, item.error) == ("payment", "AttemptCharge", "RetryableError")
    assert item.name == str(item.dead_letter)
    assert letters.plan_redrive(OF_PAYMENT, limit=1).items == (item,)
    assert len(flow.gateway.calls) == calls
    assert RedrivePlan.model_validate_json(plan.model_dump_json()) == plan


def test_what_is_redriven_says_who_asked_and_through_which_program(flow: Any, letters: DeadLetters) -> None:
    assert outcomes(letters.run(letters.plan_redrive(OF_PAYMENT), intent())) == [("succeeded", True)] * 2
    assert {state["status"] for state in all_states(flow).values()} == {"completed"}
    *_, command = flow.read(flow.places(["payment.control"]))
    assert command.headers["ce_source"] == b"/control-room"


def test_a_plan_that_is_run_again_with_the_same_intent_has_no_second_effect(flow: Any, letters: DeadLetters) -> None:
    plan, same = letters.plan_redrive(OF_PAYMENT), intent()
    outcomes(letters.run(plan, same))
    charged = len(flow.gateway.calls)
    assert {outcome for outcome, _ in outcomes(letters.run(plan, same))} <= {"nothing_to_do", "succeeded"}
    assert len(flow.gateway.calls) == charged


def test_what_is_settled_already_is_skipped_with_its_status(letters: DeadLetters) -> None:
    everything = DeadLetterFilter(service="payment", open_only=False)
    discarded = letters.plan_discard(everything, limit=1)
    outcomes(letters.run(discarded, intent("bob")))

    plan = letters.plan_redrive(everything)

    name = discarded.items[0].name
    assert [(each.name, each.why, each.detail) for each in plan.skipped] == [(name, "discarded", "bob")]
    assert [item.name == name for item in plan.items] == [False]


def test_an_edit_is_in_the_plan_and_replaces_the_value(flow: Any, session: Session, letters: DeadLetters) -> None:
    (item,) = letters.plan_redrive(OF_PAYMENT, limit=1).items
    fields = {**find_dead_letter(session, item.name).entry.fields, "payment_token": "tok_declined"}

    plan = letters.plan_redrive([Position.model_validate(item.dead_letter)], edit=fields)
    assert RedrivePlan.model_validate_json(plan.model_dump_json()).edited == plan.edited
    outcomes(letters.run(plan, intent()))

    assert flow.gateway.calls[-1].payment_token == "tok_declined"


def test_a_service_that_is_down_has_not_answered(flow: Any, letters: DeadLetters) -> None:
    plan = letters.plan_redrive(OF_PAYMENT, limit=1)
    flow.stopped = {"payment"}
    assert outcomes(letters.run(plan, intent(), SOON)) == [("no_answer", False)]


def test_the_first_record_of_a_parked_key_is_retried(session: Session) -> None:
    keys = ParkedKeys(session)
    assert outcomes(keys.run(keys.plan_retry("o-1", "payment"), intent())) == [("succeeded", True)]
    with pytest.raises(NotFound, match="'o-1' is not parked"):
        keys.plan_discard("o-1")


def test_two_threads_redrive_at_once_with_the_same_object(flow: Any, letters: DeadLetters) -> None:
    results: list[object] = []

    def work(key: str) -> None:
        try:
            plan = letters.plan_redrive(DeadLetterFilter(service="payment", key=key))
            results.append(outcomes(letters.run(plan, intent(key))))
        except BaseException as problem:  # noqa: BLE001  compared below, in the thread of the test
            results.append(problem)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("o-1", "o-2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)

    assert results == [[("succeeded", True)]] * 2
    assert {state["status"] for state in all_states(flow).values()} == {"completed"}
