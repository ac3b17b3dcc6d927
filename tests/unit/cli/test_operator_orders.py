"""Which orders an operator means, and what an action would do with them."""

from typing import Any

import pytest

from cli.order_actions import CANCEL, PAUSE, RETRY, Action, resume_action, settle_action
from cli.order_commands import blocked_by_dead_letter
from cli.order_filter import parse_conditions
from contracts import OrderState
from ensemble.command_line.errors import Mistake
from ensemble.operations import Actor, Intent, Parked
from ensemble.saga import advance
from ensemble.system_messages.state import ParkedKey
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
    effects = CANCEL.does(state())
    assert effects.index("shipment: cancel the shipment") < effects.index(
        "reservation: release 2 tea in warehouse berlin"
    )
    assert effects.endswith("payment: refund 9.00 EUR (charge ch-1)")


@pytest.mark.parametrize(
    ("action", "changes", "reason"),
    [
        (PAUSE, {"status": "completed"}, "already completed"),
        (PAUSE, {"paused_since": 1, "paused_by": "operator ben"}, "already paused (by operator ben)"),
        (resume_action(past_pause=False), {}, "not paused"),
        (RETRY, {"paused_since": 1}, "resume it"),
        (CANCEL, {"status": "compensating"}, "already being compensated"),
        (settle_action(()), {}, "owes nothing"),
        (settle_action(("shipment",)), {"owed": ("payment",)}, "but payment"),
    ],
)
def test_what_would_change_nothing_says_why(action: Action, changes: dict[str, Any], reason: str) -> None:
    assert reason in action.why_not(state(**changes))


def test_a_retry_is_bound_to_the_attempt_that_was_seen() -> None:
    command = RETRY.command(state(attempt=2), ANN).model_dump()
    assert (command["step"], command["after_attempt"], command["requested_by"]) == ("reservation", 2, "ann")


def test_all_that_is_owed_is_settled_unless_steps_are_named() -> None:
    owing = state(owed=("payment", "shipment"))
    assert settle_action(()).command(owing, ANN).model_dump()["steps"] == ("payment", "shipment")
    assert settle_action(("payment",)).command(owing, ANN).model_dump()["steps"] == ("payment",)


def test_what_is_sent_again_is_stuck_behind_its_own_dead_letter_only() -> None:
    def parked(key: str, status: str) -> Parked:
        entry = ParkedKey.model_validate({"status": status, "first": 0, "next": 1, "since": 1})
        return Parked("payment", 0, key.encode(), entry, ())

    shelf = [parked("o-1", "dead_lettered"), parked("o-2", "dead_lettered"), parked("o-3", "retrying")]
    assert [each.name for each in blocked_by_dead_letter(shelf, {"o-1", "o-3"})] == ["o-1"]
