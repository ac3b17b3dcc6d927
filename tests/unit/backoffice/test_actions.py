"""What each action does to an order, why it would change nothing, and the command that it becomes."""

from __future__ import annotations

from typing import Any

import pytest

from backoffice.effect_text import describe_effect
from backoffice.order_actions import (
    ORDER_ACTIONS,
    Compensate,
    Pause,
    Resume,
    Retry,
    Settle,
    TurnBack,
    order_saga,
)
from backoffice.orders import UNREADABLE, summary_of
from contracts import RetryOrder
from ensemble.operations import Actor, Intent, Invalid, NotPossible
from services.app import APP
from tests.support.order_saga_driver import PAID, PLACED, RESERVED, OrderSaga

SAGA, _ = order_saga(APP, APP.make_services())
WAITING = {"order_id": "o-1", "status": "fulfilled", "step": "reservation", "attempt": 2}
PAUSED = {**WAITING, "paused_since": 5, "paused_by": "step reservation", "paused_reason": "strike"}
OWING = {"order_id": "o-1", "status": "compensation_failed", "owed": ("payment", "shipment")}
ENDED = {"order_id": "o-1", "status": "completed"}
BETWEEN = {"order_id": "o-1", "status": "fulfilled"}
INTENT = Intent(actor=Actor(name="ann", via="cli"), reason="mended")


def why_not(action: Any, state: dict[str, Any]) -> str:
    skipped = action.why_not(summary_of("o-1", state, 1, (0, 0)))
    return "" if skipped is None else f"{skipped.why} {skipped.detail}".strip()


@pytest.mark.parametrize(
    ("state", "reasons"),
    [
        (WAITING, {"resume": "not_paused", "settle": "owes_nothing"}),
        (PAUSED, {"pause": "paused_already step reservation", "retry": "paused", "settle": "owes_nothing"}),
        (OWING, {"resume": "not_paused", "cancel": "nothing_to_undo", "compensate": "nothing_to_undo"}),
        ({**WAITING, "status": "compensating"},
         {"resume": "not_paused", "cancel": "compensating", "compensate": "compensating", "settle": "owes_nothing"}),
        (BETWEEN, {"resume": "not_paused", "retry": "nothing_under_way", "settle": "owes_nothing"}),
        (ENDED, {**dict.fromkeys(("pause", "retry", "cancel", "compensate"), "ended completed"),
                 "resume": "not_paused", "settle": "owes_nothing"}),
    ],
    ids=["waiting", "paused", "owing", "turned back", "between steps", "ended"],
)  # fmt: skip
def test_an_action_says_why_it_would_change_nothing(state: dict[str, Any], reasons: dict[str, str]) -> None:
    assert {kind: why for kind, make in ORDER_ACTIONS.items() if (why := why_not(make(), state))} == reasons


def test_no_action_is_taken_on_an_order_that_cannot_be_read() -> None:
    state = {"status": UNREADABLE, "reason": "schema id 7"}
    assert {why_not(make(), state) for make in ORDER_ACTIONS.values()} == {"unreadable schema id 7"}


def test_only_what_is_owed_is_settled() -> None:
    assert why_not(Settle(steps=("reservation",)), OWING) == "owes_others payment, shipment"
    assert why_not(Settle(steps=("reservation", "shipment")), OWING) == ""
    for steps, settled in (((), ("payment", "shipment")), (("shipment", "reservation"), ("shipment",))):
        command = Settle(steps=steps).command("o-1", OWING, INTENT)
        assert getattr(command, "steps", None) == settled


def test_a_command_names_who_asks_why_and_what_was_seen() -> None:
    retry = Retry().command("o-1", WAITING, INTENT)
    assert isinstance(retry, RetryOrder)
    assert (retry.order_id, retry.requested_by, retry.reason) == ("o-1", "ann", "mended")
    assert (retry.step, retry.after_attempt) == ("reservation", 2)
    again = Retry().command("o-1", OWING, INTENT)
    assert (getattr(again, "step", None), getattr(again, "after_attempt", None)) == ("", 0)
    assert getattr(Resume(past_pause=True).command("o-1", PAUSED, INTENT), "past_pause", None) is True


def test_a_command_that_its_contract_does_not_allow_names_the_field() -> None:
    with pytest.raises(Invalid, match="PauseOrder of o-1 is not valid: reason") as refused:
        Pause().command("o-1", WAITING, INTENT.model_copy(update={"reason": "x" * 10_000}))
    assert refused.value.subject == "o-1"


@pytest.mark.parametrize(
    ("action", "state", "text"),
    [
        (Pause(), WAITING, "send no command until it is resumed"),
        (Retry(), WAITING, "send reservation again, as attempt 3"),
        (Retry(), OWING, "undo payment, shipment again"),
        (Resume(), PAUSED, "continue with reservation; paused by step reservation: strike"),
        (Resume(), {**WAITING, "paused_since": 5}, "continue with reservation"),
        (
            Settle(),
            {**OWING, "shipment_id": "s-1", "owed": ("shipment",), "done": ("shipment",)},
            "record as settled: cancel the shipment (id s-1)",
        ),
        (
            Resume(),
            {**PAUSED, "done": ("reservation",)},
            "continue with the next step; paused by step reservation: strike",
        ),
        (Settle(), OWING, "record as settled: undo payment; cancel the shipment (unconfirmed)"),
        (Compensate(), PAUSED, "nothing has begun, so nothing to undo (once it is resumed)"),
        (
            Compensate(),
            OrderSaga(PLACED, PAID).state.model_dump(),
            (
                "undo shipment: cancel the shipment (unconfirmed); reservation: release 2 tea in warehouse berlin "
                "(unconfirmed); payment: refund 9.00 EUR"
            ),
        ),
        (
            Compensate(),
            {**WAITING, "attempt": "many"},
            "undo what has begun; its state is of a newer release and cannot be read in full",
        ),
    ],
)
def test_an_effect_is_told_in_words(action: Any, state: dict[str, Any], text: str) -> None:
    assert describe_effect(action.effect(state, SAGA)) == text


def test_a_rollback_undoes_the_latest_step_first_and_keeps_the_pause() -> None:
    state = OrderSaga(PLACED, PAID, RESERVED).state.model_dump()
    effect = Compensate().effect({**state, "paused_since": 5}, SAGA)
    assert isinstance(effect, TurnBack)
    assert effect.undos is not None
    assert ([undo.step for undo in effect.undos], effect.is_paused) == (["shipment", "reservation", "payment"], True)


def test_an_application_without_a_saga_of_orders_is_told() -> None:
    with pytest.raises(NotPossible, match="has no saga of orders"):
        order_saga(APP, [service for service in APP.make_services() if service.name != "orchestrator"])
