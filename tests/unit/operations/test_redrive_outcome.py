"""What became of a redrive or a discard, as the partition tells."""

from typing import Any, Literal

import pytest

from ensemble.command_line.connection import entry_of
from ensemble.kafka.records import ReceivedRecord
from ensemble.operations import DeadLetterEntry, outcome_of
from ensemble.state.parking import ParkingStore
from ensemble.system_messages.operations import IN_FLIGHT, DiscardRecord, OperationDone, RecordOperation, RedriveRecord
from ensemble.system_messages.state import ParkedKey, ParkedRecord, Resolution

WHO: dict[str, Any] = {"operation_id": "1", "requested_by": "ann", "reason": "fixed", "at": 5}
PLACE: dict[str, Any] = {"parking_key": "o-1", "topic": "payments.commands", "partition": 1, "offset": 7}
REDRIVE = RedriveRecord(**WHO, **PLACE, generation=0, key=b"o-1", value=b"?", headers=(), redriven_from="x/1/0")
DISCARD = DiscardRecord(**WHO, **PLACE, generation=0, key=b"o-1")


def done(outcome: Literal["done", "nothing_to_do", "refused"] = "done", reason: str = "") -> OperationDone:
    where = {"service": "payment", "partition": 1, "operation": "RedriveRecord"}
    return OperationDone(operation_id="1", **where, outcome=outcome, words=reason, at=6)


def store(**changes: Any) -> ParkingStore:
    """A partition in which the record is the head of its key."""
    parked = ParkingStore("payment.parked-changelog")
    place: dict[str, Any] = {"topic": "payments.commands", "partition": 1, "offset": 7, "key": b"o-1", "value": b"?"}
    record = ParkedRecord(**place, headers=(), message="AttemptCharge", message_id="m", parked_at=1)
    parked.park(b"o-1", ParkedKey(**{"status": "retrying", "first": 0, "next": 1, "since": 1} | changes), record)
    return parked


def outcome(operation: RecordOperation, answer: OperationDone | None, parked: ParkingStore) -> str | None:
    result = outcome_of(operation, answer, parked, [])
    return None if result is None else result.result


EMPTY = ParkingStore("payment.parked-changelog")


def test_nothing_is_known_before_the_answer_or_while_it_is_tried() -> None:
    assert outcome(REDRIVE, None, EMPTY) is None
    assert outcome(REDRIVE, done(), store()) is None


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({"attempts": 1}, "failed again"),
        ({"status": "paused"}, "waits"),
        ({"status": "outage"}, "waits"),
    ],
)
def test_a_head_that_is_still_held_did_not_succeed(changes: dict[str, Any], result: str) -> None:
    assert outcome(REDRIVE, done(), store(**changes)) == result


def test_what_is_held_no_more_succeeded() -> None:
    assert outcome(REDRIVE, done(), EMPTY) == "succeeded"


def test_what_an_undo_closed_meanwhile_did_not_succeed() -> None:
    parked = ParkingStore("payment.parked-changelog")
    closed = Resolution(how="closed", operation_id="", requested_by="RefundPayment", reason="undone", at=6)
    parked.set_resolution(b"o-1", ("payments.commands", 1, 7), 1, closed)
    result = outcome_of(REDRIVE, done(), parked, [])
    assert result is not None
    assert (result.result, result.detail, result.is_good) == ("closed", "RefundPayment made it moot", True)


def failed_again(**headers: str) -> DeadLetterEntry:
    about = {"topic": "payments.commands", "partition": "1", "offset": "7", "exception": "Gone", "message": "HTTP 410"}
    named = {f"__streams.errors.{name}": headers.get(name, text) for name, text in about.items()}
    pairs = [
        (name, text.encode()) for name, text in {**named, "ensemble.parking-key": headers.get("key", "o-1")}.items()
    ]
    return DeadLetterEntry(
        entry_of(ReceivedRecord("payment.dead-letter", 1, 0, 0, b"o-1", b"?", dict(pairs), tuple(pairs)))
    )


def test_a_new_dead_letter_of_the_record_says_that_it_failed_again_and_why() -> None:
    result = outcome_of(REDRIVE, done(), EMPTY, [failed_again(offset="8"), failed_again()])
    assert result is not None
    assert (result.result, result.detail, result.is_good) == ("failed again", "Gone: HTTP 410", False)


@pytest.mark.parametrize("other", [{"offset": "8"}, {"partition": "0"}, {"key": "o-2"}])
def test_a_dead_letter_of_another_record_or_key_says_nothing(other: dict[str, str]) -> None:
    result = outcome_of(REDRIVE, done(), EMPTY, [failed_again(**other)])
    assert result is not None
    assert result.result == "succeeded"


def test_a_record_behind_another_one_of_its_key_waits() -> None:
    behind = REDRIVE.model_copy(update={"offset": 8})
    parked = store()
    place: dict[str, Any] = {"topic": "payments.commands", "partition": 1, "offset": 8, "key": b"o-1", "value": b"?"}
    parked.append(b"o-1", ParkedRecord(**place, headers=(), message="AttemptCharge", message_id="n", parked_at=1))
    result = outcome_of(behind, done(), parked, [])
    assert result is not None
    assert (result.result, result.detail) == ("waits", "it waits behind another record of its key")


def test_what_is_in_flight_needs_no_redrive_and_says_so() -> None:
    result = outcome_of(REDRIVE, done("refused", IN_FLIGHT), store(), [])
    assert result is not None
    assert (result.result, result.detail, result.is_good) == ("in flight", IN_FLIGHT, True)


def test_an_edit_of_what_is_in_flight_was_not_taken() -> None:
    edit = REDRIVE.model_copy(update={"edited": b"!"})
    result = outcome_of(edit, done("refused", IN_FLIGHT), store(), [])
    assert result is not None
    assert (result.result, result.is_good) == ("refused", False)


def test_any_other_refusal_is_a_failure() -> None:
    assert outcome(REDRIVE, done("refused", "it lies elsewhere"), store()) == "refused"


def test_a_discard_is_over_once_it_is_answered() -> None:
    assert outcome(DISCARD, done(), EMPTY) == "discarded"
