"""The judgement of the chaos test: what must not be is found, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from ensemble.kafka.records import ReceivedRecord
from ensemble.operations import Entry, wide_pause
from ensemble.system_messages.operations import Scope
from services.app import APP
from tests.chaos.exits import Finding
from tests.chaos.operator import WorkPause
from tests.chaos.outcome_checks import check_outcomes

ASKED_AT, ANSWERED_AT, RESUMED_AT = 9_000, 10_000, 20_000
DURING = 15_000
PARTITIONS = 4


def entry(kind: str, sender: str, at: int, *, cause: str = "", message_id: str = "") -> Entry:
    headers = {"ce_source": f"/services/{sender}", "ce_causationid": cause, "ce_id": message_id or f"{kind}@{at}"}
    raw = {name: text.encode() for name, text in headers.items()}
    record = ReceivedRecord("any.topic", 0, at, at, b"o-1", b"", raw, tuple(raw.items()))
    return Entry(record, kind, "event", {"order_id": "o-1"})


def answers_to(pause: WorkPause) -> Mapping[Any, int]:
    asked = [(name, number, pause.operation_id) for name in pause.what.services for number in range(PARTITIONS)]
    return dict.fromkeys(asked, ANSWERED_AT)


def findings(
    entries: Sequence[Entry],
    pause: WorkPause | None = None,
    *,
    ending: str = "completed",
    expected: str = "completed",
    letters: Sequence[tuple[str, str]] = (),
    others: Sequence[WorkPause] = (),
) -> list[str]:
    """Return what is found about one order, and about one pause that every partition has answered."""

    def some(_: str, *types: str) -> list[Entry]:
        return [each for each in entries if not types or each.type in types]

    watcher = SimpleNamespace(entries=some, dead_letters=lambda _: letters, state=lambda _: None)
    system: Any = SimpleNamespace(watcher=watcher, ending=lambda _: ending, reason=lambda _: "because")
    operator_pauses = [*others, *([pause] if pause else [])]
    answered = {ask: at for each in operator_pauses for ask, at in answers_to(each).items()}
    parking: Any = SimpleNamespace(answers=SimpleNamespace(answered_at=answered), parked=list, pauses=list)
    operator: Any = SimpleNamespace(pauses=operator_pauses)
    order: Any = SimpleNamespace(order_id="o-1", kind=SimpleNamespace(ends=expected))
    return [finding.words for finding in check_outcomes(system, operator, parking, [order])]


def pause_of(scope: Scope, name: str) -> WorkPause:
    return WorkPause(wide_pause(APP, scope, name), "op-1", ASKED_AT, RESUMED_AT)


@pytest.mark.parametrize(
    ("scope", "name", "commands"),
    [
        ("step", "payment", ["ProcessPayment", "RefundPayment"]),
        ("step", "reservation", ["FulfilOrder", "ReleaseStock"]),
        ("step", "shipment", ["CancelShipment"]),
        ("command", "ReleaseStock", ["ReleaseStock"]),
        ("service", "shipping", ["CancelShipment"]),
    ],
)
def test_a_command_that_left_the_conductor_in_spite_of_a_pause_is_found(
    scope: Scope, name: str, commands: list[str]
) -> None:
    for command in commands:
        sent = [entry(command, "orchestrator", at) for at in (ANSWERED_AT - 1, DURING, RESUMED_AT + 1)]
        (found,) = findings(sent, pause_of(scope, name))
        assert found == f"{command} at any.topic/0/{DURING} left in spite of {scope} {name}"


@pytest.mark.parametrize(
    ("name", "is_asked_at", "is_ended_at", "count"),
    [
        ("payment", ASKED_AT - 5_000, DURING - 1, 0),
        ("payment", DURING - 2, DURING - 1, 0),
        ("payment", ASKED_AT - 5_000, ASKED_AT - 1, 1),
        ("payment", ASKED_AT - 5_000, DURING + 1, 2),
        ("reservation", ASKED_AT - 5_000, DURING - 1, 1),
    ],
    ids=["begun before", "begun meanwhile", "over before", "lasts as well", "of another step"],
)
def test_the_resume_of_another_pause_of_the_same_ends_both(
    name: str, is_asked_at: int, is_ended_at: int, count: int
) -> None:
    other = WorkPause(wide_pause(APP, "step", name), "op-0", is_asked_at, is_ended_at)
    found = findings([entry("ProcessPayment", "orchestrator", DURING)], pause_of("step", "payment"), others=[other])
    assert len([each for each in found if each.endswith("in spite of step payment")]) == count


def test_a_command_of_another_step_may_leave() -> None:
    assert findings([entry("FulfilOrder", "orchestrator", DURING)], pause_of("step", "payment")) == []


def test_a_reservation_may_be_nudged_while_its_step_is_paused() -> None:
    answered = entry("ReservationConfirmed", "inventory", ANSWERED_AT - 1)
    assert findings([answered, entry("FulfilOrder", "orchestrator", DURING)], pause_of("step", "reservation")) == []


@pytest.mark.parametrize(
    ("command", "sender", "effect", "owner"),
    [
        ("AttemptCharge", "payment", "PaymentConfirmed", "payment"),
        ("ScheduleShipment", "inventory", "ShipmentScheduled", "shipping"),
    ],
)
def test_what_a_participant_was_sent_by_another_is_not_done_while_it_is_paused(
    command: str, sender: str, effect: str, owner: str
) -> None:
    sent = entry(command, sender, ANSWERED_AT + 1, message_id="m-1")
    done = entry(effect, owner, DURING, cause="m-1")
    under_way = entry(effect, owner, ANSWERED_AT + 1_000, cause="m-1")
    other = entry(effect, owner, DURING, cause="m-2")
    assert findings([sent, under_way, other], pause_of("command", command)) == []
    (found,) = findings([sent, done], pause_of("command", command))
    assert found.startswith(f"{effect} at any.topic/0/{DURING} was done in spite of command {command}")


def test_a_paused_participant_does_nothing_at_all() -> None:
    assert findings([entry("PaymentConfirmed", "payment", RESUMED_AT + 1)], pause_of("service", "payment")) == []
    (found,) = findings([entry("PaymentConfirmed", "payment", DURING)], pause_of("service", "payment"))
    assert "was done in spite of service payment" in found


def test_a_pause_that_nobody_answered_is_found() -> None:
    pause = pause_of("service", "payment")
    parking: Any = SimpleNamespace(answers=SimpleNamespace(answered_at={}), parked=list, pauses=list)
    found = [each.words for each in check_outcomes(Any, SimpleNamespace(pauses=[pause]), parking, [])]  # type: ignore[arg-type]  # no order is looked at
    assert found == [
        "not every partition of payment has answered",
        "not every partition of orchestrator has answered",
    ]


def held_back(parked: Sequence[Any] = (), in_force: Sequence[str] = ()) -> list[Finding]:
    parking: Any = SimpleNamespace(
        answers=SimpleNamespace(answered_at={}), parked=lambda: parked, pauses=lambda: in_force
    )
    return list(check_outcomes(Any, SimpleNamespace(pauses=[]), parking, []))  # type: ignore[arg-type]  # no order is looked at


def test_a_key_that_is_still_parked_is_found() -> None:
    entry = SimpleNamespace(status="retrying", words="at attempt 3")
    key = SimpleNamespace(service="payment", name="o-1", entry=entry, head=SimpleNamespace(message="AttemptCharge"))
    assert held_back() == []
    assert held_back([key]) == [("parked", "payment o-1", "is still parked, retrying: AttemptCharge, at attempt 3")]


def test_a_pause_that_outlives_its_resume_is_found() -> None:
    assert held_back(in_force=["payment[0] step payment"]) == [
        ("pauses", "payment[0] step payment", "is still in force, though it was resumed")
    ]


def test_a_command_that_left_while_its_order_was_paused_is_found() -> None:
    paused, resumed = entry("OrderPaused", "orchestrator", 10), entry("OrderResumed", "orchestrator", 30, cause="r")
    by_the_resume = entry("FulfilOrder", "orchestrator", 20, cause="r")
    assert findings([paused, by_the_resume, resumed]) == []
    (found,) = findings([paused, entry("FulfilOrder", "orchestrator", 20), resumed])
    assert "left while it was paused" in found


@pytest.mark.parametrize(
    ("ending", "expected", "found"),
    [
        ("completed", "completed", []),
        ("cancelled", "", []),
        ("completed", "", []),
        ("", "completed", ["has not ended: its state says nothing"]),
        ("", "", ["has not ended: its state says nothing"]),
        ("cancelled", "completed", ["is cancelled, and had to be completed because"]),
        ("completed", "cancelled", ["is completed, and had to be cancelled"]),
    ],
)
def test_an_order_ends_as_its_kind_says(ending: str, expected: str, found: list[str]) -> None:
    assert findings([], ending=ending, expected=expected) == found


def test_an_order_whose_charge_was_given_up_may_end_otherwise_and_no_other_may() -> None:
    charge = [("payment", "ProviderUnavailable")]
    assert findings([], ending="cancelled", letters=charge) == []
    assert len(findings([], ending="cancelled", letters=[("shipping", "TerminalError")])) == 1
    assert len(findings([], ending="completed", expected="cancelled", letters=charge)) == 1
