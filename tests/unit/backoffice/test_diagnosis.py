"""Why an order does not go on, and what un-sticks it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from backoffice.diagnosis import Diagnosis, Evidence, diagnose
from backoffice.order_actions import Cancel, Resume, Retry, Settle
from backoffice.orders import summary_of
from ensemble.operations import Incident, Position
from ensemble.operations.audit import WorkPause
from ensemble.operations.failures import DeadLetterSummary, ParkedKeySummary
from ensemble.operations.lag import PartitionLag

NOW = 1_750_000_000_000
WAITING = {"status": "fulfilled", "step": "reservation", "attempt": 1, "due_at": NOW + 5_000,
           "expected": ("ReservationConfirmed", "ReservationRejected")}  # fmt: skip


def ask(state: dict[str, Any], **more: Any) -> Diagnosis:
    return diagnose(Evidence("o-1", state, NOW, **more))


def parked(status: str, **more: Any) -> ParkedKeySummary:
    values = {
        "service": "payment", "partition": 0, "key": "o-1", "status": status, "depth": 3,
        "since": datetime.fromtimestamp(NOW / 1000, UTC), "head": "AttemptCharge", "attempts": 5,
        "next_attempt_at": None, "blocked_on": "", "error": "GatewayError", "message": "HTTP 500",
        "handler": "Charger.attempt_charge", "policy": "default",
    }  # fmt: skip
    return ParkedKeySummary(**{**values, **more})


def letter(status: str) -> DeadLetterSummary:
    place = Position(topic="payment.dead-letter", partition=0, offset=7)
    return DeadLetterSummary(
        position=place, service="payment", origin=place, type="PlaceOrder", key="o-1", parking_key="o-1",
        failed_at=None, status=status, waiting=0, error="RejectedInput", message="placed before", handler="", stage="",
        attempts=1, generation=0, group="g", decided_by=None, decided_because=None, decided_at=None,
    )  # fmt: skip


def verbs(diagnosis: Diagnosis) -> list[str]:
    return [action.verb for action in diagnosis.actions]


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"status": "completed"}, "It is completed."),
        ({"status": "cancelled", "reason": "card declined"}, "It is cancelled: card declined."),
    ],
)
def test_an_ended_order_is_not_stuck(state: dict[str, Any], sentence: str) -> None:
    assert ask(state) == Diagnosis("ended", sentence)


OWING = {"status": "compensation_failed", "owed": ["payment"], "reason": "payment: no answer after 4 attempts"}


def test_an_undo_that_was_given_up_is_retried_or_settled() -> None:
    diagnosis = ask(OWING)
    assert diagnosis.sentence.endswith("so that is still owed: payment: no answer after 4 attempts.")
    assert verbs(diagnosis) == ["retry", "settle"]


@pytest.mark.parametrize(
    ("evidence", "cause", "first"),
    [
        ({"stopped": frozenset({"payment"})}, "No process of payment runs.", "start"),
        ({"parked": [parked("outage")]}, "payment does not call Charger.attempt_charge any more", "look_at_outage"),
        ({"parked": [parked("dead_lettered")], "dead_letters": [letter("parked")]}, "payment gave up its", "redrive"),
    ],
)
def test_what_would_hold_up_another_attempt_at_an_undo_comes_first(
    evidence: dict[str, Any], cause: str, first: str
) -> None:
    diagnosis = ask(OWING, **evidence)
    assert cause in diagnosis.sentence
    assert verbs(diagnosis)[0] == first
    assert verbs(diagnosis)[-2:] == ["retry", "settle"]


def test_a_time_of_another_day_has_its_date() -> None:
    paused = {**WAITING, "paused_since": NOW - 86_400_000, "paused_by": "policy"}
    assert "since 2025-06-14 15:06:40 UTC" in ask(paused).sentence
    assert "since 15:06:40 UTC" in ask({**paused, "paused_since": NOW}).sentence


TOMORROW = NOW + 90_000_000


@pytest.mark.parametrize(
    ("state", "more", "at"),
    [
        (WAITING, {}, WAITING["due_at"]),
        ({**WAITING, "paused_since": NOW - 1, "paused_by": "policy"}, {}, NOW - 1),
        (
            WAITING,
            {"parked": [parked("retrying", next_attempt_at=datetime.fromtimestamp(TOMORROW / 1000, UTC))]},
            TOMORROW,
        ),
    ],
    ids=["waiting", "paused", "retrying"],
)
def test_a_time_that_the_sentence_names_is_given_as_a_value(
    state: dict[str, Any], more: dict[str, Any], at: int
) -> None:
    diagnosis = ask(state, **more)
    assert [moment for text, moment in diagnosis.moments.items() if text in diagnosis.sentence] == [at]


def test_an_order_in_time_only_waits() -> None:
    diagnosis = ask(WAITING)
    assert diagnosis.condition == "moving"
    assert diagnosis.sentence.startswith(
        "It waits for ReservationConfirmed or ReservationRejected from inventory until"
    )


def test_a_stopped_service_is_named_before_its_deadline_has_passed() -> None:
    diagnosis = ask(WAITING, stopped=frozenset({"inventory"}))
    assert diagnosis.sentence == (
        "No process of inventory runs, and it waits for ReservationConfirmed or ReservationRejected from inventory."
    )
    assert verbs(diagnosis) == ["start", "cancel"]


def test_the_lag_of_who_owes_the_answer_is_told() -> None:
    lag = PartitionLag(group="inventory", topic="inventory.commands", partition=0, committed=1, end=9, behind=8)
    assert "inventory is 8 records behind its inputs" in ask({**WAITING, "attempt": 2}, lags=[lag]).sentence


def test_an_overdue_answer_is_asked_for_again() -> None:
    diagnosis = ask({**WAITING, "due_at": NOW - 3_000})
    assert diagnosis.sentence == "ReservationConfirmed or ReservationRejected from inventory is overdue by 3.000 s."
    assert verbs(diagnosis) == ["retry", "cancel"]


@pytest.mark.parametrize(
    ("by", "sentence", "actions"),
    [
        ("operator ann", "Operator ann paused it since 15:06:40 UTC: audit.", ["resume"]),
        ("policy", "Its policy paused it since 15:06:40 UTC: audit.", ["resume", "cancel"]),
        (
            "step payment",
            "It met the pause of step payment: audit, which has ended: it waits to be resumed.",
            ["resume"],
        ),
    ],
)
def test_a_paused_order_says_who_and_why(by: str, sentence: str, actions: list[str]) -> None:
    diagnosis = ask({**WAITING, "paused_since": NOW, "paused_by": by, "paused_reason": "audit"})
    assert (diagnosis.condition, diagnosis.sentence, verbs(diagnosis)) == ("stuck", sentence, actions)


def test_a_pause_that_still_holds_is_ended_first() -> None:
    pause = WorkPause(scope="step", name="payment", since=None, requested_by="ann", reason="audit", services=())
    state = {**WAITING, "paused_since": NOW, "paused_by": "step payment", "paused_reason": "audit"}
    diagnosis = ask(state, pauses=[pause])
    assert verbs(diagnosis) == ["end_pause", "resume"]
    assert diagnosis.actions[0].command == "pauses end step payment"


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        ({**WAITING, "due_at": NOW - 3_000}, ["retry", "cancel"]),
        ({**WAITING, "due_at": NOW - 3_000, "status": "compensating"}, ["retry"]),
        ({**WAITING, "paused_since": NOW, "paused_by": "policy"}, ["resume", "cancel"]),
        ({**WAITING, "paused_since": NOW, "paused_by": "policy", "status": "compensating"}, ["resume"]),
        ({"status": "compensation_failed", "owed": ("payment",), "paused_since": NOW}, ["settle"]),
    ],
)
def test_nothing_is_offered_that_the_action_itself_refuses(state: dict[str, Any], offered: list[str]) -> None:
    diagnosis = ask(state)
    assert verbs(diagnosis) == offered
    order = summary_of("o-1", state, NOW, (0, 0))
    actions = {"resume": Resume(), "retry": Retry(), "cancel": Cancel(), "settle": Settle()}
    assert [actions[verb].why_not(order) for verb in offered] == [None] * len(offered)


def test_a_record_that_was_given_up_is_redriven_and_says_what_waits_behind_it() -> None:
    diagnosis = ask(WAITING, parked=[parked("dead_lettered")], dead_letters=[letter("parked")])
    assert diagnosis.sentence == (
        "payment gave up its AttemptCharge after 5 attempts: GatewayError: HTTP 500. 2 records of o-1 wait behind it."
    )
    assert verbs(diagnosis) == ["redrive", "discard", "retry_parked"]


def test_a_record_that_waits_for_the_end_of_a_pause_says_which() -> None:
    diagnosis = ask(WAITING, parked=[parked("paused", blocked_on="command/AttemptCharge")])
    assert diagnosis.sentence == "Its AttemptCharge waits at payment for the end of the pause of command AttemptCharge."
    assert [(action.verb, action.label, action.subject, action.command) for action in diagnosis.actions] == [
        ("end_pause", "End the pause of command AttemptCharge", "command AttemptCharge",
         "pauses end command AttemptCharge"),
    ]  # fmt: skip


def test_an_order_that_its_policy_paused_because_of_a_dead_letter_needs_a_redrive_first() -> None:
    paused = {**WAITING, "paused_since": NOW, "paused_by": "policy", "paused_reason": "payment: no answer"}
    diagnosis = ask(paused, dead_letters=[letter("parked")])
    assert "is a dead letter of payment" in diagnosis.sentence
    assert [action.verb for action in diagnosis.actions] == ["redrive", "resume", "cancel"]


def test_a_record_that_its_policy_paused_is_tried_again() -> None:
    diagnosis = ask(WAITING, parked=[parked("paused", blocked_on="policy")])
    assert diagnosis.sentence == (
        "The policy of payment paused its AttemptCharge after 5 attempts: GatewayError: HTTP 500."
    )
    assert [(action.verb, action.command) for action in diagnosis.actions] == [("retry_parked", "parked redrive o-1")]


def test_an_outage_of_what_a_service_calls_is_told_as_one() -> None:
    diagnosis = ask(WAITING, parked=[parked("outage", blocked_on="outage/Charger.attempt_charge", error="")])
    assert diagnosis.sentence == (
        "payment does not call Charger.attempt_charge any more, because it failed too often. It probes by itself and "
        "goes on when a probe succeeds."
    )
    assert (diagnosis.condition, verbs(diagnosis)) == ("stuck", ["look_at_outage", "retry_parked"])


def test_an_outage_whose_incident_is_open_says_its_cause() -> None:
    def incident(service: str, closed_at: datetime | None = None) -> Incident:
        return Incident(incident_id="i", service=service, handler="h", cause=f"{service} answers # of", failures=5,
                        opened_at=None, closed_at=closed_at)  # fmt: skip

    before, others, present = (
        incident("payment", datetime.fromtimestamp(0, UTC)),
        incident("order"),
        incident("payment"),
    )
    diagnosis = ask(WAITING, parked=[parked("outage")], incidents=[before, others, present])
    assert "because it failed too often: payment answers … of. It probes" in diagnosis.sentence


def test_a_record_that_is_tried_again_is_waiting_not_stuck() -> None:
    due = datetime.fromtimestamp(NOW / 1000 + 60, UTC)
    diagnosis = ask(WAITING, parked=[parked("retrying", next_attempt_at=due)])
    assert (diagnosis.condition, diagnosis.sentence) == (
        "waiting",
        "Its AttemptCharge failed 5 times: GatewayError: HTTP 500; payment tries again at 15:07:40 UTC.",
    )
    under_way = ask(WAITING, parked=[parked("in_flight", error="", head="")])
    assert (under_way.condition, under_way.sentence) == ("waiting", "Its record is under way.")


@pytest.mark.parametrize(
    ("state", "condition", "sentence"),
    [
        ({}, "waiting", "The orchestrator has not heard of it; it hears of OrderPlaced."),
        ({"status": "placeholder"}, "waiting", "Messages of it came, but it was not placed: OrderPlaced is missing."),
        ({"status": "fulfilled"}, "moving", "It is fulfilled, and nothing holds it back."),
        (
            {**WAITING, "attempt": 2, "due_at": None},
            "waiting",
            "It waits for ReservationConfirmed or ReservationRejected from inventory, asked 2 times.",
        ),
    ],
)
def test_an_order_that_nothing_holds_up_only_waits(state: dict[str, Any], condition: str, sentence: str) -> None:
    assert (ask(state).condition, ask(state).sentence) == (condition, sentence)


LATE = {**WAITING, "due_at": NOW - 3_000}
BEHIND = PartitionLag(group="orchestrator", topic="t", partition=0, committed=1, end=9, behind=8)


@pytest.mark.parametrize(
    ("evidence", "how"),
    [({"lags": [BEHIND]}, "8 records behind its inputs"), ({"stopped": frozenset({"orchestrator"})}, "not running")],
)
def test_a_deadline_that_passed_unnoticed_is_the_orchestrator_s(evidence: dict[str, Any], how: str) -> None:
    diagnosis = ask(LATE, **evidence)
    assert diagnosis.sentence == f"Its deadline has passed, and the orchestrator is {how}."
    assert (diagnosis.condition, verbs(diagnosis)) == ("stuck", ["look"])
    assert ask(WAITING, **evidence).condition == "moving"


def test_a_pause_of_a_whole_service_holds_its_keys() -> None:
    diagnosis = ask(WAITING, parked=[parked("paused", head="")])
    assert diagnosis.sentence == "Its record waits at payment for the end of the pause of service payment."


def test_one_record_waits_behind_another_one() -> None:
    diagnosis = ask(WAITING, parked=[parked("dead_lettered", depth=2, attempts=0)])
    assert (
        diagnosis.sentence
        == "payment gave up its AttemptCharge: GatewayError: HTTP 500. 1 record of o-1 waits behind it."
    )
    assert verbs(diagnosis) == ["retry_parked"]


def test_the_attempt_at_a_stopped_service_is_told() -> None:
    assert ask({**WAITING, "attempt": 2}, stopped=frozenset({"inventory"})).sentence.endswith("inventory (attempt 2).")


def test_an_order_that_was_refused_says_so_although_the_orchestrator_knows_nothing() -> None:
    diagnosis = ask({}, dead_letters=[letter("skipped")])
    assert diagnosis.sentence == "payment refused its PlaceOrder: RejectedInput: placed before."
    assert verbs(diagnosis) == ["redrive"]


def test_what_is_owed_is_settled_or_tried_once_more() -> None:
    diagnosis = ask({"status": "compensation_failed", "owed": ("payment",), "reason": "cancelled"})
    assert verbs(diagnosis) == ["retry", "settle"]
    assert "the undo of payment was given up" in diagnosis.sentence
