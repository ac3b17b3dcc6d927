"""Each thing that is not as it should be is a finding of its own, with what to type next; what is well is none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ensemble.clock import moment_of
from ensemble.operations import Instance, Position, findings_of
from ensemble.operations.audit import Incident, PauseProgress, WorkPause
from ensemble.operations.status import ClusterStatus, ServiceStatus, Status

NOW = moment_of(1_750_000_000_000)
assert NOW is not None
LONG_AGO = NOW - timedelta(minutes=5)
NEXT = Position(topic="shop.commands", partition=2, offset=45)


def service(**fields: Any) -> ServiceStatus:
    well: dict[str, Any] = {
        "service": "shop", "state": "running", "reason": "", "partitions": 4, "assigned": 4, "behind": 0, "lost": 0,
        "instances": (Instance(client_id="shop-0", host="10.0.0.1", partitions=(0, 1, 2, 3)),), "next_unread": None,
        "unread_since": None, "parked_keys": 0, "parked_records": 0, "dead_letters": 0, "incidents": 0, "readiness": (),
    }  # fmt: skip
    return ServiceStatus(**well | fields)


def status(**fields: Any) -> Status:
    cluster = ClusterStatus(id="c", bootstrap_servers="localhost:9092", brokers=1)
    well: dict[str, Any] = {"as_of": NOW, "cluster": cluster, "services": (service(),), "incidents": (), "pauses": ()}
    return Status(**well | fields)


def test_nothing_is_found_where_all_is_well() -> None:
    assert findings_of(status()) == ()


@pytest.mark.parametrize(
    ("fields", "severity", "message", "command"),
    [
        (
            {"state": "stopped", "reason": "its group has no members", "instances": (), "assigned": 0, "behind": 5,
             "next_unread": NEXT, "unread_since": LONG_AGO},
            "problem",
            "shop does not run: its group has no members; 5 offsets behind, shop.commands/2/45 for 5 min",
            "run shop",
        ),
        ({"state": "stopped", "reason": "its group has no members", "unread_since": LONG_AGO}, "problem",
         "shop does not run: its group has no members", "run shop"),
        ({"state": "stopped", "reason": "gone", "behind": 1}, "problem", "shop does not run: gone; 1 offset behind",
         "run shop"),
        (
            {"state": "lagging", "behind": 9, "assigned": 1, "partitions": 1}, "problem",
            "shop does not keep up; 9 offsets behind", "consumers lag --service shop",
        ),
        ({"dead_letters": 2}, "problem", "2 dead letters of shop wait for a decision",
         "dead-letters list --service shop"),
        ({"parked_keys": 1, "parked_records": 1}, "warning", "shop holds back 1 record of 1 key",
         "parked list --service shop"),
        (
            {"state": "unready", "reason": "stuck for 31 s", "next_unread": NEXT},
            "problem", "shop is not ready: stuck for 31 s", "records get shop.commands/2/45",
        ),
        ({"assigned": 3}, "warning", "1 of 4 partitions of shop have no process: its group is changing", "status"),
        (
            {"state": "lagging", "behind": 1234, "next_unread": NEXT, "unread_since": LONG_AGO},
            "problem",
            ("shop does not keep up; 1,234 offsets behind, shop.commands/2/45 for 5 min; "
             "1 process has its 4 partitions, another one takes a part"),
            "consumers lag --service shop",
        ),
        ({"lost": 7}, "problem", "7 records were removed before shop has read them",
         "consumers set-offsets shop --to state"),
        ({"dead_letters": 1}, "problem", "1 dead letter of shop waits for a decision",
         "dead-letters list --service shop"),
        ({"parked_keys": 2, "parked_records": 3}, "warning", "shop holds back 3 records of 2 keys",
         "parked list --service shop"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_service(fields: dict[str, Any], severity: str, message: str, command: str) -> None:
    [finding] = findings_of(status(services=(service(**fields), service(service="other"))))
    assert (finding.severity, finding.message) == (severity, message)
    assert (finding.subject, finding.next_command) == ("shop", f"ensemble {command}")


def test_a_process_that_is_not_ready_without_a_record_names_no_command() -> None:
    [finding] = findings_of(status(services=(service(state="unready", reason="restoring"),)))
    assert (finding.message, finding.next_command) == ("shop is not ready: restoring", "")


def test_two_processes_of_too_few_have_the_partitions() -> None:
    two = (
        Instance(client_id="shop-0", host="a", partitions=(0,)),
        Instance(client_id="shop-1", host="b", partitions=()),
    )
    [finding] = findings_of(status(services=(service(state="lagging", instances=two),)))
    assert finding.message == "shop does not keep up; 2 processes have its 4 partitions, another one takes a part"


def test_problems_come_before_warnings_and_ages_that_nobody_knows_are_said_so() -> None:
    pause = WorkPause(scope="step", name="payment", since=None, requested_by="ann", reason="trial", services=())
    told = findings_of(status(services=(service(assigned=3), service(service="till", lost=1)), pauses=(pause,)))
    assert [(each.severity, each.subject) for each in told] == [
        ("problem", "till"), ("warning", "shop"), ("warning", "step payment")
    ]  # fmt: skip
    assert told[2].message == "step payment has been paused for an unknown time by ann: trial"
    late = status(pauses=(pause.model_copy(update={"since": LONG_AGO}),), as_of=None)
    assert "for an unknown time by ann" in findings_of(late)[0].message


def test_an_open_incident_and_a_pause_say_since_when_and_why() -> None:
    incident = Incident(
        incident_id="i", service="shop", handler="Till.charge", cause="503", failures=9, opened_at=LONG_AGO,
        closed_at=None,
    )  # fmt: skip
    progress = PauseProgress(service="shop", partitions=4, acknowledged=3, pending=1)
    pause = WorkPause(
        scope="step", name="payment", since=LONG_AGO, requested_by="ann", reason="trial", services=(progress,)
    )
    first, second = findings_of(status(incidents=(incident,), pauses=(pause,)))
    assert first.message == "Till.charge of shop has failed for 5 min and only probes now: 503"
    assert second.message == ("step payment has been paused for 5 min by ann: trial; shop did not acknowledge it yet")
    assert second.next_command.endswith(" pauses end step payment --reason '...'")
