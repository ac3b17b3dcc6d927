"""What became of an order that was resumed, and how waves are asked for."""

from typing import Any

import pytest

from backoffice.order_runs import OrderOutcome, progress_of
from cli.options import Waves
from ensemble.operations import Rollout

BEFORE: dict[str, Any] = {"status": "payment_pending", "step": "payment", "done": [], "paused_since": 5}


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        ({"paused_since": None}, None),
        ({"paused_since": None, "attempt": 2}, None),
        ({"paused_since": None, "done": ["payment"], "step": "reservation"}, OrderOutcome.PROGRESSED),
        ({"paused_since": None, "status": "cancelled"}, OrderOutcome.PROGRESSED),
        ({"paused_since": 9}, OrderOutcome.FAILED),
        ({"paused_since": None, "failed": ["payment"]}, OrderOutcome.FAILED),
        ({"paused_since": None, "status": "compensating"}, OrderOutcome.FAILED),
    ],
    ids=["sent", "resent", "answered", "ended", "paused again", "refused", "turned back"],
)
def test_an_answer_moves_an_order_on(after: dict[str, Any], outcome: OrderOutcome | None) -> None:
    verdict = progress_of(BEFORE, {**BEFORE, **after})
    assert (verdict and verdict.outcome) is outcome


def test_flags_that_are_not_given_leave_the_rollout_as_it_is() -> None:
    assert Waves().rollout(60.0) == Rollout()
