"""Which orders an operator means, and what an action would do with them."""

from typing import Any

import pytest

from backoffice.effect_text import describe_effect
from backoffice.order_actions import Cancel, OrderAction, Pause, Resume, Retry, Settle, describe_why_not
from backoffice.orders import summary_of
from cli.order_filter import parse_conditions
from contracts import OrderState
from ensemble.command_line.errors import Mistake
from ensemble.operations import Actor, Intent
from ensemble.saga import advance
from services.orchestrator.domain import note
from services.orchestrator.fulfilment import ORDER_FULFILMENT
from tests.support.order_saga_driver import PAID, PLACED, POLICIES

ANN = Intent(actor=Actor(name="ann", via="cli"), reason="audit")
HOUR_MS = 3_600_000


def state(**changes: Any) -> dict[str, Any]:
    """An express order whose payment was captured, with its reservation under way."""
    begun = OrderState(order_id="o-1")
    for event in (PLACED, PAID):
        saga = note(begun, event, "m-1")
        begun = advance(ORDER_FULFILMENT, saga, event, now=1, policies=POLICIES).state
    return {**begun.model_dump(), "updated_at": HOUR_MS, **changes}


@pytest.mark.parametrize(
    ("conditions", "is_meant"),
    [
        (["status=fulfilled"], True),
        (["status=completed", "status=fulfilled"], True),
        (["status=fulfilled", "step=payment"], False),
        (["step!=payment"], True),
        (["customer=c-*", "warehouse=berlin"], True),
        (["paused=true"], False),
        (["idle>1h"], True),
        (["idle>3h"], False),
        (["age<1d"], True),
        (["overdue=true"], True),
        (["owed=false"], True),
    ],
    ids=str,
)
def test_conditions_choose_orders(conditions: list[str], is_meant: bool) -> None:
    assert parse_conditions(conditions).takes(state(due_at=1), 3 * HOUR_MS) is is_meant


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("color=red", "no field 'color'; fields are order, status"),
        ("status", "FIELD=VALUE"),
        ("status=lost", "statuses are placeholder, payment_pending"),
        ("age=2h", "age>2h"),
        ("age>soon", "cannot parse 'soon'"),
        ("paused=maybe", "true or false"),
        ("step>payment", "as = or !="),
    ],
)
def test_a_wrong_condition_says_what_there_is(condition: str, reason: str) -> None:
    with pytest.raises(Mistake, match=f"--where.*{reason}"):
        parse_conditions([condition])


def test_a_preview_of_a_cancellation_says_what_is_taken_back_the_latest_first() -> None:
    effects = describe_effect(Cancel().effect(state(), ORDER_FULFILMENT))
    assert effects.index("shipment: cancel the shipment") < effects.index(
        "reservation: release 2 tea in warehouse berlin"
    )
    assert effects.endswith("payment: refund 9.00 EUR (charge ch-1)")


@pytest.mark.parametrize(
    ("action", "changes", "reason"),
    [
        (Pause(), {"status": "completed"}, "already completed"),
        (Pause(), {"paused_since": 1, "paused_by": "operator ben"}, "already paused (by operator ben)"),
        (Resume(), {}, "not paused"),
        (Retry(), {"paused_since": 1}, "resume it"),
        (Cancel(), {"status": "compensating"}, "already being compensated"),
        (Settle(), {}, "owes nothing"),
        (Settle(steps=("shipment",)), {"owed": ("payment",)}, "but payment"),
    ],
)
def test_what_would_change_nothing_says_why(action: OrderAction, changes: dict[str, Any], reason: str) -> None:
    skipped = action.why_not(summary_of("o-1", state(**changes), 0, (0, 0)))
    assert skipped is not None
    assert reason in describe_why_not(skipped)


def test_a_retry_is_bound_to_the_attempt_that_was_seen() -> None:
    command = Retry().command("o-1", state(attempt=2), ANN).model_dump()
    assert (command["step"], command["after_attempt"], command["requested_by"]) == ("reservation", 2, "ann")


def test_all_that_is_owed_is_settled_unless_steps_are_named() -> None:
    owing = state(owed=("payment", "shipment"))
    assert Settle().command("o-1", owing, ANN).model_dump()["steps"] == ("payment", "shipment")
    assert Settle(steps=("payment",)).command("o-1", owing, ANN).model_dump()["steps"] == ("payment",)


def test_what_may_not_have_happened_is_not_said_to_have_happened() -> None:
    uncertain = Cancel().effect(state(done=()), ORDER_FULFILMENT)
    assert "(unconfirmed)" in describe_effect(uncertain)
