"""What became of an order that was resumed, and how waves are asked for."""

from typing import Any

import pytest

from backoffice.order_runs import OrderOutcome, progress_of
from cli.options import Waves
from cli.order_commands import reason_of_stop
from ensemble.operations import Rollout, Stopped, WaveFinished

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


LAST = WaveFinished(wave=1, names=("o-1", "o-2"), failed=("o-2",))


@pytest.mark.parametrize(
    ("wave", "stopped", "words"),
    [
        (LAST, Stopped(why="requested", remaining=3), "stopped, as `ensemble runs stop` asked; 3 orders left paused"),
        (None, Stopped(why="requested", remaining=0), "stopped, as `ensemble runs stop` asked"),
        (LAST, Stopped(why="error", detail="gone", remaining=3), "stopped by an error; 3 orders left paused"),
        (
            LAST,
            Stopped(why="too_many_failed", remaining=0),
            "stopped: 1 of 2 failed or made no progress (--failure-limit 20%): o-2",
        ),
        (None, Stopped(why="too_many_failed", remaining=0), ""),
    ],
)
def test_waves_that_stop_say_why(wave: WaveFinished | None, stopped: Stopped, words: str) -> None:
    assert reason_of_stop(wave, stopped, Rollout()) == words


def test_flags_that_are_not_given_leave_the_rollout_as_it_is() -> None:
    assert Waves().rollout(60.0) == Rollout()
