"""The audit trail: what was asked, who answered, which incidents there were, and what is paused where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from ensemble.clock import moment_of
from ensemble.command_line.connection import session_on, sources
from ensemble.messages import encoder_for
from ensemble.messages.message import Message
from ensemble.operations import AuditEntry, AuditFilter, Incident, Position
from ensemble.operations.audit import Audit, AuditProjection, PauseProgress, WorkPause
from ensemble.operations.failures import FailuresProjection
from ensemble.operations.view import View
from ensemble.state import ParkingStore
from ensemble.system_messages import (
    IncidentClosed,
    IncidentOpened,
    OperationDone,
    Pause,
    PauseWork,
    RedriveRecord,
    ResumeWork,
    SetOffset,
)
from tests.support.topics_to_view import TopicsToView

SERVICES = ("payment", "shipping")
KINDS = ("control", "operations", "parked-changelog", "dead-letter")


class Topics:
    """Topics of two services, as they and operators write them."""

    def __init__(self) -> None:
        self.topics: Any = TopicsToView({f"{service}.{kind}": 2 for service in SERVICES for kind in KINDS})

    def write(self, topic: str, partition: int, message: Message) -> None:
        self.topics.append(topic, partition, b"k", encoder_for(type(message))(message))

    def ask(self, kind: type[PauseWork | ResumeWork], at: int, *places: tuple[str, int], **fields: Any) -> None:
        """Write a command about a pause to these partitions."""
        plain = {
            "operation_id": f"op-{at}",
            "requested_by": "ann",
            "reason": "trial",
            "scope": "step",
            "name": "payment",
        }
        for service, partition in places:
            self.write(f"{service}.control", partition, kind(at=at, **plain | fields))

    def answer(self, operation_id: str, service: str, partition: int, outcome: Any = "done") -> None:
        done = OperationDone(operation_id=operation_id, service=service, partition=partition, operation="PauseWork",
                             outcome=outcome, words="", at=9)  # fmt: skip
        self.write(f"{service}.operations", partition, done)

    def take_pause(self, service: str, partition: int, at: int, by: str = "ann") -> None:
        """Let a partition hold the pause in its state."""
        store = ParkingStore(f"{service}.parked-changelog", sources())
        store.set_pause("step", "payment", Pause(operation_id="x", requested_by=by, reason=f"by {by}", at=at))
        for key, value in store.changes():
            self.topics.append(f"{service}.parked-changelog", partition, key, value)

    @contextmanager
    def audit(self) -> Iterator[Audit]:
        decoder = session_on(self.topics).decoder
        with View(self.topics, [AuditProjection(decoder), FailuresProjection(decoder)]) as view:
            view.sync()
            yield Audit(view)


@pytest.fixture
def topics() -> Topics:
    return Topics()


def test_a_command_is_told_once_with_how_many_partitions_it_went_to_and_what_they_answered(topics: Topics) -> None:
    topics.ask(PauseWork, 5, ("payment", 0), ("payment", 1), ("shipping", 1))
    topics.answer("op-5", "payment", 0)
    topics.answer("op-5", "payment", 1, "refused")
    topics.answer("op-6", "shipping", 1)
    topics.topics.append("payment.control", 0, b"k", b"garbage")
    topics.topics.append("payment.operations", 0, b"k", None)
    with topics.audit() as audit:
        payment, shipping = audit.list(10)
    assert payment == AuditEntry(
        operation_id="op-5", service="payment", operation="PauseWork", target="step payment", requested_by="ann",
        reason="trial", at=moment_of(5), partitions=2, answered=2, outcomes=("done", "refused"),
        position=Position(topic="payment.control", partition=payment.position.partition, offset=0),
    )  # fmt: skip
    assert (shipping.service, shipping.partitions, shipping.answered, shipping.outcomes) == ("shipping", 1, 0, ())


def test_a_command_about_a_record_is_told_by_key_and_place(topics: Topics) -> None:
    redrive = RedriveRecord(operation_id="r", requested_by="bob", reason="mended", at=7, parking_key="o-1", topic="t",
                            partition=1, offset=9, generation=0, key=b"o-1", value=None, headers=())  # fmt: skip
    topics.write("payment.control", 1, redrive)
    with topics.audit() as audit:
        [entry] = audit.list(10)
    assert (entry.operation, entry.target, entry.requested_by) == ("RedriveRecord", "o-1 t/1/9", "bob")


def test_a_command_about_offsets_is_told_by_their_place(topics: Topics) -> None:
    who: dict[str, Any] = {"operation_id": "s", "requested_by": "eve", "reason": "made again", "at": 8}
    topics.write("payment.control", 0, SetOffset(topic="t", partition=1, before=None, offset=9, **who))
    with topics.audit() as audit:
        [entry] = audit.list(10)
    assert entry == AuditEntry(
        operation_id="s", service="payment", operation="SetOffset", target="t/1/9", requested_by="eve",
        reason="made again", at=moment_of(8), partitions=1, answered=0, outcomes=(),
        position=Position(topic="payment.control", partition=0, offset=0),
    )  # fmt: skip


def test_what_changed_is_told_by_the_operation_or_the_incident(topics: Topics) -> None:
    topics.ask(PauseWork, 5, ("payment", 0))
    topics.answer("op-5", "payment", 0)
    who: dict[str, Any] = {"handler": "Till.charge", "cause": "503", "service": "payment", "at": 5}
    topics.write("payment.operations", 0, IncidentOpened(incident_id="i-1", failures=4, **who))
    topics.topics.append("payment.operations", 0, b"k", b"garbage")
    with View(topics.topics, [AuditProjection(session_on(topics.topics).decoder)]) as view:
        with view.feed.subscribe() as changes:
            view.sync()
        assert sorted((each.projection, each.key) for each in changes.take(0)) == [
            ("audit", "i-1"), ("audit", "op-5"), ("audit", "op-5")
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("which", "limit", "expected"),
    [
        ({}, 9, ["op-7", "op-6", "op-5"]),
        ({}, 2, ["op-7", "op-6"]),
        ({"since": 6}, 9, ["op-7", "op-6"]),
        ({"since": 8}, 9, []),
        ({"requested_by": "bob"}, 9, ["op-6"]),
        ({"service": "shipping"}, 9, ["op-7"]),
        ({"target": "ship"}, 9, ["op-7"]),
        ({"target": "step", "requested_by": "ann"}, 9, ["op-7", "op-5"]),
    ],
)
def test_commands_are_listed_by_every_filter_the_newest_first(
    topics: Topics, which: dict[str, Any], limit: int, expected: list[str]
) -> None:
    topics.ask(PauseWork, 5, ("payment", 0))
    topics.ask(ResumeWork, 6, ("payment", 0), requested_by="bob")
    topics.ask(PauseWork, 7, ("shipping", 0), name="shipment")
    with topics.audit() as audit:
        assert [entry.operation_id for entry in audit.list(limit, AuditFilter(**which))] == expected


def test_an_incident_lasts_from_its_opening_to_its_end_also_where_its_opening_has_expired(topics: Topics) -> None:
    who: dict[str, Any] = {"handler": "Till.charge", "cause": "503"}
    for number, service, at in ((1, "payment", 5), (2, "payment", 6), (3, "shipping", 7)):
        opened = IncidentOpened(incident_id=f"i-{number}", service=service, failures=4, at=at, **who)
        topics.write(f"{service}.operations", 0, opened)
    for number, since in ((1, 5), (4, 2)):
        closed = IncidentClosed(incident_id=f"i-{number}", service="payment", since=since, at=9, **who)
        topics.write("payment.operations", 0, closed)
    with topics.audit() as audit:
        assert [each.incident_id for each in audit.incidents()] == ["i-3", "i-2", "i-1", "i-4"]
        assert [each.incident_id for each in audit.incidents("payment")] == ["i-2", "i-1", "i-4"]
        assert [each.incident_id for each in audit.incidents("payment", open_only=True)] == ["i-2"]
        first, expired = (
            next(each for each in audit.incidents() if each.incident_id == name) for name in ("i-1", "i-4")
        )
    assert first == Incident(
        incident_id="i-1", service="payment", handler="Till.charge", cause="503", failures=4, opened_at=moment_of(5),
        closed_at=moment_of(9),
    )  # fmt: skip
    assert (expired.failures, expired.opened_at, expired.closed_at) == (None, moment_of(2), moment_of(9))


def progress(service: str, partitions: int, acknowledged: int, pending: int) -> PauseProgress:
    return PauseProgress(service=service, partitions=partitions, acknowledged=acknowledged, pending=pending)


def test_a_pause_is_taken_where_a_partition_holds_it_and_pending_where_it_was_asked_for_and_not_answered(
    topics: Topics,
) -> None:
    topics.ask(PauseWork, 5, ("payment", 0), ("payment", 1), ("shipping", 0), ("shipping", 1))
    topics.take_pause("payment", 0, 5)
    topics.answer("op-5", "payment", 0)
    topics.answer("op-5", "shipping", 1)
    with topics.audit() as audit:
        assert audit.pauses() == (
            WorkPause(scope="step", name="payment", since=moment_of(5), requested_by="ann", reason="by ann", services=(
                progress("payment", 2, 1, 1), progress("shipping", 1, 0, 1))),
        )  # fmt: skip


def test_a_pause_is_of_who_asked_first_and_ends_where_its_end_was_asked_for(topics: Topics) -> None:
    topics.ask(PauseWork, 5, ("payment", 0), ("payment", 1), requested_by="bob")
    topics.ask(PauseWork, 6, ("payment", 0), ("payment", 1))
    topics.take_pause("payment", 0, 4, "cat")
    topics.ask(ResumeWork, 7, ("payment", 1))
    with topics.audit() as audit:
        [pause] = audit.pauses()
    assert (pause.since, pause.requested_by, pause.reason) == (moment_of(4), "cat", "by cat")
    assert pause.services == (progress("payment", 1, 1, 0),)
