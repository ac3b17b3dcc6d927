"""Dead letters, parked keys, pauses and the audit in a view, from what all services have written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts import SCHEMAS, AttemptCharge
from ensemble import system_messages
from ensemble.clock import moment_of
from ensemble.messages import GenericDecoder, encoder_for
from ensemble.operations import DeadLetterFilter, NotFound, Position
from ensemble.operations.audit import Audit, AuditProjection
from ensemble.operations.failures import Failures, FailuresProjection
from ensemble.operations.view import View
from ensemble.system_messages import IncidentClosed, IncidentOpened, OperationDone
from tests.support.flow_in_memory import FlowInMemory
from tests.support.order_messages import place_order

DECODER = GenericDecoder([system_messages.SCHEMAS, SCHEMAS])
EVERYTHING = DeadLetterFilter(open_only=False)


@pytest.fixture
def flow() -> Iterator[Any]:
    with capture_logs():
        yield FlowInMemory()


def view_of(flow: Any, path: Path | None = None) -> View:
    view = View(flow, [FailuresProjection(DECODER), AuditProjection(DECODER)], path)
    view.sync()
    return view


def fail_a_charge(flow: Any, order_id: str = "o-1") -> None:
    """Have payment give up the charge of an order: its key stays parked behind a dead letter."""
    flow.gateway.available = False
    flow.flow.publish(place_order(order_id=order_id))
    flow.settle()
    flow.stopped = {"orchestrator"}
    flow.advance(60)
    flow.settle()


def test_a_dead_letter_is_parked_until_an_operator_decides(flow: Any, tmp_path: Path) -> None:
    fail_a_charge(flow)
    with view_of(flow, tmp_path / "view.db") as view:
        failures = Failures(view)
        [letter] = failures.list(DeadLetterFilter(), 10)
        assert (letter.service, letter.type, letter.status, letter.waiting) == ("payment", "AttemptCharge", "parked", 0)
        assert (letter.key, letter.origin.topic) == ("o-1", "payments.commands")
        assert failures.get(letter.position) == letter
        [key] = failures.parked()
        assert (key.service, key.key, key.status, key.depth, key.head) == (
            "payment", "o-1", "dead_lettered", 1, "AttemptCharge"
        )  # fmt: skip
        [group] = failures.groups(DeadLetterFilter())
        assert (group.group, group.count, group.open) == (letter.group, 1, 1)

        [record] = flow.flow.topics.records("payment.dead-letter")
        flow.gateway.available = True
        flow.flow.redrive(record)
        view.sync()

        assert failures.list(DeadLetterFilter(), 10) == ()
        [letter] = failures.list(EVERYTHING, 10)
        assert letter.status == "redriven"
        assert letter.decided_by is not None
        assert failures.parked() == ()
        [entry] = [e for e in Audit(view).list(10) if e.operation == "RedriveRecord"]
        assert (entry.service, entry.partitions, entry.answered, entry.outcomes) == ("payment", 1, 1, ("done",))
        assert entry.target == f"o-1 {letter.origin}"


def test_what_was_refused_outright_is_skipped_and_each_filter_takes_its_own(flow: Any) -> None:
    flow.flow.publish(place_order())
    flow.settle()
    flow.flow.publish(place_order(customer_id="c-2"))
    fail_a_charge(flow, "o-2")
    with view_of(flow) as view:
        failures = Failures(view)
        status = {letter.type: letter.status for letter in failures.list(DeadLetterFilter(), 10)}
        assert status == {"PlaceOrder": "skipped", "AttemptCharge": "parked"}
        [refused] = failures.list(DeadLetterFilter(service="order"), 10)
        for which in (
            DeadLetterFilter(type="PlaceOrder"),
            DeadLetterFilter(error="RejectedInput"),
            DeadLetterFilter(key="o-1"),
            DeadLetterFilter(group=refused.group),
        ):
            assert failures.list(which, 10) == (refused,)
        assert failures.list(DeadLetterFilter(since=10**15), 10) == ()
        assert len(failures.list(DeadLetterFilter(until=10**15), 1)) == 1
        with pytest.raises(NotFound, match="no dead letter at order\\.dead-letter/0/99"):
            failures.get(Position(topic="order.dead-letter", partition=0, offset=99))


def test_hostile_headers_of_a_dead_letter_are_no_obstacle(flow: Any) -> None:
    headers: Any = [
        ("__streams.errors.partition", b"9999999999999999999"),
        ("__streams.errors.offset", b"-9999999999999999999"),
        ("ensemble.attempts", b"9999999999999999999"),
        ("ensemble.failed-at", b"\xff\xfe"),
    ]
    flow.flow.write("order.dead-letter", None, b"\0\0nonsense", headers)
    with view_of(flow) as view:
        [letter] = Failures(view).list(DeadLetterFilter(), 10)
    assert (letter.type, letter.status, letter.attempts) == ("(unreadable)", "skipped", None)


def test_a_pause_is_pending_until_its_service_takes_it(flow: Any) -> None:
    flow.settle()
    flow.stopped = {"payment"}
    flow.flow.pause("payment", "command", "AttemptCharge", "provider down")
    with view_of(flow) as view:
        audit = Audit(view)
        [pause] = audit.pauses()
        assert (pause.scope, pause.name, pause.reason) == ("command", "AttemptCharge", "provider down")
        [payment] = pause.services
        assert (payment.service, payment.acknowledged, payment.pending) == ("payment", 0, payment.partitions)
        assert not pause.is_everywhere

        [asked, *_] = audit.list(1)
        about = {"operation_id": asked.operation_id, "service": "payment", "operation": "PauseWork"}
        answer = OperationDone(**about, partition=0, outcome="done", words="", at=1)  # and its state was lost since
        flow.flow.write("payment.operations", b"k", encoder_for(OperationDone)(answer))
        view.sync()
        assert audit.pauses()[0].services[0].pending == payment.partitions - 1

        flow.stopped = set()
        view.sync()
        [pause] = audit.pauses()
        assert (pause.services[0].acknowledged, pause.services[0].pending) == (payment.partitions, 0)
        assert pause.is_everywhere

        flow.flow.resume("payment", "command", "AttemptCharge")
        view.sync()
        assert audit.pauses() == ()
    assert AttemptCharge.__name__ == pause.name


def test_an_incident_is_open_until_it_is_closed_also_without_its_opening(flow: Any) -> None:
    about = {"service": "payment", "handler": "Charger", "cause": "RetryableError"}
    opened = IncidentOpened(incident_id="i-1", failures=20, at=1_000, **about)
    closings = [IncidentClosed(incident_id=name, since=1_000, at=2_000, **about) for name in ("i-1", "i-2")]
    write(flow, opened)
    with view_of(flow) as view:
        [incident] = Audit(view).incidents(open_only=True)
        assert (incident.service, incident.failures, incident.closed_at) == ("payment", 20, None)
        for closing in closings:
            write(flow, closing)
        view.sync()
        assert Audit(view).incidents(open_only=True) == ()
        first, second = Audit(view).incidents()
        assert (first.failures, second.failures) == (20, None)
        assert first.opened_at == second.opened_at == moment_of(1_000)
        assert first.closed_at == second.closed_at == moment_of(2_000)


def write(flow: Any, event: IncidentOpened | IncidentClosed) -> None:
    flow.flow.write("payment.operations", b"k", encoder_for(type(event))(event))
