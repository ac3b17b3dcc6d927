"""Parked keys: what each waits for, and its head tried again or done without."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from contracts import AttemptCharge, ProcessPayment
from ensemble.command_line.connection import session_on
from ensemble.command_line.output_format import JSON
from ensemble.command_line.publishing import publish
from ensemble.command_line.redrive import RedriveOptions, carry_out
from ensemble.operations import (
    Intent,
    NotFound,
    ParkedKeyFilter,
    ParkedKeys,
    RedrivePlan,
    describe_parked_key,
    find_parked_key,
    find_parked_keys,
    summarize_parked_key,
)
from ensemble.operations.redrives import REDRIVES
from tests.support.order_messages import attempt_charge, place_order, process_payment
from tests.support.order_states import all_states


@pytest.fixture
def waiting(flow: Any) -> Any:
    """A charge that is tried again by and by, with a command behind it."""
    flow.gateway.available = False
    publish(flow, place_order())
    flow.settle()
    flow.stopped = {"orchestrator"}
    publish(flow, process_payment(attempt=2))
    flow.settle()
    return flow


def run(keys: ParkedKeys, plan: RedrivePlan, intent: Intent) -> int:
    rollout = REDRIVES.model_copy(update={"timeout_s": 1})
    return carry_out(keys.run(plan, intent, rollout), plan, RedriveOptions(intent, output=JSON))


def test_says_what_a_parked_key_waits_for(waiting: Any) -> None:
    (parked,) = find_parked_keys(session_on(waiting), ParkedKeyFilter())

    row = summarize_parked_key(parked)

    assert (row.service, row.key, row.status, row.depth) == ("payment", "o-1", "retrying", 2)
    assert (row.head, row.attempts, row.error) == ("AttemptCharge", 1, "RetryableError")
    assert row.since is not None
    assert row.next_attempt_at is not None
    assert row.since < row.next_attempt_at
    assert row.blocked_on == ""


def test_describes_the_records_in_the_order_in_which_they_will_be_handled(waiting: Any) -> None:
    records = describe_parked_key(session_on(waiting), find_parked_key(session_on(waiting), "o-1", None)).records

    assert [(record.type, record.fields["attempt"], record.is_edited) for record in records] == [
        (AttemptCharge.__name__, 1, False),
        (ProcessPayment.__name__, 2, False),
    ]
    assert (records[0].position.topic, records[0].problem) == ("payments.commands", None)


@pytest.mark.parametrize(
    ("key_filter", "count"),
    [
        (ParkedKeyFilter(service="payment", status="retrying", key="o-1"), 1),
        (ParkedKeyFilter(service="order"), 0),
        (ParkedKeyFilter(status="paused"), 0),
        (ParkedKeyFilter(key="o-2"), 0),
    ],
)
def test_finds_what_all_filters_take(waiting: Any, key_filter: ParkedKeyFilter, count: int) -> None:
    assert len(find_parked_keys(session_on(waiting), key_filter)) == count


def test_a_key_that_is_not_parked_is_a_mistake(waiting: Any) -> None:
    with pytest.raises(NotFound, match="'o-9' is not parked in payment"):
        find_parked_key(session_on(waiting), "o-9", "payment")
    with pytest.raises(NotFound, match=r"'o-9' is not parked$"):
        find_parked_key(session_on(waiting), "o-9", None)


def test_oldest_keys_come_first(waiting: Any) -> None:
    waiting.advance(1)
    publish(waiting, attempt_charge(order_id="a-2"))
    assert [parked.name for parked in find_parked_keys(session_on(waiting), ParkedKeyFilter())] == ["o-1", "a-2"]


def test_a_head_that_is_tried_now_succeeds_and_what_waits_behind_it_follows(
    waiting: Any, intent: Intent, printed: Callable[[], Any]
) -> None:
    waiting.gateway.available = True
    keys = ParkedKeys(session_on(waiting))

    assert run(keys, keys.plan_retry("o-1"), intent) == 0

    (row,) = printed()
    assert (row["type"], row["outcome"]) == ("AttemptCharge", "succeeded")
    assert row["place"].startswith("payments.commands/")
    assert find_parked_keys(session_on(waiting), ParkedKeyFilter()) == []
    waiting.stopped = set()
    assert all_states(waiting)["o-1"]["status"] == "completed"


def test_a_head_that_is_a_dead_letter_is_redriven_as_such(waiting: Any) -> None:
    waiting.advance(60)
    parked = find_parked_key(session_on(waiting), "o-1", None)
    assert summarize_parked_key(parked).status == "dead_lettered"

    (item,) = ParkedKeys(session_on(waiting)).plan_retry("o-1").items

    assert item.name.startswith("payment.dead-letter/")
    assert item.generation == 0


def test_a_head_that_is_discarded_lets_the_next_one_go(
    waiting: Any, intent: Intent, printed: Callable[[], Any]
) -> None:
    keys = ParkedKeys(session_on(waiting))

    assert run(keys, keys.plan_discard("o-1"), intent) == 0

    assert printed()[0]["outcome"] == "discarded"
    (record,) = describe_parked_key(session_on(waiting), find_parked_key(session_on(waiting), "o-1", None)).records
    assert (record.type, record.fields["attempt"]) == (AttemptCharge.__name__, 2)
